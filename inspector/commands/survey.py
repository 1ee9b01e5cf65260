"""`survey`: look for every concept in held-out files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from inspector.commands.command import (
    add_command,
    add_corpus_options,
    load_named_corpus,
    progress_bar,
    reporting,
    whole_number,
)
from inspector.recording import InspectorError


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "survey",
        _survey,
        "Look for every concept in held-out files; write survey/ and the model card of a network.",
    )
    add_corpus_options(parser, default="python-stdlib")
    option = parser.add_argument
    option("--network", default="checkpoints/python", type=Path, help="checkpoint folder; survey/ is written into it")
    option("--only", choices=("portraits",), default=None, help="renew this part of a survey that lies there")
    option("--chars", type=whole_number, default=200_000, help="characters to choose on, and as many to report on")
    option("--replace-other", action="store_true", help="take the place of a survey on another corpus, which is lost")
    option("--show", action="store_true", help="read nothing; print what the survey beside it found, as Markdown")


def _survey(options: argparse.Namespace) -> None:
    if options.show:
        _show(options.network)
        return
    from inspector.card import write_card
    from inspector.model import load_checkpoint
    from inspector.survey import portray, survey

    model = load_checkpoint(options.network)
    corpus = load_named_corpus(options.corpus, options.pattern)
    with progress_bar(None, "survey") as bar:
        show = reporting(bar, {"ranking": "neurons and signals", "labelling": "texts"})
        if options.only:
            portray(model, corpus, options.network / "survey", on_progress=show)
            print(f"Written: {options.network / 'survey' / 'portraits.npz'}")
            return
        tables = survey(
            model, corpus, options.network / "survey", n_chars=options.chars, replace_other=options.replace_other,
            on_progress=show,
        )  # fmt: skip
    write_card(model, options.network)
    for name, table in sorted(tables.items()):
        best = table.iloc[0]
        print(f"{name:<22} {best.layer}:{best.unit:<4} {best.signal:<7} {best.metric} {best.score:.3f}")
    print(f"Written: {options.network / 'survey'} and {options.network / 'README.md'}")


def _show(network: Path) -> None:
    """The best neuron of each concept, and what is beside its score."""
    from inspector.survey import load_survey

    found = load_survey(network)
    if found is None:
        raise InspectorError(f"{network} has no survey: make one by `python -m inspector survey --network {network}`.")
    print(f"{found['network']}: chosen on {found['n_choose_chars']:,} characters of {found['corpus']},", end=" ")
    print(f"scored on {found['n_report_chars']:,} of others.\n")
    print("| concept | best neuron | signal | held-out score | baseline | q | untrained twin | in words |")
    print("|---|---|---|---|---|---|---|---|")
    for name, rows in sorted(found["concepts"].items()):
        best = rows[0]
        measure = "AUROC" if best["metric"] == "auroc" else "r"
        numbers = f"{measure} {best['score']:.3f} | {best['baseline']:.1f} | {best['q_value']:.1e}"
        twin = "" if best["twin_score"] is None else f"{best['twin_score']:.3f}"
        print(
            f"| {name} | {best['layer']}:{best['unit']} | {best['signal']} | {numbers} | {twin} | {best['verdict']} |"
        )
