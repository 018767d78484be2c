"""`sightline inspect`: a recipe's network, layer by layer; or what an exported file says of itself."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from sightline.cli import console
from sightline.cli.choose import chosen
from sightline.cli.options import Flag, Many
from sightline.errors import UserError


def inspect(recipe: str, *, use: Many = None, set: Many = None, measure: Flag = False, json: Flag = False) -> None:
    """Show a recipe's layers, parameters, operations, shapes and memory; or the card of an exported file.

    The card tells what the file finds, how far it is from its run, and how long it takes with how many threads where.

    Args:
        recipe: a name (see `sightline recipes`), a YAML file, or a file that `sightline export` wrote.
        use: swap pieces, SLOT=NAME.
        set: change settings, KEY=VALUE.
        measure: also make one step in a process of its own and tell the peak of its memory.
        json: print the result as JSON.
    """
    path = Path(recipe)
    if path.is_file() and path.suffix not in (".yaml", ".yml"):
        from sightline.cli.artefact_card import tell_artefact

        if use or set or measure:
            raise UserError(
                f"{path} is an exported file, whose model is settled: leave out --use, --set and --measure."
            )
        tell_artefact(path, json=json)
        return
    from sightline.inspect import inspect as look
    from sightline.inspect import measured_peak
    from sightline.recipes import PUBLISHED

    experiment = chosen(recipe, use, set)
    # A write-up's count is of the recipe as it stands.
    published = None if use or set else PUBLISHED.get(experiment.recipe)
    found = look(experiment).to_json(experiment.recipe, published=published)
    if measure:
        found["memory"]["measured_peak_mb"] = measured_peak(experiment) / 2**20
    if json:
        console.print_json(found)
        return
    table = Table(title=f"{experiment.recipe}: layers", title_justify="left")
    for column in ("layer", "type", "output", "parameters"):
        table.add_column(column, justify="right" if column == "parameters" else "left")
    for layer in found["layers"]:
        table.add_row(layer["name"], layer["type"], " x ".join(map(str, layer["output"])), f"{layer['parameters']:,}")
    console.out.print(table)
    for stage, text in found["stages"].items():
        console.say(f"{stage:>9}  {text}")
    totals = found["parameters"]
    console.out.print(
        f"parameters {totals['total']:,} (trainable {totals['trainable']:,}, frozen {totals['frozen']:,})"
    )
    console.out.print(f"operations {found['flops'] / 1e9:.3f} GFLOPs for one picture (2 x multiply-adds)")
    if published is not None:
        more = "" if published == totals["total"] else " (its write-up counts four numbers for each anchor too)"
        console.say(f"published  {published:,} parameters{more}")
    memory = ", ".join(f"{key.removesuffix('_mb').replace('_', ' ')} {mb:.2f}" for key, mb in found["memory"].items())
    console.say(f"memory, MB of one picture as write-ups count it: {memory}")
