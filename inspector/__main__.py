"""The command line: `python -m inspector train | record | search | ...`. What each command does is in `commands/`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inspector.commands import card, concepts, emerge, explain, record, recordings, sample, search, share, survey, train
from inspector.recording import InspectorError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with one sentence on standard error, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except BrokenPipeError:  # whoever read along has seen enough
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - what is left is not written at the end either
        return 0
    except (InspectorError, OSError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        hint = " Go on with --resume." if hasattr(options, "resume") else ""
        print(f"\n{options.command}: stopped.{hint}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inspector",
        description="Train a character-level recurrent network, record what its neurons do while it reads, "
        "and search for the neurons that detect something.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for subject in (train, sample, record, recordings, concepts, search, survey, explain, emerge, card, share):
        subject.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
