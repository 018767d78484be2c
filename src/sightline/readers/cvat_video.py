"""CVAT for video 1.1: one XML with `track` and in it a shape for each key frame.

A shape is `points` or a `skeleton` of one point, or a `box`. Convention of the format: continuous pixels from edge to
edge; of a box the middle is taken. `outside="1"` is not visible, from that frame on to the next; `occluded` is visible.
Between key frames places are interpolated. Frames without a visible track are labelled as not visible, from the job's
first frame to its last (`start_frame`, `stop_frame`, `frame_filter` of `meta`). The video is the one that `source`
names, or the one of the XML's name, or the only one in the folder; or there is a folder of numbered frames, such as
`images`. Of a project each task is a clip of its own; its video is the one of the task's name, where there is no
`source`. An export of single images of a video, without the pictures, is read too. One kind of object: of one label.
In: an XML or its folder. Out: a Dataset of clips. Next: label_studio_video.py
"""

from __future__ import annotations

import mmap
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, Place, assemble_clips, open_footage
from sightline.readers.cvat_frames import as_tracks, is_of_frames
from sightline.readers.footage import Footage, find_footage, only, videos_named
from sightline.readers.keyframes import Keyframe, Track, labels_of_tracks, read_keyframes
from sightline.readers.texts import is_finite, number, read_start, split_of_name
from sightline.readers.xml_nodes import Node, read_nodes, xml_files
from sightline.records import Dataset, Skeleton
from sightline.video.folder_source import numbered_pictures

FORMAT = "cvat_video"
LOOKED_FOR = "an XML with <annotations> and <track label=...> of points or boxes (CVAT for video 1.1)"

_SHAPES = ("points", "box", "skeleton")
_EDGES = ("xtl", "ytl", "xbr", "ybr")
# Folders of VOC hold an XML for each picture: so many of each end are opened to tell that they are of another format.
_PEEKED = 10


def detect(path: Path) -> bool:
    """Whether the path is such an XML, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one XML, or all of a folder; each is a clip.

    Raises:
        UserError: no such XML, not XML, a document type, or tracks of several labels.
        MissingExtra: a clip is a video, and PyAV is not installed.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings = Findings()
    drafts: list[ClipDraft] = []
    names: dict[str, str] = {}
    for file in files:
        where = place(file, root)
        nodes = read_nodes(file, {"meta", "track", "image"})
        tracks = [node for node in nodes if node.tag == "track"]
        tracks = tracks or as_tracks([node for node in nodes if node.tag == "image"])
        for track in tracks:
            names.setdefault(track.attributes.get("label", "").strip(), f"{where}:{track.line}")
        for task in _tasks(file, nodes, tracks):
            draft = _clip(task, where=where, root=root, findings=findings)
            if draft is not None:
                drafts.append(draft)
    if len(names) > 1:
        found = ", ".join(f"'{name}' ({where})" for name, where in sorted(names.items()))
        raise UserError(
            f"{root} holds tracks of several labels: {found}. Expected one kind of object through video: leave only "
            "the <track> elements of one label in it, or delete the others in CVAT and export again."
        )
    skeleton = Skeleton(names=(next(iter(names), "") or "point",))
    return assemble_clips(drafts, root=root, format=FORMAT, findings=findings, skeleton=skeleton)


def _files(path: Path) -> list[Path]:
    """The XML files of this format: the path itself, those directly in it, or those in the folders in it."""
    if not path.is_dir():
        return [path] if path.suffix.lower() == ".xml" and _is_of_tracks(path) else []
    if files := _of_tracks(path):
        return files
    with os.scandir(path) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [file for name in names for file in _of_tracks(path / name)]


def _of_tracks(folder: Path) -> list[Path]:
    """Those directly in a folder; none where neither its first nor its last XMLs are of this format."""
    files = xml_files(folder)
    if not any(_is_of_tracks(file) for file in dict.fromkeys([*files[:_PEEKED], *files[-_PEEKED:]])):
        return []
    return [file for file in files if _is_of_tracks(file)]


def _is_of_tracks(file: Path) -> bool:
    if "<annotations" not in read_start(file):
        return False
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data.find(b"<track ") >= 0:
            return True
    return is_of_frames(file)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What an XML holds of one video; `name` is that of the task in a project of several, else empty."""

    file: Path
    meta: Node
    tracks: Sequence[Node]
    name: str = ""


def _tasks(file: Path, nodes: Sequence[Node], tracks: Sequence[Node]) -> list[_Task]:
    """The tasks of an XML: one, or those of a project, whose tracks say by `task_id` where they belong."""
    meta = next((node for node in nodes if node.tag == "meta"), Node(tag="meta", attributes={}, line=1))
    listed = _find(meta, "tasks")
    of_project = list(listed.all("task")) if listed is not None else []
    if len(of_project) < 2:
        return [_Task(file=file, meta=meta, tracks=tracks)]
    return [
        _Task(
            file=file,
            meta=task,
            tracks=[track for track in tracks if track.attributes.get("task_id") == task.text_of("id")],
            name=task.text_of("name") or task.text_of("id"),
        )
        for task in of_project
    ]


def _clip(task: _Task, *, where: str, root: Path, findings: Findings) -> ClipDraft | None:
    """The clip of a task; None, with an error, where its frames cannot be found or read."""
    file, meta, tracks = task.file, task.meta, task.tracks
    source = _text(meta, "source") or task.name
    found = only(videos_named(file.parent, source)) or only(videos_named(root, source)) if source else None
    if found is None:
        found = find_footage(
            file, [*dict.fromkeys(name for name in (Path(source).stem, task.name or file.stem) if name)]
        )
    if found is None and not task.name:  # an export with pictures has all frames in images/
        folder = file.parent / "images"
        found = folder if folder.is_dir() and numbered_pictures(folder) else None
    if found is None:
        findings.error("video-missing", where, f"there is no video '{source or file.with_suffix('.mp4').name}'")
        return None
    footage = open_footage(found, where=where, findings=findings)
    if footage is None:
        return None
    _check_size(meta, footage, where=where, findings=findings)
    frames = _labelled_frames(meta, footage, where=where, findings=findings)
    read_tracks = []
    for track in tracks:
        keyframes = _keyframes(track, where=where, findings=findings)
        if keyframes:
            read_tracks.append(Track(keyframes=keyframes, source=f"{where}:{track.line}"))
    others = Counter(child.tag for track in tracks for child in track.children if child.tag not in _SHAPES)
    others.pop("attribute", None)
    if others:
        listed = ", ".join(f"{count} {tag}" for tag, count in sorted(others.items()))
        findings.note("annotation-skipped", where, f"left out: {listed}")
    if tracks and not any(track.first(shape) for track in tracks for shape in _SHAPES):
        shapes = ", ".join(sorted(others)) or "no shapes"
        message = f"its tracks hold {shapes}; expected points of one point, or boxes, to tell where something is"
        findings.error("row-unreadable", f"{where}:{tracks[0].line}", message)
        return None
    labels = labels_of_tracks(read_tracks, frames=frames, end=footage.end, where=where, findings=findings)
    name = place(file.with_suffix(""), root) + (f"/{task.name}" if task.name else "")
    split = split_of_name(_text(meta, "subset")) if task.name else None
    return ClipDraft(name=name, footage=footage, labels=labels, where=where, split=split or split_of_name(file.stem))


def _text(meta: Node, tag: str) -> str:
    """The text of the first element of that name anywhere in `meta`; a job's or a task's."""
    for child in meta.children:
        if child.tag == tag and child.text.strip():
            return child.text.strip()
        if text := _text(child, tag):
            return text
    return ""


def _check_size(meta: Node, footage: Footage, *, where: str, findings: Findings) -> None:
    """Warn where the XML was made of another video than the one that was found."""
    size = next((node for name in ("original_size",) if (node := _find(meta, name)) is not None), None)
    if size is None or footage.info is None:
        return
    said = (size.text_of("height"), size.text_of("width"))
    height, width = footage.info.size_hw
    if said != (str(height), str(width)):
        message = f"the label file says {said[1]} x {said[0]} pixels, {footage.video} has {width} x {height}"
        findings.warning("image-size-mismatch", where, message)


def _find(node: Node, tag: str) -> Node | None:
    for child in node.children:
        if child.tag == tag:
            return child
        if (found := _find(child, tag)) is not None:
            return found
    return None


def _labelled_frames(meta: Node, footage: Footage, *, where: str, findings: Findings) -> list[int]:
    """The frames that the job had, which are all where it does not say."""
    start, stop, step = footage.first, footage.end - 1, 1
    texts = {tag: _text(meta, tag) for tag in ("start_frame", "stop_frame", "frame_filter")}
    if texts["start_frame"].isdigit():
        start = max(start, int(texts["start_frame"]))
    if texts["stop_frame"].isdigit():
        stop = int(texts["stop_frame"])
        if stop >= footage.end:
            message = f"the job goes to frame {stop}, the last one is {footage.end - 1}; was the video cut since?"
            findings.warning("video-length-differs", where, message)
            stop = footage.end - 1
    filter_text = texts["frame_filter"].replace(" ", "")
    if filter_text.startswith("step=") and filter_text[5:].isdigit():
        step = max(1, int(filter_text[5:]))
    return [number for number in range(start, stop + 1, step) if footage.at(number) is not None]


def _keyframes(track: Node, *, where: str, findings: Findings) -> list[Keyframe]:
    """The frames of a track that can be understood; the others become errors."""
    nodes = ((node, f"{where}:{node.line}") for node in track.children if node.tag in _SHAPES)
    return read_keyframes(nodes, _keyframe, counts_from=0, inside="this track", findings=findings)


def _keyframe(node: Node) -> Keyframe:
    if node.tag == "skeleton":
        points = list(node.all("points"))
        if len(points) != 1:
            raise LabelError("point-count", f"a <skeleton> of {len(points)} points; expected one")
        attributes = {**node.attributes, **points[0].attributes}
        node = Node(tag="points", attributes=attributes, line=node.line)
    text = node.attributes.get("frame", "")
    if not text.isdigit():
        raise LabelError("row-unreadable", f"frame is '{text}', expected a whole number from 0 on")
    shown = node.attributes.get("outside", "0") != "1"
    return Keyframe(number=int(text), xy=_xy(node), shown=shown, shown_after=shown)


def _xy(node: Node) -> Place:
    """The point, or the middle of the box."""
    points = node.attributes.get("points", "")
    texts = [node.attributes.get(edge, "") for edge in _EDGES] if node.tag == "box" else points.split(",")
    if ";" in points:
        raise LabelError("point-count", f"a <points> of {points.count(';') + 1} points; expected one")
    try:
        values = [number(text) for text in texts]
    except ValueError:
        raise LabelError("row-unreadable", f"a <{node.tag}> at ({', '.join(texts)[:60]}), expected numbers") from None
    if len(values) != (4 if node.tag == "box" else 2):
        raise LabelError("point-count", f"a <points> at '{points}', expected one point 'x,y'")
    if not is_finite(values):
        raise LabelError("point-not-finite", f"a <{node.tag}> at ({', '.join(texts)})")
    return ((values[0] + values[2]) / 2, (values[1] + values[3]) / 2) if node.tag == "box" else (values[0], values[1])
