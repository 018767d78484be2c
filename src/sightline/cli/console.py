"""Where the commands speak: text and tables on standard output, mistakes on standard error, JSON alone. Next: train.py.

Commands write `console.out`, never a copy of it, so that one place decides where words go.
"""

from __future__ import annotations

import json
import os
import sys

from rich.console import Console

LOGGED_WIDTH = 110  # of tables in files and pipes, where nothing says how wide a line may be


class Output(Console):
    """A console whose reader may leave: `| head` has seen enough, and that is no failure."""

    def on_broken_pipe(self) -> None:
        """Leave it to `main`; rich would end the process with exit code 1, which says that something is not fine."""
        raise BrokenPipeError


out = Output(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else LOGGED_WIDTH)
err = Output(stderr=True)


def say(text: str, *, on: Console | None = None) -> None:
    """One line as it is: not wrapped, not coloured, brackets kept; on standard output, or elsewhere."""
    (on or out).print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """JSON on standard output, nothing else."""
    print(json.dumps(value, indent=1, allow_nan=False))
