"""The page of suspects: pictures with their labels drawn, the worst first, and what is said about each.

One HTML file that needs nothing else, as the report's. Next: fix.py
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np

from sightline.doctor.checks import CHECKS
from sightline.doctor.run import Examination
from sightline.files import write_atomically
from sightline.images import ImageError, read_image
from sightline.records import Dataset, Objects, Problem, Record
from sightline.report.frame import frame, image_tag, scaled
from sightline.writers.overlay import draw_boxes, draw_overlay

MOST_PICTURES = 120
_PER_KIND = 12  # pictures of one kind before other kinds get their turn
_SIDE = 420
_WEIGHT = {"error": 100.0, "warning": 10.0, "note": 1.0}


def write_page(found: Examination, path: Path) -> Path:
    """Write the page; raises UserError where the file cannot be written."""
    write_atomically(path, render(found))
    return path


def render(found: Examination) -> str:
    """The whole page."""
    dataset = found.case.dataset
    name = escape(dataset.root.resolve().name)
    suspects = ranked(found.problems)
    shown = _in_turn(suspects)
    tiles = "".join(_tile(dataset, image_id, problems) for image_id, problems in shown)
    more = len(suspects) - len(shown)
    rest = f'<p class="fine">{more:,} more pictures have problems: see --json.</p>' if more else ""
    counts = [(found.count(severity), severity) for severity in _WEIGHT]
    told = ", ".join(f"{count:,} {severity}{'s' if count != 1 else ''}" for count, severity in counts)
    pictures = f'<section id="pictures"><h2>Suspects</h2><div class="content"><div class="suspects">{tiles}</div>{rest}'
    body = (pictures + "</div></section>" if tiles else "") + _of_all(found) + _kinds(found)
    return frame(
        title=dataset.root.resolve().name,
        kind="check",
        header=f'<p class="origin">Data set <b>{escape(dataset.format)}</b></p><h1>{name}</h1>'
        f'<p class="lead">{len(dataset):,} records, {len(found.ran)} checks: '
        f"{told if found.problems else 'nothing found'}.</p>",
        main=body,
        sheets=(("sightline.doctor", "page.css"),),
    )


def ranked(problems: tuple[Problem, ...]) -> list[tuple[str, list[Problem]]]:
    """(image_id, its problems), the worst picture first; problems of the whole data set are left out."""
    by_picture: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.image_id is not None:
            by_picture.setdefault(problem.image_id, []).append(problem)
    return sorted(by_picture.items(), key=lambda entry: -sum(_WEIGHT[problem.severity] for problem in entry[1]))


def _in_turn(suspects: list[tuple[str, list[Problem]]]) -> list[tuple[str, list[Problem]]]:
    """The first of them, so that one frequent kind does not fill the page."""
    seen: dict[str, int] = {}
    first, later = [], []
    for image_id, problems in suspects:
        kind = problems[0].id
        seen[kind] = seen.get(kind, 0) + 1
        (first if seen[kind] <= _PER_KIND else later).append((image_id, problems))
    return [*first, *later][:MOST_PICTURES]


def _tile(dataset: Dataset, image_id: str, problems: list[Problem]) -> str:
    record = next((one for one in dataset.records if one.image_id == image_id), None)
    drawn = _drawn(dataset, record, dataset.root / image_id)
    worst = problems[0].severity
    listed = "".join(
        f'<li class="{problem.severity}"><b>{problem.id}</b> {escape(problem.message)}</li>' for problem in problems[:6]
    )
    more = f"<li>and {len(problems) - 6} more</li>" if len(problems) > 6 else ""
    place = escape(problems[0].where)
    return (
        f'<figure class="suspect {worst}">{drawn}<figcaption><p class="name">{escape(image_id)}</p>'
        f'<ul>{listed}{more}</ul><p class="fine">{place}</p></figcaption></figure>'
    )


def _drawn(dataset: Dataset, record: Record | None, path: Path) -> str:
    """The picture with its labels as an <img>; a word where there is none to see."""
    if record is not None and record.video_frame is not None:
        return '<div class="gone">a frame of a video</div>'
    try:
        picture = read_image(record.path if record is not None else path, channels=3)
    except ImageError as error:
        return f'<div class="gone">{escape(error.fault.replace("image-", "picture "))}</div>'
    small = scaled(picture, side=_SIDE)
    if record is None:
        return image_tag(small, alt=path.name)
    scale = np.array([small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]])
    # Labels are drawn on more pixels than are shown, so that they stay sharp on a phone.
    return image_tag(_with_labels(dataset, record, small, scale), alt=record.image_id, like=small)


def _with_labels(dataset: Dataset, record: Record, picture: np.ndarray, scale: np.ndarray) -> np.ndarray:
    picture = np.ascontiguousarray(picture)
    if record.objects is not None:
        objects: Objects = replace(record.objects, boxes_xyxy=record.objects.boxes_xyxy * np.tile(scale, 2))
        return draw_boxes(picture, boxes_xyxy=objects.boxes_xyxy, labels=objects.labels, classes=dataset.classes)
    box = None
    if record.box_xyxy is not None:
        x0, y0, x1, y1 = (np.array(record.box_xyxy) * np.tile(scale, 2)).tolist()
        box = (x0, y0, x1, y1)
    points = record.points_xy * scale
    return draw_overlay(picture, points_xy=points, skeleton=dataset.skeleton, visible=record.visible, box=box)


def _of_all(found: Examination) -> str:
    """Problems that concern no single picture."""
    rows = "".join(
        f'<tr><th class="{problem.severity}">{problem.id}</th><td>{escape(problem.message)}</td>'
        f"<td>{escape(CHECKS[problem.id].todo)}</td></tr>"
        for problem in found.problems
        if problem.image_id is None
    )
    if not rows:
        return ""
    table = f'<table class="whole"><tbody>{rows}</tbody></table>'
    return f'<section id="whole"><h2>The whole data set</h2><div class="content">{table}</div></section>'


def _kinds(found: Examination) -> str:
    """How often each kind was found, and what to do."""
    counts: dict[str, int] = {}
    for problem in found.problems:
        counts[problem.id] = counts.get(problem.id, 0) + 1
    if not counts:
        return ""
    rows = "".join(
        f'<tr><th class="{CHECKS[id].severity}">{id}</th><td>{count:,}</td><td>{escape(CHECKS[id].meaning)}; '
        f"{escape(CHECKS[id].todo)}</td></tr>"
        for id, count in counts.items()
    )
    table = f'<table class="whole"><tbody>{rows}</tbody></table>'
    return f'<section id="kinds"><h2>Kinds of problems</h2><div class="content">{table}</div></section>'
