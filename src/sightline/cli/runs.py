"""`sightline runs`: a table of the runs in a folder, read from the run folders."""

from __future__ import annotations

from pathlib import Path

from sightline.cli import console
from sightline.cli.options import Flag


def runs(folder: Path = Path("runs"), /, *, json: Flag = False) -> None:
    """List the runs below a folder: recipe, data, score, state. Reads the run folders and nothing else.

    Args:
        folder: a run folder, or one that holds some at any depth.
        json: print the table as JSON.
    """
    from sightline.sinks.runs import find_runs, line_of

    lines = [line_of(run) for run in find_runs([folder])]
    if json:
        console.print_json([line.to_json() for line in lines])
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    count = f"{len(lines)} run{'s' if len(lines) > 1 else ''}"
    table = Table(title=f"{count} in {folder}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("run", "recipe", "seed", "data", "score", "seconds", "state"):
        table.add_column(name, justify="right" if name in ("seed", "seconds") else "left", overflow="fold")
    for line in lines:
        name = "." if line.path == folder else str(line.path.relative_to(folder))
        score = "-" if line.metric is None or line.value is None else f"{line.metric} {line.value:.4g}"
        seconds = "-" if line.seconds is None else f"{line.seconds:.0f}"
        state = line.state if line.state != "not finished" else f"step {line.step}, not finished"
        table.add_row(*(Text(text) for text in (name, line.recipe, line.seed, line.data, score, seconds, state)))
    console.out.print(table)
