"""`page` and `figure`: hand on what some neurons do over a text, as one HTML file or as a figure for print.

The drawing is the dashboard's: of it, this room may know the parts that are free of Streamlit.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inspector.commands.command import add_command, check_neuron, check_out_file, moving, progress_bar, whole_number
from inspector.recording import InspectorError, Neuron

if TYPE_CHECKING:
    from dashboard.evidence import Survey
    from inspector.model import CharModel
    from inspector.recording import Recording

PAGE_CHARS = 20_000
_MOST_SURVEYED = 20


def add(commands: Any) -> None:
    _add_page(commands)
    _add_figure(commands)


def _add_both(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--network", default="checkpoints/python", help="checkpoint folder")
    option("--text", required=True, type=Path, help="the text file to read")
    option("--neurons", type=_neurons, help="such as 1:497,1:282; the survey's best for each concept when left out")
    option("--palette", choices=("teal-orange", "red-blue", "mono"), default="teal-orange", help="of the colours")


def _neurons(written: str) -> list[Neuron]:
    try:
        return list(dict.fromkeys(Neuron.parse(part.strip()) for part in written.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _add_page(commands: Any) -> None:
    parser = add_command(commands, "page", _page, "Write one HTML file in which others see what neurons do, offline.")
    _add_both(parser)
    option = parser.add_argument
    option("--signals", default="cell,hidden", help="comma-separated; the first is shown first")
    option("--stop", type=whole_number, default=PAGE_CHARS, help="characters of the text to put in")
    option("--bare", action="store_true", help="leave out loss and what the network expected: a smaller file")
    option("--quiz", action="store_true", help="leave out concepts and scores: others are to find what it detects")
    option("--out", required=True, type=Path, help="the file, such as quotes.html")


def _page(options: argparse.Namespace) -> None:
    from dashboard.export import page_html, what_is_known
    from dashboard.overlay.payload import Look, numbered_guesses
    from inspector.model import load_checkpoint

    check_out_file(options.out)
    model = load_checkpoint(options.network)
    survey = _survey(options.network)
    neurons = options.neurons or _surveyed(survey, options.network)
    signals = _signals(model, [part.strip() for part in options.signals.split(",")])
    recording = _read(model, options.text, 0, options.stop, neurons, signals)
    html = page_html(
        text=recording.text,
        traces={(one, signal): recording.trace(one, signal) for one in neurons for signal in signals},
        layers=[(layer.n_units, layer.signals) for layer in recording.layers],
        signal=signals[0],
        title=options.text.name,
        source=f"{recording.n_chars:,} characters, read by {model.name}: {model.config}",
        known={} if options.quiz else what_is_known(survey, neurons),
        loss=None if options.bare else recording.loss,
        guesses=None if options.bare else numbered_guesses(recording),
        unknown=recording.unknown,
        look=Look(palette=options.palette),
    )
    options.out.write_text(html, encoding="utf-8", errors="replace")  # a file's name may be no text
    print(f"{options.out}: {len(neurons)} neurons, {recording.n_chars:,} characters, {_megabytes(options.out)}")


def _add_figure(commands: Any) -> None:
    parser = add_command(commands, "figure", _figure, "Draw a stretch of text coloured by neurons, for print.")
    _add_both(parser)
    option = parser.add_argument
    option(
        "--signal", default=None, help="such as cell; the state that the network's kind of layer keeps when left out"
    )
    option("--start", type=whole_number, default=0, help="first character")
    option("--stop", type=whole_number, default=1_000, help="the character behind the last one")
    option("--width", type=float, default=84.0, help="of the figure, in millimetres: 84 is a column, 174 a page")
    option("--font", type=float, default=6.5, help="size of the letters, in points")
    option("--out", required=True, type=Path, help="the file; .svg, .pdf or .png decides the format")


def _figure(options: argparse.Namespace) -> None:
    from dashboard.palette import scale_for
    from dashboard.paper import FORMATS, Strip, text_figure, write_figure
    from inspector.model import load_checkpoint

    check_out_file(options.out)
    if options.out.suffix[1:].lower() not in FORMATS:
        raise InspectorError(f"{options.out} names no format: end the name in .{', .'.join(FORMATS)}.")
    model = load_checkpoint(options.network)
    neurons = options.neurons or _surveyed(_survey(options.network), options.network)[:1]
    (signal,) = _signals(model, [options.signal or ("cell" if model.config.kind == "lstm" else "hidden")])
    recording = _read(model, options.text, options.start, options.stop, neurons, [signal])
    traces = [(neuron, recording.trace(neuron, signal)) for neuron in neurons]
    strips = [Strip(f"{neuron} {signal}", trace, scale_for(signal, trace)) for neuron, trace in traces]
    figure = text_figure(
        recording.text,
        strips,
        start=options.start,
        stop=recording.n_chars,
        width_mm=options.width,
        font_pt=options.font,
        palette=options.palette,
    )
    write_figure(figure, options.out)
    width, height = figure.get_size_inches() * 25.4
    print(f"{options.out}: {width:.0f} x {height:.0f} mm, {_megabytes(options.out)}")


def _signals(model: CharModel, wanted: list[str]) -> list[str]:
    """Those of the wanted signals that the network has; a network without a cell state is not asked for one."""
    from inspector.recording import SIGNALS

    there = SIGNALS[model.config.kind]
    if unknown := [name for name in wanted if not any(name in names for names in SIGNALS.values())]:
        raise InspectorError(f"There is no signal {unknown[0]!r}: {model.name} has {', '.join(there)}.")
    found = [name for name in wanted if name in there]
    if not found:
        raise InspectorError(f"{model.name} has no {', '.join(wanted)}: it has {', '.join(there)}.")
    return found


def _read(model: CharModel, path: Path, start: int, stop: int, neurons: list[Neuron], signals: list[str]) -> Recording:
    """The network reads the text up to `stop`: what comes behind has no part in what is shown."""
    from inspector.capture import record
    from inspector.corpus import read_text

    text = read_text(path)
    if not 0 <= start < min(stop, len(text)):
        raise InspectorError(
            f"There is nothing from {start:,} to {stop:,} in {path}, which has {len(text):,} characters."
        )
    for neuron in neurons:
        check_neuron(neuron, model)
    with progress_bar(min(stop, len(text)), "reading") as bar:
        return record(model, text[:stop], signals, moving(bar), names=[path.name], dtype="float16")


def _survey(network: str) -> Survey | None:
    from dashboard.evidence import survey_from
    from inspector.survey import load_survey

    said = load_survey(network)
    return None if said is None else survey_from(said, Path(network))


def _surveyed(survey: Survey | None, network: str) -> list[Neuron]:
    """The best neuron for each concept."""
    if survey is None:
        raise InspectorError(f"Which neurons? Write --neurons 1:42,0:7, or make a survey of {network} first.")
    return list(dict.fromkeys(found[0].neuron for found in survey.concepts.values() if found))[:_MOST_SURVEYED]


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.2f} MB"
