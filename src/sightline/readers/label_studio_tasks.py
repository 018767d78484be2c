"""The tasks of a Label Studio export, as its JSON has them: which picture, and what was drawn on it.

In: a JSON. Out: tasks with boxes and points in fractions of the picture. Next: label_studio.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, about, rotation
from sightline.images import IMAGE_SUFFIXES
from sightline.readers.assemble import Findings, LabelError
from sightline.readers.json_stream import Entry, read_items
from sightline.readers.pictures import Pictures
from sightline.readers.xml_nodes import read_nodes

CROWD = "crowd"
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_KINDS = {"rectanglelabels": "RectangleLabels", "keypointlabels": "KeyPointLabels"}
_CONFIGS = ("config.xml", "label_config.xml", "labeling_config.xml")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One box or point.

    Attributes:
        kind: "rectanglelabels" or "keypointlabels".
        where: x0, y0, x1, y1, or the point twice, as fractions of the picture.
        is_crowd: whether its notes say so.
        was_turned: whether the rectangle was drawn at an angle; `where` is the upright box around it.
    """

    kind: str
    label: str
    where: Box
    is_crowd: bool = False
    was_turned: bool = False


@dataclass(frozen=True, kw_only=True)
class Task:
    """One labelled picture.

    Attributes:
        name: what the task calls it, cleaned of the server's additions.
        path: the picture, where it is there.
        drawn: what was drawn on it and could be understood.
        faults: what could not, and why.
        is_guess: whether a model drew it, and no person.
    """

    name: str
    path: Path | None
    source: str
    drawn: tuple[Drawn, ...]
    faults: tuple[LabelError, ...]
    size_hw: tuple[int, int] | None
    split: str | None
    group: str | None
    is_guess: bool = False


@dataclass(kw_only=True)
class Counts:
    """What was passed over or decided, told once at the end."""

    videos: int = 0
    several: int = 0
    pre_annotated: int = 0
    turned: int = 0
    others: dict[str, int] = field(default_factory=dict)


def read_tasks(file: Path, *, where: str, pictures: Pictures, findings: Findings) -> list[Task]:
    """The labelled tasks of an export; those that nobody labelled are warned of.

    Raises:
        UserError: the file is not a JSON list of tasks.
    """
    tasks: list[Task] = []
    counts = Counts()
    for index, entry in enumerate(read_items(file)):
        source = f"{where}:task {entry.get('id', index + 1)}"
        data = entry.get("data")
        if not isinstance(data, dict):
            raise UserError(f"{source} has no 'data'. Expected Label Studio's export JSON (not JSON-MIN, not CSV).")
        if "video" in data:
            counts.videos += 1
            continue
        said = _picture_value(data)
        if said is None:
            findings.error("row-unreadable", source, "its data name no picture")
            continue
        name, path = _find(said, pictures=pictures)
        result = _result(entry, counts=counts)
        if result is None:
            image_id = name if path is None else pictures.name_of(path)
            findings.warning("label-missing", source, f"'{image_id}' is not labelled yet", image_id=image_id)
            continue
        try:
            task = _task(result, data=data, name=name, path=path, source=source, counts=counts)
            tasks.append(replace(task, is_guess=not _done(entry)))
        except LabelError as bad:
            image_id = name if path is None else pictures.name_of(path)
            findings.error(bad.id, source, str(bad), image_id=image_id)
    _report(counts, where=where, findings=findings)
    return tasks


def configured_names(file: Path, *, kind: str) -> tuple[str, ...]:
    """The labels in the order of the labelling configuration beside an export; () where there is none."""
    for config in (file.with_name(f"{file.stem}_config.xml"), *(file.with_name(name) for name in _CONFIGS)):
        if config.is_file():
            nodes = read_nodes(config, {_KINDS[kind]})
            names = (label.attributes.get("value", "").strip() for node in nodes for label in node.all("Label"))
            return tuple(dict.fromkeys(name for name in names if name))
    return ()


def _picture_value(data: Mapping[str, object]) -> str | None:
    """The picture that a task's data name: under `image`, else the first value that ends like a picture."""
    values = [data.get("image"), *data.values()]
    texts = [value for value in values if isinstance(value, str)]
    return next((text for text in texts if PurePosixPath(_clean(text)).suffix.lower() in IMAGE_SUFFIXES), None)


def _clean(said: str) -> str:
    """The path in what a task says: a URL, a path of the server's local storage, or a name."""
    address = urlsplit(said)
    if "?d=" in said and (local := parse_qs(address.query).get("d")):
        return local[0]
    if address.scheme in ("http", "https", "s3", "gs", "azure-blob", "file") or said.startswith("/data/"):
        return unquote(address.path).lstrip("/")
    return said


def _find(said: str, *, pictures: Pictures) -> tuple[str, Path | None]:
    """A picture by its name, or without the eight characters that uploading puts before it."""
    name = _clean(said)
    path = pictures.find(name)
    shorter = str(PurePosixPath(name).with_name(_UPLOAD_PREFIX.sub("", PurePosixPath(name).name)))
    if path is None and shorter != name:
        path = pictures.find(shorter)
    return name, path


def _result(entry: Entry, *, counts: Counts) -> list[Entry] | None:
    """What a person drew, or else a model; None where neither did."""
    done = _done(entry)
    if len(done) > 1:
        counts.several += 1
    chosen = next((a for a in done if a.get("ground_truth")), done[0] if done else None)
    if chosen is None:
        guesses = entry.get("predictions")
        found = [p for p in guesses if isinstance(p, dict)] if isinstance(guesses, list) else []
        if not found:
            return None
        counts.pre_annotated += 1
        chosen = found[0]
    result = chosen.get("result")
    return [r for r in result if isinstance(r, dict)] if isinstance(result, list) else []


def _done(entry: Entry) -> list[Entry]:
    """The annotations by people that were not cancelled."""
    listed = entry.get("annotations", entry.get("completions"))
    return [a for a in listed if isinstance(a, dict) and not a.get("was_cancelled")] if isinstance(listed, list) else []


def _task(
    result: list[Entry], *, data: Mapping[str, object], name: str, path: Path | None, source: str, counts: Counts
) -> Task:
    drawn: list[Drawn] = []
    faults: list[LabelError] = []
    size_hw = None
    for region in result:
        if region.get("image_rotation") not in (None, 0, 0.0):
            turned = region.get("image_rotation")
            message = (
                f"it was labelled with the picture turned by {turned} degrees; turn the file itself, and label it so"
            )
            raise LabelError("image-turned", message)
        size_hw = size_hw or _size(region)
        kind = str(region.get("type"))
        if kind not in _KINDS:
            counts.others[kind] = counts.others.get(kind, 0) + 1
            continue
        try:
            drawn.append(_drawn(region, kind=kind, size_hw=_size(region)))
        except LabelError as bad:
            faults.append(bad)
    counts.turned += sum(one.was_turned for one in drawn)
    split, group = data.get("split"), data.get("group")
    return Task(
        name=name,
        path=path,
        source=source,
        drawn=tuple(drawn),
        faults=tuple(faults),
        size_hw=size_hw,
        split=split.lower() if isinstance(split, str) and split else None,
        group=str(group) if group not in (None, "") else None,
    )


def _drawn(region: Entry, *, kind: str, size_hw: tuple[int, int] | None) -> Drawn:
    value = region.get("value")
    if not isinstance(value, dict):
        raise LabelError("row-unreadable", f"region {region.get('id')} has no value")
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1 or not str(labels[0]).strip():
        raise LabelError("box-class-missing", f"region {region.get('id')} has the labels {labels}, expected one")
    x, y = _percent(value, "x"), _percent(value, "y")
    label = str(labels[0]).strip()
    if kind == "keypointlabels":
        return Drawn(kind=kind, label=label, where=(x, y, x, y))
    box = (x, y, x + _percent(value, "width"), y + _percent(value, "height"))
    degrees = value.get("rotation") or 0.0
    if degrees:
        box = _upright(box, degrees=degrees, size_hw=size_hw)
    meta = region.get("meta")
    notes = meta.get("text") if isinstance(meta, dict) else None
    is_crowd = CROWD in notes if isinstance(notes, list | str) else False
    return Drawn(kind=kind, label=label, where=box, is_crowd=is_crowd, was_turned=bool(degrees))


def _percent(value: Mapping[str, object], name: str) -> float:
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise LabelError("row-unreadable", f"{name} is {str(found)[:40]}, expected a number")
    return found / 100


def _upright(box: Box, *, degrees: object, size_hw: tuple[int, int] | None) -> Box:
    """The upright box around one that is turned about its upper left corner, clockwise, in pixels."""
    if not isinstance(degrees, int | float) or size_hw is None:
        raise LabelError("row-unreadable", f"rotation is {degrees}, expected a number, and the picture's size with it")
    height, width = size_hw
    scale = np.array([width, height, width, height], dtype=np.float64)
    pixels = np.array([box]) * scale
    turned = about(pixels[0, :2].tolist(), rotation(float(degrees))).boxes(pixels)
    x0, y0, x1, y1 = (turned / scale)[0].tolist()
    return x0, y0, x1, y1


def _size(region: Entry) -> tuple[int, int] | None:
    height, width = region.get("original_height"), region.get("original_width")
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        return height, width
    return None


def _report(counts: Counts, *, where: str, findings: Findings) -> None:
    for message, id, count in (
        ("tasks of videos are left out", "video-skipped", counts.videos),
        ("tasks were labelled more than once; the first annotation is used", "annotations-several", counts.several),
        (
            "tasks have no annotation by a person; their pre-annotations are read",
            "predictions-read",
            counts.pre_annotated,
        ),
    ):
        if count:
            findings.note(id, where, f"{count} {message}")
    if counts.turned:
        message = f"{counts.turned} rectangles were drawn at an angle; the upright boxes around them are used"
        findings.warning("box-turned", where, message)
    others = {kind: count for kind, count in counts.others.items() if kind != "None"}
    if others:
        listed: Iterator[str] = (f"{count} {kind}" for kind, count in sorted(others.items()))
        findings.note("annotation-skipped", where, f"left out: {', '.join(listed)}")
