"""How things change, as plotly figures: losses and neurons over a training, values over positions in a text. Pure.

Training is drawn over characters read, on a logarithmic axis, for most happens early; what comes before the first
character stands at its left end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures import escaped
from dashboard.palette import STROKE, Theme
from inspector.recording import Neuron

MOST_LINES = 150  # neurons drawn behind the chosen one

_OTHER: dict[Theme, str] = {"light": "#c9601a", "dark": "#ee8d45"}
_CROWD: dict[Theme, str] = {"light": "rgba(96,104,116,.16)", "dark": "rgba(190,198,210,.16)"}
_FAINT: dict[Theme, str] = {"light": "rgba(28,36,48,.4)", "dark": "rgba(226,231,238,.45)"}
_SEVERAL = ("#0e949b", "#d8752a", "#6f82e0", "#b063ac", "#4a9c4a")
_MARGIN = {"l": 52, "r": 12, "t": 26, "b": 40}


def learning_figure(log: pd.DataFrame | None, snapshots: pd.DataFrame | None, *, theme: Theme = "light") -> go.Figure:
    """Bits per character on train and held-out text over the characters read, and the snapshots taken on the way.

    log : `characters`, `train_nats`, `choose_nats`. snapshots : `step`, `characters`, and held-out `nats` where they
    were measured, else nan; such a snapshot stands at the foot.
    """
    figure = go.Figure()
    characters = [] if snapshots is None else snapshots.characters.tolist()
    if log is not None:
        characters += log.characters.tolist()
        for column, name, colour, dash in (
            ("train_nats", "train text", _FAINT[theme], "dot"),
            ("choose_nats", "held-out text", STROKE[theme], "solid"),
        ):
            figure.add_scatter(
                x=log.characters, y=log[column] / np.log(2), name=name, mode="lines" if len(log) > 1 else "markers",
                line={"color": colour, "width": 2, "dash": dash},
                hovertemplate="%{y:.3f} bits after %{x:,}<extra></extra>",
            )  # fmt: skip
    if snapshots is not None and len(snapshots):
        bits = (snapshots.nats / np.log(2)).to_numpy()
        said = [
            f"step {step:,}, {read:,} characters: " + ("not measured" if np.isnan(pays) else f"{pays:.3f} bits")
            for step, read, pays in zip(snapshots.step, snapshots.characters, bits, strict=True)
        ]
        figure.add_scatter(
            x=places_of(snapshots.characters, characters), y=np.where(np.isnan(bits), 0, bits), name="snapshots",
            text=said, customdata=snapshots.step, mode="lines+markers", hovertemplate="%{text}<extra></extra>",
            line={"width": 0 if np.isnan(bits).any() else 1, "color": _OTHER[theme], "dash": "dash"},
            marker={"size": 8, "color": _OTHER[theme]},
        )  # fmt: skip
        if np.isnan(bits).any():
            figure.update_yaxes(rangemode="tozero")
    _over_training(figure, characters, "bits per character")
    return figure


def growth_figure(
    scores: pd.DataFrame,
    snapshots: pd.DataFrame,
    *,
    chosen: Neuron,
    baseline: float,
    metric: str,
    theme: Theme = "light",
) -> go.Figure:
    """How well every neuron tells one concept at each snapshot: the chosen one and the last best one before the crowd.

    scores : layer, unit, step, score, choose_score of one concept. Of lines with a name, `customdata` is the neuron.
    """
    order = snapshots.step.tolist()
    lines = scores.pivot_table(index=["layer", "unit"], columns="step", values="score")[order]
    picked = scores[scores.step == order[-1]].set_index(["layer", "unit"]).choose_score
    lines = lines.loc[picked.sort_values(ascending=False, kind="stable").index]
    x = places_of(snapshots.characters)
    figure = go.Figure()
    crowd = lines.iloc[:MOST_LINES].to_numpy()
    gaps = np.full((len(crowd), 1), np.nan)
    figure.add_scatter(
        x=np.tile(np.append(x, np.nan), len(crowd)), y=np.hstack([crowd, gaps]).ravel(), mode="lines",
        name="other neurons", line={"width": 1, "color": _CROWD[theme]}, hoverinfo="skip",
    )  # fmt: skip
    best = Neuron(*map(int, lines.index[0]))
    for neuron, colour, words in (
        (best, _OTHER[theme], "best in the end"), (chosen, STROKE[theme], "this one"),
    ):  # fmt: skip
        if neuron == chosen and words != "this one":
            continue
        figure.add_scatter(
            x=x, y=lines.loc[tuple(neuron)], name=f"{neuron}, {words}", mode="lines+markers",
            customdata=[str(neuron)] * len(x), line={"width": 2.5, "color": colour}, marker={"size": 7},
            hovertemplate=f"{neuron} %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(y=baseline, line={"width": 1, "dash": "dot", "color": _FAINT[theme]})
    _over_training(
        figure, snapshots.characters.tolist(), "held-out AUROC" if metric == "auroc" else "held-out correlation"
    )
    return figure


def strengths_figure(
    scores: Mapping[str, pd.DataFrame], snapshots: pd.DataFrame, *, theme: Theme = "light"
) -> go.Figure:
    """How one neuron came to tell several concepts. scores : for each, in words, `score` at each snapshot."""
    figure = go.Figure()
    x = places_of(snapshots.characters)
    for (title, rows), colour in zip(scores.items(), _SEVERAL, strict=False):
        figure.add_scatter(
            x=x, y=rows.score, name=escaped(title), mode="lines+markers", marker={"size": 6},
            line={"width": 2, "color": colour}, hovertemplate=f"{escaped(title)} %{{y:.3f}}<extra></extra>",
        )  # fmt: skip
    _over_training(figure, snapshots.characters.tolist(), "held-out score")
    return figure


def position_figure(rows: Mapping[str, pd.DataFrame], *, theme: Theme = "light") -> go.Figure:
    """How a neuron's mean value depends on the place: a panel for each kind of place, the band is a deviation each way.

    rows : by what is counted, `start`, `stop` (the first and last place of a group), `mean`, `std` and `n`.
    """
    figure = make_subplots(1, len(rows), shared_yaxes=True, horizontal_spacing=0.04, subplot_titles=list(rows))
    for place, table in enumerate(rows.values(), 1):
        middle = np.arange(len(table))
        names = [_range(start, stop) for start, stop in zip(table.start, table.stop, strict=True)]
        both = np.concatenate([middle, middle[::-1]])
        band = np.concatenate([table["mean"] + table["std"], (table["mean"] - table["std"])[::-1]])
        where = {"row": 1, "col": place}
        figure.add_scatter(
            x=both, y=band, fill="toself", mode="none", hoverinfo="skip", fillcolor="rgba(14,148,155,.2)", **where
        )
        figure.add_scatter(
            x=middle, y=table["mean"], mode="lines+markers", marker={"size": 4},
            line={"color": STROKE[theme], "width": 2}, customdata=np.column_stack([table["std"], table.n]), text=names,
            hovertemplate="%{text}: %{y:.3f} ± %{customdata[0]:.3f}, %{customdata[1]:,} characters<extra></extra>",
            **where,
        )  # fmt: skip
        shown = middle[:: max(1, len(middle) // 6)]
        figure.update_xaxes(
            tickvals=shown, ticktext=[_short(table.start.iloc[at]) for at in shown], showgrid=False, **where
        )
    figure.update_layout(height=200, showlegend=False, margin={**_MARGIN, "b": 28}, **_CLEAR)
    figure.update_annotations(font_size=12)
    return figure


def places_of(characters: pd.Series, among: Iterable[float] | None = None) -> np.ndarray:
    """Where numbers of characters stand on a logarithmic axis that begins with none at all.

    among : all that stands on the axis, where that is more.
    """
    numbers = characters.to_numpy(np.float64)
    return np.where(numbers > 0, numbers, _beginning(numbers.tolist() if among is None else among))


def _beginning(characters: Iterable[float]) -> float:
    """Where nothing read at all stands among numbers of characters: a little left of the first of them."""
    return min((one for one in characters if one > 0), default=3.0) / 3


_CLEAR = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}


def _over_training(figure: go.Figure, characters: list[float], words: str) -> None:
    """The axes of a figure over the characters read: decades in words, and 0 where something stands there."""
    read = sorted({one for one in characters if one > 0})
    if read:
        steps = (1, 2, 5) if read[-1] / read[0] < 100 else (1,)
        ticks = [step * 10.0**power for power in range(12) for step in steps]
        ticks = [one for one in ticks if read[0] / 1.5 <= one <= read[-1] / 1.2] + [float(read[-1])]
        names = [_short(one) for one in ticks]
        if 0 in characters:
            ticks, names = [_beginning(characters), *ticks], ["0", *names]
        ends = np.log10([_beginning(characters) if 0 in characters else read[0], read[-1]])
        air = 0.03 * (ends[1] - ends[0]) + 0.02  # without it the last tick and points at the ends are cut off
        figure.update_xaxes(tickvals=ticks, ticktext=names, range=[ends[0] - air, ends[1] + air])
    figure.update_xaxes(type="log", title="characters read", showgrid=False)
    figure.update_yaxes(title=words)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}}
    figure.update_layout(height=310, margin=_MARGIN, hovermode="closest", legend=legend, **_CLEAR)


def _short(number: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _range(start: int, stop: int) -> str:
    return f"{start:,}" if start == stop else f"{start:,} to {stop:,}"
