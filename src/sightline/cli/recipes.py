"""`sightline recipes`: what can be trained by name."""

from __future__ import annotations

from rich.table import Table

from sightline.cli import console
from sightline.cli.options import Flag


def recipes(*, json: Flag = False) -> None:
    """List the recipes: what each is for."""
    from sightline.recipes import LADDERS, RECIPES

    rows = {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in RECIPES.items()}
    ladders = {name: [rung.recipe for rung in function()] for name, function in LADDERS.items()}
    if json:
        console.print_json({"recipes": rows, "ladders": ladders})
        return
    table = Table(title="recipes: sightline train NAME --data DATA", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("idea")
    for name, idea in rows.items():
        table.add_row(name, idea)
    console.out.print(table)
    for name, rungs in ladders.items():
        console.out.print(f"ladder [bold]{name}[/]: {' -> '.join(rungs)}", highlight=False, soft_wrap=True)
