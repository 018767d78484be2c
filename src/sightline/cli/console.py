"""Where the commands speak: text and tables on standard output, mistakes on standard error, JSON alone. Next: train.py.

Commands write `console.out`, never a copy of it, so that one place decides where words go.
"""

from __future__ import annotations

import json

from rich.console import Console

out = Console()
err = Console(stderr=True)


def say(text: str, *, on: Console | None = None) -> None:
    """One line as it is: not wrapped, not coloured, brackets kept; on standard output, or elsewhere."""
    (on or out).print(text, highlight=False, markup=False, soft_wrap=True)


def print_json(value: object) -> None:
    """JSON on standard output, nothing else."""
    print(json.dumps(value, indent=1, allow_nan=False))
