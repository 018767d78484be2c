"""`sightline recipes`: what can be trained by name."""

from __future__ import annotations

from rich.table import Table

from sightline.cli import console
from sightline.cli.options import Flag


def recipes(*, json: Flag = False) -> None:
    """List the recipes: what each is for."""
    from sightline.recipes import LADDERS, RECIPES
    from sightline.recipes.trackers import TRACKERS

    rows = {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in RECIPES.items()}
    trackers = {name: tracker.stages() for name, tracker in TRACKERS.items()}
    ladders = {name: [rung.recipe for rung in function()] for name, function in LADDERS.items()}
    if json:
        console.print_json({"recipes": rows, "ladders": ladders, "trackers": trackers})
        return
    table = Table(title="recipes: sightline train NAME --data DATA", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("idea")
    for name, idea in rows.items():
        table.add_row(name, idea)
    console.out.print(table)
    for name, stages in trackers.items():
        told = ", ".join(f"{stage} {part}" for stage, part in stages.items())
        console.out.print(f"tracker [bold]{name}[/]: {told}", highlight=False, soft_wrap=True)
    for name, rungs in ladders.items():
        console.out.print(f"ladder [bold]{name}[/]: {' -> '.join(rungs)}", highlight=False, soft_wrap=True)
