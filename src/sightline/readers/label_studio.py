"""Label Studio: the JSON or JSON-MIN of an export, with rectangles (boxes), or with key points.

Convention of the format: percent of the picture's width and height from edge to edge, of the picture
as it is shown, upright. Pictures are paths of the server (`/data/local-files/?d=...`), uploads with
eight characters before the name, or URLs; they are looked for by name below the JSON's folder. A
rectangle drawn at an angle gives the upright box around it, as do polygons and ellipses of labels that
have no rectangles; a picture that was turned while labelling is an error. Key points are those of one
object a picture; with rectangles beside them each rectangle is an object, and a point belongs to the one
that is its parent, the only one, or the only one that it lies in. An annotation without regions says that
there is nothing in the picture; a task without annotation is not labelled. `split` and `group` of a
task's data are read, and a note "crowd". The labelling configuration beside the JSON (`NAME_config.xml`,
`config.xml`) gives the order of labels.
In: a JSON or its folder. Out: a Dataset. Next: label_studio_entries.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes
from sightline.readers.class_names import class_order
from sightline.readers.json_stream import json_files, mentions
from sightline.readers.label_studio_entries import is_export
from sightline.readers.label_studio_objects import objects_of
from sightline.readers.label_studio_regions import BOXES, OUTLINES, POINTS
from sightline.readers.label_studio_tasks import Task, configured_names, read_tasks
from sightline.readers.pictures import Pictures
from sightline.readers.texts import choose_label_files, read_start
from sightline.records import Dataset
from sightline.skeletons import skeleton_for

FORMAT = "label_studio"
LOOKED_FOR = "a JSON of tasks with rectanglelabels or keypointlabels (Label Studio export, JSON or JSON-MIN)"


def detect(path: Path) -> bool:
    """Whether the path is such a JSON, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one JSON, or those of a folder whose names tell the parts of the data.

    Raises:
        UserError: no such JSON, it cannot be parsed, or it has neither boxes nor points.
    """
    files = _files(path) or ([path] if path.is_file() and path.suffix.lower() == ".json" else [])
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings, pictures = Findings(), Pictures(root)
    tasks: list[Task] = []
    # A storage that Label Studio writes to has a file for each annotation.
    are_tasks = all(read_start(file).lstrip().startswith("{") for file in files)
    chosen = [(file, None) for file in files] if are_tasks else choose_label_files(files, what="Label Studio")
    for file, split in chosen:
        for task in read_tasks(file, where=place(file, root), pictures=pictures, findings=findings):
            tasks.append(task if task.split or split is None else replace(task, split=split))
    listed = {kind: configured_names(chosen[0][0], kind=kind) for kind in (BOXES, POINTS)}
    kinds = {one.kind for task in tasks for one in task.drawn} or {kind for kind, names in listed.items() if names}
    where = place(files[0], root) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    is_told = findings.has_errors or any(task.faults for task in tasks) or (findings.problems and not tasks)
    if not kinds and not is_told:
        raise UserError(
            f"{root / where} has neither rectangles nor key points. Expected some: export the tasks, as JSON, with "
            "their annotations."
        )
    elsewhere = [file for file in json_files(root) if file not in files]
    outlines = _use_outlines(tasks, where=where, findings=findings)
    build = _of_points if POINTS in kinds else _of_boxes
    names = listed[POINTS if POINTS in kinds else BOXES]
    return build(outlines, root=root, listed=names, findings=findings, pictures=pictures, elsewhere=elsewhere)


def _files(path: Path) -> list[Path]:
    """The JSONs of this format: the path itself, or those directly in it."""
    files = json_files(path) if path.is_dir() else [path] if path.suffix.lower() == ".json" else []
    # A configuration beside a file tells what could have been drawn where nothing was.
    return [
        file
        for file in files
        if is_export(file) or (mentions(file, "data") and file.with_name(f"{file.stem}_config.xml").is_file())
    ]


def _use_outlines(tasks: Sequence[Task], *, where: str, findings: Findings) -> list[Task]:
    """The tasks with boxes around outlines, but for those of labels that have rectangles, or of data of points."""
    shapes = [one for task in tasks for one in task.drawn]
    boxed = {one.label for one in shapes if one.kind == BOXES}
    has_points = any(one.kind == POINTS for one in shapes)
    used = left = 0
    made = []
    for task in tasks:
        drawn = []
        for one in task.drawn:
            if one.kind not in OUTLINES:
                drawn.append(one)
            elif has_points or one.label in boxed:
                left += 1
            else:
                used += 1
                drawn.append(replace(one, kind=BOXES))
        made.append(replace(task, drawn=tuple(drawn)))
    if used:
        message = f"{used} polygons or ellipses of labels that have no rectangles; the boxes around them are used"
        findings.note("outline-boxed", where, message)
    if left:
        findings.note("annotation-skipped", where, f"left out: {left} polygons or ellipses")
    return made


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
    shapes = [one for task in tasks for one in task.drawn]
    names = tuple(dict.fromkeys([*listed, *(one.label for one in shapes if one.kind == POINTS)]))
    if rectangles := sum(one.kind == BOXES for one in shapes):
        message = f"{rectangles} rectangles are taken for the boxes of the objects whose points are in them"
        findings.note("boxes-of-objects", tasks[0].source.rsplit(":", 1)[0], message)
    drafts = []
    for task in tasks:
        image_id = task.name if task.path is None else pictures.name_of(task.path)
        for bad in task.faults:
            findings.error(bad.id, task.source, str(bad), image_id=image_id)
        if task.faults:
            continue
        try:
            objects = objects_of(task, names=names)
        except LabelError as bad:
            findings.error(bad.id, task.source, str(bad), image_id=image_id)
            continue
        drafts += [
            Draft(
                name=task.name,
                points_xy=points_xy,
                visible=visible,
                source=task.source,
                listing=task.source,
                box_xyxy=box,
                size_hw=task.size_hw,
                group=task.group,
                split=task.split,
                path=task.path,
                is_guess=task.is_guess,
            )
            for points_xy, visible, box in objects
        ]
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
