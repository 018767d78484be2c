"""`sightline merge`: newly labelled pictures joined with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many


def merge(
    old: Path,
    new: Path,
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    to: str | None = None,
    on_conflict: Literal["refuse", "newer", "older"] = "refuse",
    rename: Many = None,
    old_format: str | None = None,
    new_format: str | None = None,
    skip_broken: Flag = False,
    json: Flag = False,
) -> int:
    """Join a labelled data set with new labels, in any two formats that are read, without losing one of either.

    Pictures are known by their bytes, or by name and look where a tool saved them again; so are clips, whose frames
    are joined one by one. The originals stay as they are. Pre-annotations that no person has looked at are left out.

    Args:
        old: the data set, whose names of points or classes hold.
        new: what people labelled since, such as Label Studio's export of what `next` wrote.
        out_: a new folder for labels and pictures; or a new label file (.json, .csv, .xml), beside which the pictures
            are put that are not there yet.
        to: the format to write; that of OLD, or the nearest that can hold it, without it.
        on_conflict: whose labels hold where both label a picture or frame differently; nothing is written without it.
        rename: NEW=OLD, where a point or class is called otherwise in the new labels.
        old_format: of OLD, where it cannot be found out.
        new_format: of NEW.
        skip_broken: leave broken samples out instead of stopping.
        json: print what was done as JSON.
    """
    from sightline.labelling.merge import merge_datasets
    from sightline.labelling.merged_files import merged_from_files

    done = merged_from_files(
        old,
        new,
        out_,
        join=lambda before, after, renames: merge_datasets(before, after, on_conflict=on_conflict, renames=renames),
        to=to,
        renames=rename or (),
        old_format=old_format,
        new_format=new_format,
        skip_broken=skip_broken,
    )
    if json:
        console.print_json(done.to_json())
    else:
        for line in done.lines():
            console.say(line)
    return 0
