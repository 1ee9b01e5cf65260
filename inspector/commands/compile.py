"""`compile`: have the loops compiled that reading and searching need, before anybody waits for them."""

from __future__ import annotations

import argparse
from typing import Any

from inspector.commands.command import add_command, moving, progress_bar


def add(commands: Any) -> None:
    add_command(
        commands,
        "compile",
        _compile,
        "Compile the loops that reading and searching need, so that no text waits for it.",
    )


def _compile(_options: argparse.Namespace) -> None:
    from inspector.ahead import compile_ahead

    with progress_bar(None, "compiling") as bar:
        bar.unit = " kinds of work"
        compile_ahead(moving(bar))
