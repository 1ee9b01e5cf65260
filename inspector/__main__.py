"""The command line: `python -m inspector train | record | search | ...`. What each command does is in `commands/`."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from inspector.commands import (
    card,
    compile,
    concepts,
    emerge,
    explain,
    record,
    recordings,
    sample,
    search,
    share,
    survey,
    train,
)
from inspector.recording import InspectorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with one sentence on standard error, 130 after Ctrl-C."""
    if sys.stdout is None:  # it was closed: what is said goes nowhere, and not into the first file that is opened
        sys.stdout = _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that cannot show a character gets it as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read along has seen enough
        sys.stdout = _nowhere()
        return 0
    except InspectorError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        what = f"{error.filename} cannot be used" if error.filename else "What was asked for could not be written"
        print(f"{options.command}: {what}: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = " Go on with --resume." if hasattr(options, "resume") else ""
        state = getattr(options, "state", None)
        if state is not None and state.is_dir() and any(state.iterdir()):
            hint = f" The same command goes on from what was kept in {state}."
        print(f"\n{options.command}: stopped.{hint}", file=sys.stderr)
        return 130
    return 0


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inspector",
        description="Train a character-level recurrent network, record what its neurons do while it reads, "
        "and search for the neurons that detect something.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for subject in (train, sample, record, recordings, concepts, search, survey, explain, emerge, card, share, compile):
        subject.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
