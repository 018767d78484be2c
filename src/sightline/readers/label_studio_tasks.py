"""The tasks of a Label Studio export, as its JSON has them: which picture, and what was drawn on it.

In: a JSON. Out: tasks with boxes and points in fractions of the picture. Next: label_studio.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from sightline.images import IMAGE_SUFFIXES
from sightline.readers.assemble import Findings, LabelError
from sightline.readers.json_stream import Entry
from sightline.readers.label_studio_entries import KINDS, entries_of, shows_video
from sightline.readers.label_studio_regions import BOXES, POINTS, Drawn, drawn_from, kind_of, size_of
from sightline.readers.pictures import Pictures
from sightline.readers.xml_nodes import read_nodes

_TAGS = {BOXES: "RectangleLabels", POINTS: "KeyPointLabels"}
_CONFIGS = ("config.xml", "label_config.xml", "labeling_config.xml")


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
        UserError: the file holds no tasks.
    """
    tasks: list[Task] = []
    counts = Counts()
    for source, entry in entries_of(file, where=where):
        data = entry["data"]
        assert isinstance(data, Mapping), source
        said = _picture_value(data)
        if "video" in data or (said is None and shows_video(data)):
            counts.videos += 1
            continue
        if said is None:
            findings.error("row-unreadable", source, "its data name no picture")
            continue
        name = _clean(said)
        path = pictures.find(name)
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
            nodes = read_nodes(config, {_TAGS[kind]})
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
    labelled = {region.get("id") for region in result if region.get("type") == "labels"}
    for region in result:
        if region.get("image_rotation") not in (None, 0, 0.0):
            turned = region.get("image_rotation")
            message = (
                f"it was labelled with the picture turned by {turned} degrees; turn the file itself, and label it so"
            )
            raise LabelError("image-turned", message)
        size_hw = size_hw or size_of(region)
        kind = kind_of(region)
        if kind not in KINDS:
            if region.get("id") not in labelled:  # else it is the shape that a region of type "labels" repeats
                counts.others[kind] = counts.others.get(kind, 0) + 1
            continue
        try:
            drawn.append(drawn_from(region, kind=kind))
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
