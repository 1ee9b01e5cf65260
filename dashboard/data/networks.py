"""The networks there are, and what their surveys found, loaded once and kept while their files are unchanged."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.evidence import Survey, survey_from
from dashboard.findings import Findings, open_findings
from inspector.recording import SIGNALS, InspectorError

if TYPE_CHECKING:
    from inspector.model import CharModel

FIRST_NETWORK = "python"
SNAPSHOT = "@"  # `python-small@390`: the network python-small as it was after step 390
_ROOT = Path(__file__).parent.parent.parent

Layers = Sequence[tuple[int, tuple[str, ...]]]  # of each layer: number of units, names of signals


@dataclass(frozen=True)
class Network:
    """A loaded checkpoint. `layers` holds, for each layer, how many units and which signals it has."""

    name: str
    folder: Path
    model: CharModel
    hash: str

    @property
    def layers(self) -> list[tuple[int, tuple[str, ...]]]:
        """(number of units, names of signals) of each layer."""
        config = self.model.config
        return [(config.n_units, SIGNALS[config.kind])] * config.n_layers

    @property
    def place(self) -> str:
        """The folder as one types it in a command, from the project's root."""
        return str(self.folder.relative_to(_ROOT) if self.folder.is_relative_to(_ROOT) else self.folder)

    def summary(self) -> str:
        """One line: architecture and how well it predicts, as far as that was written down."""
        bits = self.report_bits()
        return str(self.model.config) if bits is None else f"{self.model.config}, {bits:.2f} bits/char"

    def report_bits(self) -> float | None:
        """Bits per character on report files, None where nobody measured."""
        nats = self._report_nats()
        return nats / math.log(2) if isinstance(nats, int | float) else None

    def _report_nats(self) -> float | None:
        """Nats per character on report files: as measured for its model card, else as its training wrote down."""
        from inspector.measure import load_measures

        try:
            measures = load_measures(self.folder) or {}
        except InspectorError:  # a damaged card is no reason to show nothing
            measures = {}
        facts = measures if measures.get("network_hash") == self.hash else self.model.training_facts
        return facts.get("report_nats")


def checkpoints_folder() -> Path:
    """Where networks lie; the variable CHARSCOPE_CHECKPOINTS names another place."""
    return Path(os.environ.get("CHARSCOPE_CHECKPOINTS") or _ROOT / "checkpoints")


def network_names() -> list[str]:
    """Every folder that looks like a checkpoint; the one a newcomer should see comes first."""
    folder = checkpoints_folder()
    found = [path.name for path in folder.iterdir() if (path / "config.json").is_file()] if folder.is_dir() else []
    return sorted(found, key=lambda name: (name != FIRST_NETWORK, name))


def first_network() -> str | None:
    """The network a newcomer sees: the first that can be loaded, else the first of all, None where there is none."""
    names = network_names()
    return next((kept.name for kept in loaded(names)), next(iter(names), None))


def loaded(names: Iterable[str]) -> Iterator[Network]:
    """Those of the networks that can be loaded, one after the other."""
    for name in names:
        with suppress(InspectorError):
            yield network(name)


def network_folder(name: str) -> Path | None:
    """Where the network of that name lies, `NAME@STEP` being a snapshot of its training; None where there is none."""
    if name in (names := network_names()):
        return checkpoints_folder() / name
    parent, _, step = name.rpartition(SNAPSHOT)
    if parent not in names or not (step.isascii() and step.isdigit() and len(step) < 12):
        return None
    if str(int(step)) != step:  # one name for one network: what is kept is kept under it
        return None
    folder = checkpoints_folder() / parent / "snapshots" / f"step-{int(step):06d}"
    return folder if (folder / "config.json").is_file() else None


def network(name: str) -> Network:
    """Load a network or a snapshot of one, or the one kept from before if its files are unchanged."""
    folder = network_folder(name)
    if folder is None:
        known = ", ".join(network_names())
        raise InspectorError(
            f"There is no network called “{name}”"
            + (f": there are {known}." if known else ", nor any other: train one with `python -m inspector train`.")
        )
    return _load_network(name, str(folder), _stamp(folder, ("config.json", "vocab.json", "model.safetensors")))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_network(name: str, folder: str, stamp: tuple[tuple[int, int], ...]) -> Network:
    from inspector.model import load_checkpoint  # torch takes a second to import; a kept recording does without

    model = load_checkpoint(folder)
    model.name = name  # of a snapshot, whose folder is called after its step alone
    return Network(name, Path(folder), model, model.hash)


def _stamp(folder: Path, names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Changes whenever one of the files does."""
    stats = [path.stat() if (path := folder / name).exists() else None for name in names]
    return tuple((stat.st_mtime_ns, stat.st_size) if stat else (0, 0) for stat in stats)


def survey(kept: Network) -> Survey | None:
    """What was found in a network; None where no survey was made.

    Raises InspectorError when it is damaged or was made for other weights.
    """
    found = _read_survey(str(kept.folder), _stamp(kept.folder, ("survey/survey.json",)))
    if found is not None and found.network_hash != kept.hash:
        raise InspectorError(
            f"The survey of {kept.name} was made for other weights: make it again with "
            f"`python -m inspector survey --network {kept.place}`."
        )
    return found


@st.cache_resource(max_entries=16, show_spinner=False)
def _read_survey(folder: str, stamp: tuple[tuple[int, int], ...]) -> Survey | None:
    from inspector.survey import load_survey

    said = load_survey(folder)
    return None if said is None else survey_from(said, Path(folder))


def findings(kept: Network) -> Findings | None:
    """What the survey says of every neuron; None where no survey was made.

    Raises InspectorError when it is damaged, was made for other weights, or by a version that gathered less.
    """
    if survey(kept) is None:
        return None
    tables = ("neurons", "statistics", "passages", "explanations")
    names = ["survey.json", "correlations.npz", "explanations.json", *(f"{name}.parquet" for name in tables)]
    return _read_findings(str(kept.folder), kept.place, kept.hash, _stamp(kept.folder / "survey", names))


@st.cache_resource(max_entries=4, show_spinner=False)
def _read_findings(folder: str, place: str, network_hash: str, stamp: tuple[tuple[int, int], ...]) -> Findings:
    return open_findings(Path(folder), place, network_hash)
