"""DeepLabCut's labels as frames of the project's videos, on request (`--format deeplabcut_video`).

`labeled-data/VIDEO/imgNNN.png` is frame NNN of `videos/VIDEO.mp4`: the labels become a data set of clips whose
frames, and the three before each, are read from the video. A clip has one point: the first body part that
`config.yaml` lists. Body parts without a label in a frame are not visible there. A video of another size than
the pictures (it was cropped) is an error. In: as `deeplabcut`. Out: a Dataset of clips. Next: numbered_frames.py
"""

from __future__ import annotations

import re
from pathlib import Path

from sightline.errors import UserError
from sightline.readers import deeplabcut
from sightline.readers.assemble import Findings
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, assemble_clips, open_footage
from sightline.readers.footage import only, videos_named
from sightline.records import Dataset, Record, Skeleton

FORMAT = "deeplabcut_video"
LOOKED_FOR = "a DeepLabCut project with its videos, where --format deeplabcut_video asks for it"

_NUMBER = re.compile(r"(\d+)$")


def detect(path: Path) -> bool:
    """Never: such a project is one of pictures unless clips are asked for."""
    del path
    return False


def read(path: Path) -> Dataset:
    """Read a project's labels as frames of its videos.

    Raises:
        UserError: there are no such labels, or they cannot be understood at all.
        MissingExtra: PyAV is not installed.
    """
    if not deeplabcut.detect(path):
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    labelled = deeplabcut.read(path)
    several = next((record for record in labelled.records if record.image_id.endswith("#2")), None)
    if several is not None:
        raise UserError(
            f"{path}: {several.source} labels several animals. Expected one point through video: label one animal."
        )
    findings = Findings(problems=[problem for problem in labelled.problems if problem.id != "label-missing"])
    clips: dict[str, list[Record]] = {}
    for record in labelled.records:
        clips.setdefault(record.group or record.path.parent.name, []).append(record)
    drafts = [
        draft
        for name, records in clips.items()
        if (draft := _clip(name, records, root=labelled.root, findings=findings)) is not None
    ]
    names = labelled.skeleton.names
    if len(names) > 1:
        message = f"a clip has one point: '{names[0]}' is used, of {', '.join(names)}"
        findings.note("point-chosen", labelled.root.name, message)
    skeleton = Skeleton(names=names[:1])
    return assemble_clips(drafts, root=labelled.root, format=FORMAT, findings=findings, skeleton=skeleton)


def _clip(name: str, records: list[Record], *, root: Path, findings: Findings) -> ClipDraft | None:
    """The clip of one video; None, with an error, where that cannot be found or read."""
    where = f"labeled-data/{name}"
    found = videos_named(root, name)
    video = only(found)
    if video is None:
        several = f"; found {', '.join(path.name for path in found)}" if found else ""
        message = f"there should be one video '{name}' (.mp4, .avi, ...) in {root / 'videos'}{several}"
        findings.error("video-missing", where, message)
        return None
    footage = open_footage(video, where=where, findings=findings)
    if footage is None:
        return None
    assert footage.info is not None
    labels = []
    for record in records:
        match = _NUMBER.search(record.path.stem)
        if match is None:
            message = f"'{record.path.name}' does not say which frame it is; expected a number at the end"
            findings.error("row-unreadable", record.source, message, image_id=record.image_id)
            continue
        if record.size_hw != footage.info.size_hw:
            (height, width), said = footage.info.size_hw, record.size_hw or (0, 0)
            message = (
                f"'{record.image_id}' has {said[1]} x {said[0]} pixels, its video {width} x {height}: it was cropped "
                "or scaled, so its labels do not fit the video"
            )
            findings.error("video-size-differs", record.source, message, image_id=record.image_id)
            continue
        x, y = record.points_xy[0].tolist()
        xy = (x, y) if record.visible[0] else None
        labels.append(FrameLabel(number=int(match.group(1)), xy=xy, source=record.source))
    return ClipDraft(name=name, footage=footage, labels=labels, where=where)
