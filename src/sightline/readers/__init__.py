"""Foreign label formats -> `Dataset`; the only folder that knows foreign conventions.

One file is one format: `detect(path)` looks whether a file or folder is of it, `read(path)` reads
it. What is wrong with labels is collected as problems; only what makes reading pointless raises.
In: a path. Out: a Dataset. Next: ../splits.py
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from sightline.errors import UserError, unknown_name
from sightline.readers import (
    ball_csv,
    boxes_csv,
    coco,
    coco_keypoints,
    cvat,
    cvat_video,
    deeplabcut,
    deeplabcut_video,
    dlib_xml,
    frame_hints,
    imm_asf,
    kaggle_csv,
    label_studio,
    label_studio_video,
    landmark_csv,
    mot,
    numbered_frames,
    pts,
    shuttle_samples,
    tracknet,
    voc,
    webdataset,
    yolo,
    yolo_layout,
    yolo_pose,
)
from sightline.readers.flip_order import check_flip_order
from sightline.readers.kaggle_csv import read_submission
from sightline.records import Dataset

__all__ = ["FORMATS", "check_flip_order", "detect_format", "read_dataset", "read_submission", "require_data"]

Detect = Callable[[Path], bool]
Read = Callable[[Path], Dataset]

FORMATS: dict[str, tuple[Detect, Read]] = {
    "landmark_csv": (landmark_csv.detect, landmark_csv.read),
    "kaggle_csv": (kaggle_csv.detect, kaggle_csv.read),
    "dlib_xml": (dlib_xml.detect, dlib_xml.read),
    "pts": (pts.detect, pts.read),
    "imm_asf": (imm_asf.detect, imm_asf.read),
    "deeplabcut": (deeplabcut.detect, deeplabcut.read),
    "coco_keypoints": (coco_keypoints.detect, coco_keypoints.read),
    "yolo_pose": (yolo_pose.detect, yolo_pose.read),
    "coco": (coco.detect, coco.read),
    "voc": (voc.detect, voc.read),
    "yolo": (yolo.detect, yolo.read),
    "boxes_csv": (boxes_csv.detect, boxes_csv.read),
    "label_studio": (label_studio.detect, label_studio.read),
    "cvat": (cvat.detect, cvat.read),
    "tracknet": (tracknet.detect, tracknet.read),
    "ball_csv": (ball_csv.detect, ball_csv.read),
    "shuttle_samples": (shuttle_samples.detect, shuttle_samples.read),
    "cvat_video": (cvat_video.detect, cvat_video.read),
    "label_studio_video": (label_studio_video.detect, label_studio_video.read),
    "deeplabcut_video": (deeplabcut_video.detect, deeplabcut_video.read),
    "numbered_frames": (numbered_frames.detect, numbered_frames.read),
    "mot": (mot.detect, mot.read),
    "webdataset": (webdataset.detect, webdataset.read),
}

_LOOKED_FOR = {
    module.FORMAT: module.LOOKED_FOR
    for module in (
        landmark_csv, kaggle_csv, dlib_xml, pts, imm_asf, deeplabcut, coco_keypoints, yolo_pose,
        coco, voc, yolo, boxes_csv, label_studio, cvat, tracknet, ball_csv, shuttle_samples, cvat_video,
        label_studio_video, deeplabcut_video, numbered_frames, mot, webdataset,
    )
}  # fmt: skip

# So many folders are looked into where a path itself holds nothing.
_LOOKED_AT = 20

# Where both fit, the left one is meant: a submission comes with the XML that names its pictures,
# iBUG's own archives keep .pts files beside the pictures of their XML, and frames of clips or tracks of
# videos are in files that readers of single pictures know as well.
_COMES_WITH = {
    "kaggle_csv": ("dlib_xml", "pts"),
    "dlib_xml": ("pts",),
    "tracknet": ("landmark_csv",),
    "ball_csv": ("landmark_csv",),
    "cvat_video": ("cvat",),
    "label_studio_video": ("label_studio",),
}


def read_dataset(path: str | Path, *, format: str | None = None) -> Dataset:
    """Read a data set of any known format.

    Args:
        path: a label file, or the folder that holds the labels and pictures.
        format: a key of `FORMATS` (`-` for `_` is fine); None finds it out.

    Raises:
        UserError: the path is not there, no format or more than one fits, the format is unknown,
            or the files cannot be understood at all.
    """
    path = require_data(path)
    name = detect_format(path) if format is None else format.strip().lower().replace("-", "_")
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    _, read = FORMATS[name]
    return read(path)


def require_data(path: str | Path) -> Path:
    """The path of a data set, after its `~`.

    Raises:
        UserError: there is nothing, or something that is neither a file nor a folder.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(
            f"There is no {path}. Expected a label file or a folder of labels and pictures: check the path."
        )
    if not (path.is_file() or path.is_dir()):
        raise UserError(f"{path} is a device or a pipe. Expected a label file or a folder of labels and pictures.")
    return path


def detect_format(path: Path) -> str:
    """The key of the one format that a file or folder is of.

    Raises:
        UserError: none fits (the message lists what was looked for and what is there), or several.
    """
    fitting = [name for name, (detect, _) in FORMATS.items() if detect(path)]
    fitting = [name for name in fitting if not any(name in _COMES_WITH.get(other, ()) for other in fitting)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UserError(
            f"{path} fits several formats: {', '.join(fitting)}. Say which one is meant with --format, for example "
            f"--format {fitting[0]}, or give the path of one label file."
        )
    if inside := _formats_inside(path):
        raise UserError(
            f"{path} itself holds no labels, but folders in it do: {inside}. Give the path of one of these."
        )
    nearly = (deeplabcut.nearly, yolo_layout.nearly, frame_hints.nearly)
    if hint := next((said for look in nearly if (said := look(path))), None):
        raise UserError(f"{path} holds no labels that can be read: {hint}")
    if path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path)):
        raise UserError(f"{path} is an archive. Unpack it, and give the folder with its labels.")
    looked_for = [f"{name}: {what}" for name, what in _LOOKED_FOR.items()]
    found = f"{path} holds no labels of a known format. Found: {_what_is_there(path)}. Looked for:"
    raise UserError("\n  ".join([found, *looked_for]))


def _formats_inside(path: Path) -> str:
    """The folders directly in a folder that hold labels of a known format, with the formats."""
    below = sorted(entry for entry in path.iterdir() if entry.is_dir()) if path.is_dir() else []
    found = (
        (folder, [name for name, (detect, _) in FORMATS.items() if detect(folder)]) for folder in below[:_LOOKED_AT]
    )
    return ", ".join(f"{folder.name} ({' or '.join(names)})" for folder, names in found if names)


def _what_is_there(path: Path) -> str:
    """A few names from a folder, or what a file is called and starts with."""
    if path.is_dir():
        names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in path.iterdir())
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return (", ".join(names[:8]) + more) or "an empty folder"
    with path.open("rb") as stream:
        data = stream.read(60)
    if b"\0" in data:
        return f"the file {path.name}, which is no text"
    start = data.decode("utf-8", errors="replace").split("\n", 1)[0].strip()
    return f"the file {path.name}, which starts with '{start}'" if start else f"the file {path.name}, which is empty"
