"""Label Studio: the JSON of an export, with rectangles (boxes) or key points of one object a picture.

Convention of the format: percent of the picture's width and height from edge to edge, of the picture
as it is shown, upright. Pictures are paths of the server (`/data/local-files/?d=...`), uploads with
eight characters before the name, or URLs; they are looked for by name below the JSON's folder. A
rectangle drawn at an angle gives the upright box around it; a picture that was turned while labelling
is an error. An annotation without regions says that there is nothing in the picture; a task without
annotation is not labelled. `split` and `group` of a task's data are read, and a note "crowd".
The labelling configuration beside the JSON (`NAME_config.xml`, `config.xml`) gives the order of labels.
In: a JSON or its folder. Out: a Dataset. Next: cvat.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.readers.assemble import Draft, Findings, assemble, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes
from sightline.readers.class_names import class_order
from sightline.readers.json_stream import json_files, mentions
from sightline.readers.label_studio_tasks import Task, configured_names, read_tasks
from sightline.readers.pictures import Pictures
from sightline.readers.texts import choose_label_files
from sightline.records import Dataset
from sightline.skeletons import skeleton_for

FORMAT = "label_studio"
LOOKED_FOR = "a JSON of tasks with rectanglelabels or keypointlabels (Label Studio export)"

_BOXES, _POINTS = "rectanglelabels", "keypointlabels"


def detect(path: Path) -> bool:
    """Whether the path is such a JSON, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one JSON, or those of a folder whose names tell the parts of the data.

    Raises:
        UserError: no such JSON, it cannot be parsed, or it has boxes and points, or neither.
    """
    files = _files(path) or ([path] if path.is_file() and path.suffix.lower() == ".json" else [])
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings, pictures = Findings(), Pictures(root)
    tasks: list[Task] = []
    chosen = choose_label_files(files, what="Label Studio")
    for file, split in chosen:
        for task in read_tasks(file, where=place(file, root), pictures=pictures, findings=findings):
            tasks.append(task if task.split or split is None else replace(task, split=split))
    listed = {kind: configured_names(chosen[0][0], kind=kind) for kind in (_BOXES, _POINTS)}
    kinds = {one.kind for task in tasks for one in task.drawn} or {kind for kind, names in listed.items() if names}
    where = ", ".join(place(file, root) for file, _ in chosen)
    if len(kinds) != 1 and (tasks or not findings.problems):
        found = "both rectangles and key points" if kinds else "neither rectangles nor key points"
        raise UserError(f"{root / where} has {found}. Expected one kind: export the tasks or the labels of one kind.")
    elsewhere = [file for file in json_files(root) if file not in files]
    build = _of_points if kinds == {_POINTS} else _of_boxes
    names = listed[_POINTS if kinds == {_POINTS} else _BOXES]
    return build(tasks, root=root, listed=names, findings=findings, pictures=pictures, elsewhere=elsewhere)


def _files(path: Path) -> list[Path]:
    """The JSONs of this format: the path itself, or those directly in it."""
    files = json_files(path) if path.is_dir() else [path] if path.suffix.lower() == ".json" else []
    return [file for file in files if mentions(file, "data") and _has_regions(file)]


def _has_regions(file: Path) -> bool:
    """Whether there are boxes or points, or a configuration beside the file where nothing was there to be drawn."""
    has_config = file.with_name(f"{file.stem}_config.xml").is_file()
    return has_config or mentions(file, _BOXES) or mentions(file, _POINTS)


def _of_boxes(
    tasks: Sequence[Task],
    *,
    root: Path,
    listed: Sequence[str],
    findings: Findings,
    pictures: Pictures,
    elsewhere: Sequence[Path],
) -> Dataset:
    drafts = []
    for task in tasks:
        boxes = tuple(
            RawBox(xyxy=one.where, label=one.label, source=task.source, crowd=one.is_crowd) for one in task.drawn
        )
        faults = tuple(Fault(id=bad.id, source=task.source, message=str(bad)) for bad in task.faults)
        drafts.append(
            BoxDraft(
                name=task.name,
                source=task.source,
                listing=task.source,
                boxes=boxes,
                faults=faults,
                size_hw=task.size_hw,
                group=task.group,
                split=task.split,
                path=task.path,
                is_guess=task.is_guess,
            )
        )
    found = [box.label for draft in drafts for box in draft.boxes]
    return assemble_boxes(
        drafts,
        root=root,
        format=FORMAT,
        classes=class_order(found, listed=listed),
        findings=findings,
        pictures=pictures,
        fractions=True,
        labelled_elsewhere=elsewhere,
    )


def _of_points(
    tasks: Sequence[Task],
    *,
    root: Path,
    listed: Sequence[str],
    findings: Findings,
    pictures: Pictures,
    elsewhere: Sequence[Path],
) -> Dataset:
    names = tuple(dict.fromkeys([*listed, *(one.label for task in tasks for one in task.drawn)]))
    drafts = []
    for task in tasks:
        points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
        image_id = task.name if task.path is None else pictures.name_of(task.path)
        for bad in task.faults:
            findings.error(bad.id, task.source, str(bad), image_id=image_id)
        twice = None
        for one in task.drawn:
            index = names.index(one.label)
            twice = one.label if visible[index] else twice
            points_xy[index], visible[index] = one.where[:2], True
        if twice is not None:
            message = f"the point '{twice}' is there twice; expected one object with each point once"
            findings.error("point-count", task.source, message, image_id=image_id)
        elif not np.isfinite(points_xy).all():
            findings.error("point-not-finite", task.source, "a point is NaN or infinite", image_id=image_id)
        elif not task.faults:
            drafts.append(
                Draft(
                    name=task.name,
                    points_xy=points_xy,
                    visible=visible,
                    source=task.source,
                    listing=task.source,
                    size_hw=task.size_hw,
                    group=task.group,
                    split=task.split,
                    path=task.path,
                    is_guess=task.is_guess,
                )
            )
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeleton_for(names),
        findings=findings,
        pictures=pictures,
        fractions=True,
        labelled_elsewhere=elsewhere,
    )
