"""Arrays in, plotly figures out: pure, no Streamlit, nothing loaded.

How a neuron's values are spread, where all neurons lie, how their gates are saturated, how well one tells a concept
apart. Colours are the palette's. Of figures with a point for each neuron, `customdata` says which it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.palette import DEFAULT, STROKE, Theme, lut, scale_for
from inspector.recording import Neuron

MOST_POINTS = 3_000  # of a curve: about two for each pixel of a wide screen

_OFF: dict[Theme, str] = {"light": "#9aa3af", "dark": "#6b7280"}
_SMALL = {
    "height": 250,
    "margin": {"l": 50, "r": 10, "t": 10, "b": 40},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "legend": {"orientation": "h", "y": 1.12},
}

NOTHING = "no concept"  # the group of neurons that none explains; drawn in grey, below the others
_GROUPS = ("#0a7f86", "#c9601a", "#5b6fd6", "#a0529e", "#3f8f3f", "#b8901f", "#c2445f", "#6b7d2a")
_GREY = "rgba(128,136,148,.55)"
_MARK: dict[Theme, str] = {"light": "rgba(28,36,48,.55)", "dark": "rgba(226,231,238,.6)"}


def class_figure(values: np.ndarray, label: np.ndarray, threshold: float, *, theme: Theme = "light") -> go.Figure:
    """How one neuron's values are spread where a concept holds and where it does not, each as a share of its own.

    values : float ndarray of shape (n_chars,). label : bool, the same. threshold : what is marked.
    """
    edges = np.linspace(*_ends(values), 61)
    figure = go.Figure()
    for name, chosen, colour in (("does not hold", ~label, _OFF[theme]), ("holds", label, STROKE[theme])):
        counts, _ = np.histogram(values[chosen], edges)
        shares = counts / max(counts.sum(), 1)
        figure.add_bar(x=(edges[1:] + edges[:-1]) / 2, y=shares, name=name, marker_color=colour, opacity=0.7)
    figure.add_vline(x=threshold, line={"width": 1.2, "dash": "dot", "color": _MARK[theme]})
    figure.update_layout(barmode="overlay", bargap=0, **_SMALL)
    figure.update_xaxes(title="value")
    figure.update_yaxes(title="share", tickformat=".0%")
    return figure


def roc_figure(values: np.ndarray, label: np.ndarray, polarity: int, *, theme: Theme = "light") -> go.Figure:
    """The ROC curve of one neuron's values for a label, and the diagonal of one that knows nothing.

    values : float ndarray of shape (n_chars,). label : bool, the same, with both values in it.
    polarity : -1 where the neuron was found to be low there. The sign comes from where the neuron was chosen, never
        from these values: a curve below the diagonal is a neuron that fails in this text.
    """
    values = polarity * values
    order = np.argsort(-values, kind="stable")
    hits, ends = label[order], np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)
    true = np.append(0, np.cumsum(hits)[ends]) / max(int(label.sum()), 1)
    false = np.append(0, np.cumsum(~hits)[ends]) / max(int((~label).sum()), 1)
    keep = np.unique(np.linspace(0, true.size - 1, MOST_POINTS).astype(np.int64))
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"width": 1, "dash": "dot", "color": _MARK[theme]})
    figure.add_scatter(x=false[keep], y=true[keep], mode="lines", line={"width": 2, "color": STROKE[theme]})
    figure.update_layout(**{**_SMALL, "showlegend": False})
    figure.update_xaxes(title="share of the others taken for it", range=[0, 1], constrain="domain")
    figure.update_yaxes(title="share found", range=[0, 1.01])
    return figure


def codes_figure(table: pd.DataFrame, *, baseline: float, twin: float, theme: Theme = "light") -> go.Figure:
    """How well the best k neurons together tell a concept, for each k; who was added is said where one points.

    table : of `best_codes`. baseline, twin : what a neuron that knows nothing, and an untrained network's best, score.
    """
    figure = go.Figure()
    added = ["{} {}".format(*one[-1]) for one in table.neurons]
    line: dict[str, object] = {"mode": "lines+markers", "x": table.k, "marker": {"size": 5}}
    figure.add_scatter(
        y=table.choose_score, name="where they were chosen", line={"width": 1, "dash": "dot", "color": _OFF[theme]},
        hovertemplate="%{y:.3f}<extra></extra>", **line,
    )  # fmt: skip
    figure.add_scatter(
        y=table.score, name="held out", line={"width": 2, "color": STROKE[theme]}, customdata=added,
        hovertemplate="%{x} together: %{y:.3f}<br>added last: %{customdata}<extra></extra>", **line,
    )  # fmt: skip
    for height, words, end in ((baseline, "chance", "top left"), (twin, "untrained", "top right")):  # they may be close
        if not math.isnan(height):
            figure.add_hline(
                y=height, line={"width": 1, "dash": "dash", "color": _MARK[theme]}, annotation_text=words,
                annotation_position=end, annotation_font_size=11,
            )  # fmt: skip
    figure.update_layout(**_SMALL)
    figure.update_xaxes(title="neurons together", dtick=1 if len(table) <= 8 else 3)
    figure.update_yaxes(title="AUROC" if table.metric.iloc[0] == "auroc" else "correlation")
    return figure


def level_figure(values: np.ndarray, label: np.ndarray, *, title: str, theme: Theme = "light") -> go.Figure:
    """How one neuron's values lie at each level of a graded concept: their median, and the middle half of them.

    values : float ndarray of shape (n_chars,), of one character or more. label : float, the same; more than 24 levels
    are put together. title : of the concept.
    """
    levels = np.unique(label)
    if levels.size > 24:
        levels = np.unique(np.quantile(label, np.linspace(0, 1, 24)))
    nearest = levels[np.clip(np.searchsorted((levels[1:] + levels[:-1]) / 2, label), 0, levels.size - 1)]
    levels = np.unique(nearest)
    rows = np.array([np.quantile(values[nearest == level], (0.25, 0.5, 0.75)) for level in levels])
    figure = go.Figure()
    for column, name in ((0, "a quarter lies below"), (2, "a quarter lies above"), (1, "median")):
        is_middle = column == 1
        figure.add_scatter(
            x=levels, y=rows[:, column], name=name, mode="lines+markers" if is_middle else "lines",
            showlegend=is_middle, line={"width": 2 if is_middle else 0.5, "color": STROKE[theme]},
            fill="tonexty" if column == 2 else None, fillcolor="rgba(128,136,148,.22)",
        )  # fmt: skip
    figure.update_layout(**_SMALL)
    figure.update_xaxes(title=escaped(title))
    figure.update_yaxes(title="value")
    return figure


def _ends(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def spread_figure(rows: Mapping[str, pd.Series], *, palette: str = DEFAULT, theme: Theme = "light") -> go.Figure:
    """How the values of each signal of a neuron are spread, with the median as a line; counts on a logarithmic scale.

    rows : for each signal, in words, `lowest`, `highest`, `median` and `histogram`, and the `signal`.
    """
    across = 2 if len(rows) == 4 else min(3, len(rows))
    down = math.ceil(len(rows) / across)
    figure = make_subplots(down, across, subplot_titles=list(rows), horizontal_spacing=0.05, vertical_spacing=0.36)
    for place, row in enumerate(rows.values()):
        where = {"row": place // across + 1, "col": place % across + 1}
        counts = np.asarray(row.histogram)
        edges = np.linspace(row.lowest, row.highest, counts.size + 1)
        middles, share = (edges[:-1] + edges[1:]) / 2, counts / max(counts.sum(), 1)
        figure.add_bar(
            x=middles, y=np.where(share > 0, share, np.nan), width=np.diff(edges), marker={"line": {"width": 0}},
            marker_color=_colours(middles, str(row.signal), palette, theme),
            hovertemplate="around %{x:.2f}: %{y:.2%} of the characters<extra></extra>", **where,
        )  # fmt: skip
        figure.add_vline(x=float(row["median"]), line={"width": 1.2, "color": _MARK[theme]}, **where)
    _bare(figure, height=40 + 108 * down)
    figure.update_layout(bargap=0, showlegend=False)
    figure.update_annotations(font_size=12)
    figure.update_yaxes(type="log", showticklabels=False, showgrid=False)
    figure.update_xaxes(nticks=4, showgrid=False)
    return figure


def _colours(values: np.ndarray, signal: str, palette: str, theme: Theme) -> list[str]:
    """The colour of the hue that each value has in a text, strong enough for a plot also near zero."""
    scale = scale_for(signal, values)
    table = lut(palette, scale.kind, theme)
    above, below = ("rgb({},{},{})".format(*table[entry]) for entry in (230, 26))
    return [below if value < 0 and scale.kind == "diverging" else above for value in values.tolist()]


def map_figure(neurons: pd.DataFrame, *, chosen: Neuron | None = None, theme: Theme = "light") -> go.Figure:
    """A point for each neuron where the map has it, in the colour of its group; a ring around the chosen one.

    neurons : layer, unit, x, y, group and `said`, what the hover says.
    """
    figure = go.Figure()
    groups = sorted(neurons.group.unique(), key=lambda group: (group != NOTHING, group))
    colours = iter(_GROUPS * (1 + len(groups) // len(_GROUPS)))
    for group in groups:
        some = neurons[neurons.group == group]
        colour = _GREY if group == NOTHING else next(colours)
        figure.add_scattergl(
            x=some.x, y=some.y, mode="markers", name=group, marker={"size": 7, "color": colour},
            customdata=_names(some), text=[escaped(said) for said in some.said],
            hovertemplate="%{customdata} %{text}<extra></extra>",
        )  # fmt: skip
    if chosen is not None:
        here = neurons[(neurons.layer == chosen.layer) & (neurons.unit == chosen.unit)]
        figure.add_scattergl(
            x=here.x, y=here.y, mode="markers", showlegend=False, hoverinfo="skip", customdata=_names(here),
            marker={"size": 15, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": _MARK[theme]}},
        )  # fmt: skip
    _bare(figure, height=430)
    figure.update_layout(legend={"orientation": "h", "y": -0.02, "font": {"size": 11}, "itemsizing": "constant"})
    figure.update_xaxes(showticklabels=False, zeroline=True, showgrid=False)
    figure.update_yaxes(showticklabels=False, zeroline=True, showgrid=False)
    return figure


def saturation_figure(
    statistics: pd.DataFrame, gates: Sequence[tuple[str, str]], *, chosen: Neuron | None = None, theme: Theme = "light"
) -> go.Figure:
    """For each gate of each layer, how often each neuron's is above .9 against how often it is below .1.

    statistics : layer, unit, signal, low_share, high_share. gates : (signal, its name in words).
    Source: Karpathy, Johnson and Fei-Fei, Visualizing and Understanding Recurrent Networks (2015), section 4.2.
    """
    layers = sorted(statistics.layer.unique().tolist())
    titles = [f"{words}, layer {layer}" for layer in layers for _, words in gates]
    figure = make_subplots(
        len(layers), len(gates), subplot_titles=titles, shared_xaxes=True, shared_yaxes=True,
        horizontal_spacing=0.03, vertical_spacing=0.22 / max(len(layers), 2),
    )  # fmt: skip
    for down, layer in enumerate(layers, 1):
        for across, (signal, _) in enumerate(gates, 1):
            some = statistics[(statistics.layer == layer) & (statistics.signal == signal)]
            where = {"row": down, "col": across}
            figure.add_scatter(
                x=[0, 1], y=[1, 0], mode="lines", line={"width": 1, "color": _GREY}, hoverinfo="skip", **where
            )
            figure.add_scattergl(
                x=some.low_share, y=some.high_share, mode="markers", customdata=_names(some),
                marker={"size": 6, "color": STROKE[theme], "opacity": 0.6},
                hovertemplate="%{customdata}<br>below .1: %{x:.0%}<br>above .9: %{y:.0%}<extra></extra>", **where,
            )  # fmt: skip
            if chosen is not None:
                here = some[(some.layer == chosen.layer) & (some.unit == chosen.unit)]
                figure.add_scattergl(
                    x=here.low_share, y=here.high_share, mode="markers", hoverinfo="skip", customdata=_names(here),
                    marker={"size": 14, "color": "rgba(0,0,0,0)", "line": {"width": 2, "color": _MARK[theme]}}, **where,
                )  # fmt: skip
    _bare(figure, height=60 + 280 * len(layers))
    figure.update_layout(showlegend=False)
    figure.update_annotations(font_size=12)
    figure.update_xaxes(range=[-0.04, 1.04], tickformat=".0%", nticks=5)
    figure.update_yaxes(range=[-0.04, 1.04], tickformat=".0%", nticks=5)
    figure.update_xaxes(title_text="below .1 (shut)", row=len(layers))
    figure.update_yaxes(title_text="above .9 (open)", col=1)
    return figure


def _names(neurons: pd.DataFrame) -> list[str]:
    return [f"{layer}:{unit}" for layer, unit in zip(neurons.layer, neurons.unit, strict=True)]


def escaped(text: str) -> str:
    """A text for a name or a hover, where plotly reads a little markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _bare(figure: go.Figure, *, height: int) -> None:
    figure.update_layout(
        height=height, margin={"l": 44, "r": 12, "t": 26, "b": 26}, hovermode="closest",
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
