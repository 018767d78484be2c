"""`sightline next`: which pictures or frames to label next, with what a model guesses of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.labelling.choose import Choice
    from sightline.labelling.next import Asked

SHOWN = 10
_Paths = Annotated[list[Path], Parameter(consume_multiple=True, negative="")]


def next(
    runs: list[Path],
    /,
    *,
    data: _Paths,
    out_: Annotated[Path, Parameter(name="--out")] = Path("next"),
    count: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 50,
    to: Many = None,
    every: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 0.2,
    apart: Annotated[float, Parameter(validator=validators.Number(gte=0))] = 1.0,
    boxes: Path | None = None,
    seed: int = 0,
    skip_broken: Flag = False,
    format: str | None = None,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Choose what is worth labelling: pictures that differ and that a model is unsure of or contradicts itself on.

    Writes the pictures with the model's guesses as pre-annotations, a table (next.csv) and a page (next.html). What
    people then made of them comes back by `sightline merge`.

    Args:
        runs: a run folder or an exported file; with several their disagreement counts.
        data: pictures, videos, label files, or folders of them; what is labelled there is left out.
        out_: a new folder for what is written.
        count: how many pictures.
        to: label formats for the guesses: label_studio, cvat, or another that `convert` writes.
        every: seconds of video from one frame that is looked at to the next; 0 for every frame.
        apart: seconds that chosen frames of one video lie apart at least.
        boxes: where models of points want a crop: a CSV of boxes (file,xmin,ymin,xmax,ymax), or a run or exported file
            that finds boxes, whose surest is taken; pictures without a box are left out. Else whole pictures.
        seed: decides between equals.
        skip_broken: leave pictures and videos out that cannot be read, instead of ending as a mistake behind the rest.
        format: of the labels in the data, where it cannot be found out.
        device: auto, cpu or cuda.
        json: print the choice as JSON.
    """
    from sightline.answers import cannot_be_read
    from sightline.labelling.next import choose_next

    if not runs:
        raise UserError("There is no run to ask. Expected: sightline next RUN --data PICTURES.")
    with console.err.status("loading") as status:
        asked = choose_next(
            runs,
            data,
            out_,
            count=count,
            formats=to or ["label_studio"],
            every_s=every,
            apart_s=apart,
            seed=seed,
            format=format,
            device=device,
            boxes=boxes,
            watch=lambda number: status.update(f"looking: {number:,}"),
        )
    if json:
        console.print_json(asked.to_json())
    else:
        _tell(asked, out=out_, count=count)
    if asked.broken and not skip_broken:
        raise cannot_be_read(asked.broken)  # behind the others, whose results are written
    for line in asked.broken:
        console.say(f"left out: {line}", on=console.err)
    return 0


def _tell(asked: Asked, *, out: Path, count: int) -> None:
    from rich.table import Table

    table = Table(title="to label next", title_justify="left")
    for name in ("", "picture", "unsure", "differ", "far", "why"):
        table.add_column(name, justify="left" if name in ("picture", "why") else "right", overflow="fold")
    for choice in asked.choices[:SHOWN]:
        table.add_row(*_cells(choice))
    console.out.print(table)
    if len(asked.choices) > SHOWN:
        console.say(f"and {len(asked.choices) - SHOWN:,} more in {out / 'next.csv'}")
    console.say(asked.summary())
    if len(asked.choices) < count:
        console.say(
            f"{len(asked.choices):,} instead of {count:,}: what is left shows nearly the same as what is chosen or "
            "labelled" + (", or lies too near in time (--apart)." if asked.has_films else ".")
            if asked.looked_at > len(asked.choices)
            else f"{len(asked.choices):,} instead of {count:,}: there are no more."
        )
    for path in asked.written:
        console.say(f"  {path}")


def _cells(choice: Choice) -> tuple[str, ...]:
    from rich.markup import escape

    seen = choice.seen
    distance = "" if choice.distance is None else f"{choice.distance:.2f}"
    values = (f"{seen.doubt.value:.2g}", f"{seen.disagreement:.2g}", distance)
    return (str(choice.rank), escape(seen.candidate.name), *values, escape(choice.why))
