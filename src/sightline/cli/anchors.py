"""`sightline anchors`: do a model's anchors suit a data set's boxes?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many


def anchors(
    data: Path,
    *,
    recipe: str = "retinanet",
    use: Many = None,
    set: Many = None,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    format: str | None = None,
    skip_broken: Flag = False,
    json: Flag = False,
) -> int:
    """Show how a detector's anchors cover a data set's boxes, and whether automatic anchors would help.

    Args:
        data: a label file or the folder that holds labels and pictures.
        recipe: whose levels and anchors; a name or a YAML file.
        use: swap pieces, SLOT=NAME.
        set: change settings, KEY=VALUE.
        out_: write the picture of box sizes and anchors there, as SVG.
        format: the label format, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
        json: print the result as JSON.
    """
    from sightline.cli.choose import chosen
    from sightline.data_fit import look_at_anchors
    from sightline.files import require_place, write_atomically
    from sightline.prepare import load_data, prepare

    if out_ is not None:
        require_place(out_)
    prepared = prepare(chosen(recipe, use, set), load_data(data, skip_broken=skip_broken, format=format))
    experiment = prepared.experiment
    found = look_at_anchors(experiment, [*prepared.split.train, *prepared.split.val])
    if out_ is not None:
        write_atomically(out_, found.picture(title=f"{experiment.recipe} on {data.name}"))
    if json:
        console.print_json(found.to_json())
        return 0
    for line in found.lines():
        console.say(line)
    if out_ is not None:
        console.say(f"picture  {out_}")
    return 0
