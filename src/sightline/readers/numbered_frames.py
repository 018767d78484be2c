"""Labels of single pictures as clips, on request (`--format numbered_frames`): the pictures are numbered frames.

Many tools label the frames of a video one by one, as pictures: CVAT for images, Label Studio, YOLO, VOC, COCO with
its relatives for video. Any format of single pictures is read as it is; then each folder of pictures becomes a clip
whose frames go by the numbers in their names. The point is the first point of the skeleton, or the middle of the box;
a picture that is listed without one is a frame in which it is not visible. One kind of object.
In: as the format that the labels are in. Out: a Dataset of clips. Next: mot.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.errors import UserError
from sightline.readers import (
    boxes_csv,
    coco,
    coco_keypoints,
    cvat,
    label_studio,
    landmark_csv,
    voc,
    yolo,
    yolo_pose,
)
from sightline.readers.assemble import Findings, place
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, Place, assemble_clips
from sightline.readers.footage import Footage
from sightline.records import Dataset, Record, Skeleton
from sightline.video.folder_source import numbered_pictures

FORMAT = "numbered_frames"
LOOKED_FOR = "labels of single pictures that are numbered frames, where --format numbered_frames asks for it"

_PICTURES = (landmark_csv, coco_keypoints, yolo_pose, coco, voc, yolo, boxes_csv, label_studio, cvat)


def detect(path: Path) -> bool:
    """Never: labels of pictures are such unless clips are asked for."""
    del path
    return False


def read(path: Path) -> Dataset:
    """Read labels of pictures in whatever format they are, and make clips of them.

    Raises:
        UserError: there are none or of several formats or classes, or two pictures have one number.
    """
    labelled = _labelled(path)
    findings = Findings(problems=[problem for problem in labelled.problems if problem.id != "label-missing"])
    by_folder: dict[Path, dict[str, list[Record]]] = {}
    for record in labelled.records:
        by_folder.setdefault(record.path.parent, {}).setdefault(record.group or "", []).append(record)
    drafts = []
    for folder, clips in by_folder.items():
        pictures = numbered_pictures(folder)
        for group, records in clips.items():
            # Where the labels themselves part a folder into clips, a frame's past is in its own clip.
            own = {record.path for record in records}
            mine = pictures if len(clips) == 1 else {n: file for n, file in pictures.items() if file in own}
            name = group or (place(folder, labelled.root) if folder != labelled.root else folder.absolute().name)
            labels = _labels(records, numbers={file: number for number, file in mine.items()}, findings=findings)
            where = records[0].source or name
            drafts.append(ClipDraft(name=name, footage=Footage(pictures=mine), labels=labels, where=where))
    skeleton = Skeleton(names=(_name(labelled, findings=findings),))
    return assemble_clips(drafts, root=labelled.root, format=FORMAT, findings=findings, skeleton=skeleton)


def _labelled(path: Path) -> Dataset:
    """The pictures as the one format that fits reads them."""
    fitting = [reader for reader in _PICTURES if reader.detect(path)]
    if len(fitting) != 1:
        found = f"several fit: {', '.join(reader.FORMAT for reader in fitting)}" if fitting else "none fits"
        raise UserError(
            f"{path} is not what '{FORMAT}' reads. Expected labels of single pictures in one of the formats "
            f"{', '.join(reader.FORMAT for reader in _PICTURES)}; {found}. Give the path of one label file."
        )
    return fitting[0].read(path)


def _name(labelled: Dataset, *, findings: Findings) -> str:
    """What the point is called: as the only class that has boxes, or as the first point."""
    if (first := next(iter(labelled.skeleton.names), None)) is not None:
        if len(labelled.skeleton) > 1:
            message = f"a clip has one point: '{first}' is used, of {', '.join(labelled.skeleton.names)}"
            findings.note("point-chosen", labelled.root.name, message)
        return first
    used = sorted({int(label) for record in labelled.records if record.objects for label in record.objects.labels})
    if len(used) > 1:
        raise UserError(
            f"{labelled.root} ({labelled.format}) has boxes of several classes: "
            f"{', '.join(labelled.classes[label] for label in used)}. Expected one kind of object through video: keep "
            "the labels of one class."
        )
    return labelled.classes[used[0]] if used else "point"


def _labels(records: Sequence[Record], *, numbers: dict[Path, int], findings: Findings) -> list[FrameLabel]:
    """A label for each picture; of several objects in one the first counts."""
    labels: dict[int, FrameLabel] = {}
    several: set[int] = set()
    for record in records:
        number = numbers.get(record.path)
        if number is None:
            message = f"'{record.path.name}' does not say which frame it is; expected a number in its name"
            findings.error("row-unreadable", record.source, message, image_id=record.image_id)
            continue
        places = _places(record)
        if len(places) > 1 or number in labels:
            several.add(number)
        xy = places[0] if places else None
        labels.setdefault(number, FrameLabel(number=number, xy=xy, source=record.source, split=record.split))
    if several:
        message = f"several objects are labelled in {len(several)} frames; the first of each is used"
        findings.note("instances-skipped", records[0].source, message)
    return list(labels.values())


def _places(record: Record) -> list[Place]:
    """Where the point is visible in a picture: the first of the skeleton, or the middles of the boxes."""
    if record.objects is None:
        return [(float(record.points_xy[0, 0]), float(record.points_xy[0, 1]))] if record.visible[0] else []
    boxes = record.objects.boxes_xyxy[~record.objects.crowd]
    return [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in boxes.tolist()]
