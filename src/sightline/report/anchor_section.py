"""The page's section about anchors: what they can reach, what each level learns, whether automatic ones would help.

In: `anchors` of run.json, as `sightline anchors --json` gives it.
Next: box_states.py
"""

from __future__ import annotations

from html import escape
from typing import Any

from sightline.errors import UserError
from sightline.report.run_folder import RunFolder
from sightline.report.tables import Line, cell, number_table
from sightline.report.values import is_count, number, rows, section
from sightline.report.words import counted, share

_DASH = "\u2013"


def anchors(run: RunFolder) -> str:
    """Best possible recall, and for each way of assigning what becomes of the objects on each level."""
    found = section(run.run, "anchors")
    if not found:
        return ""
    coverage = section(found, "coverage")
    recall, mean_iou, places = (number(coverage.get(key)) for key in ("recall", "mean_iou", "places"))
    if recall is None or mean_iou is None or places is None:
        raise _wrong(run, "coverage lacks recall, mean_iou or places")
    kind = section(found, "rule").get("kind")
    rule = f" ({kind})" if isinstance(kind, str) else ""
    lead = (
        f"{counted(places, 'anchor')}{rule}: {share(recall)} of the objects overlap one of them by more than half, "
        f"which is the best possible recall; the mean IoU of an object with its best anchor is {mean_iou:.3f}."
    )
    idle = len(rows(coverage, "idle"))
    if idle:
        lead += f" {counted(idle, 'anchor shape')} {'matches' if idle == 1 else 'match'} no object."
    names = _levels(run, found)
    tables = "".join(
        f"<div><h3>{escape(way)}</h3>{_way(run, way, assignment, names=names)}</div>"
        for way, assignment in section(coverage, "assignments").items()
    )
    return (
        f'<p>{escape(lead)}</p><div class="charts">{tables}</div><p class="fine">For each way to decide which place '
        "learns which object. Objects: those whose size is nearest to the level's anchors. Places: how many learn one "
        "of them, on average. Share: of all places that learn, those on this level. Orphans: nothing learns them. "
        f"Forced: have a place only because every object must get one.</p>{_automatic(run, found)}"
    )


def _levels(run: RunFolder, found: dict[str, Any]) -> list[str]:
    names = []
    for size in rows(found, "levels_hw"):
        if not isinstance(size, list) or len(size) != 2 or not all(is_count(side) for side in size):
            raise _wrong(run, "levels_hw is not a list of heights and widths")
        names.append(f"{size[0]} x {size[1]}")
    return names


def _way(run: RunFolder, way: str, assignment: object, *, names: list[str]) -> str:
    levels = rows(assignment, "levels") if isinstance(assignment, dict) else []
    if len(levels) != len(names) or not all(isinstance(level, dict) for level in levels):
        raise _wrong(run, f"{way!r} has {len(levels)} levels, expected {len(names)}")
    lines = [_line(run, name, level) for name, level in zip(names, levels, strict=True)]
    assert isinstance(assignment, dict), assignment
    lines.append(_line(run, "all", {**assignment, "share": 1.0}))
    return number_table(("Level", "Objects", "Places", "Share", "Orphans", "Forced"), lines)


def _line(run: RunFolder, name: str, level: dict[str, Any]) -> Line:
    counts = [level.get(key) for key in ("objects", "orphans", "forced")]
    if not all(is_count(count) for count in counts):
        raise _wrong(run, f"level {name} lacks objects, orphans or forced")
    objects, orphans, forced = (f"{count:,}" for count in counts)
    places, part = number(level.get("per_object")), number(level.get("share"))
    return Line(
        name=name,
        cells=[
            cell(objects),
            cell(_DASH if places is None else f"{places:.1f}"),
            cell(_DASH if part is None else f"{part * 100:.0f}\u202f%"),
            cell(orphans, kind="bad" if orphans != "0" else ""),
            cell(forced),
        ],
    )


def _automatic(run: RunFolder, found: dict[str, Any]) -> str:
    tried = rows(found, "automatic")
    if not tried:
        return ""
    coverage = section(found, "coverage")
    lines = [_try(run, {"way": "as they are", **coverage})]
    notes = []
    for one in tried:
        if not isinstance(one, dict):
            raise _wrong(run, "automatic is not a list of objects")
        lines.append(_try(run, one))
        if one.get("why_not"):
            notes.append(f"By {one.get('way')}: {one['why_not']}")
    better = found.get("better")
    verdict = f"Those by {better} would help." if isinstance(better, str) else "They would not help."
    text = " ".join((verdict, *notes, "Found in one half of the pictures and measured on the other."))
    return (
        f"<h3>Automatic anchors</h3>{number_table(('Anchors', 'A cell', 'Recall', 'Mean IoU'), lines)}"
        f'<p class="fine">{escape(text)}</p>'
    )


def _try(run: RunFolder, one: dict[str, Any]) -> Line:
    recall, mean_iou, per_cell = (number(one.get(key)) for key in ("recall", "mean_iou", "per_cell"))
    return Line(
        name=str(one.get("way")),
        cells=[
            cell(_DASH if per_cell is None else f"{per_cell:.0f}"),
            cell(share(recall)),
            cell(_DASH if mean_iou is None else f"{mean_iou:.3f}"),
        ],
    )


def _wrong(run: RunFolder, complaint: str) -> UserError:
    return UserError(
        f"{run.path / 'run.json'}: anchors: {complaint}. Restore it, or take `anchors` out of the file to report "
        "without them."
    )
