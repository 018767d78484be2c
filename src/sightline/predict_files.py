"""Predictions to files: label formats and pictures with what was found drawn on them. Next: cli/."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.files import CannotWrite, new_folder, write_atomically
from sightline.images import read_image
from sightline.records import Dataset, Skeleton
from sightline.tasks import LABEL_SUFFIXES
from sightline.writers import (
    BOX_WRITERS,
    CLIP_WRITERS,
    WRITERS,
    BoxPrediction,
    BoxWriter,
    Clip,
    ClipWriter,
    Prediction,
    Writer,
    boxes_from_dataset,
    clips_of,
    dataset_to_predictions,
)
from sightline.writers.overlay import draw_boxes, draw_overlay
from sightline.writers.pictures import place_files, place_pictures

AnyWriter = TypeVar("AnyWriter", Writer, BoxWriter, ClipWriter)
_NEAREST = {
    "points": ("landmark_csv", "coco_keypoints"),
    "boxes": ("coco", "boxes_csv"),
    "clips": ("tracknet",),
}


@dataclass(frozen=True, kw_only=True)
class Names:
    """What predictions speak of: points or classes, as a model or a data set has them."""

    skeleton: Skeleton
    classes: tuple[str, ...] = ()


def find_writer(name: str) -> Writer:
    """The writer of a format of points, `-` for `_` allowed; raises UserError with the nearest name."""
    return _find(name, WRITERS, what="format of points to write")


def find_box_writer(name: str) -> BoxWriter:
    """The writer of a format of boxes, `-` for `_` allowed; raises UserError with the nearest name."""
    return _find(name, BOX_WRITERS, what="format of boxes to write")


def find_clip_writer(name: str) -> ClipWriter:
    """The writer of a format of clips, `-` for `_` allowed; raises UserError with the nearest name."""
    return _find(name, CLIP_WRITERS, what="format of clips to write")


def find_writer_for(dataset: Dataset, name: str) -> Writer | BoxWriter | ClipWriter:
    """The writer of a format for what a data set holds; raises UserError with the nearest name."""
    if dataset.has_clips:
        return find_clip_writer(name)
    return find_box_writer(name) if dataset.classes else find_writer(name)


def _find(name: str, table: Mapping[str, AnyWriter], *, what: str) -> AnyWriter:
    key = name.strip().lower().replace("-", "_")
    if key not in table:
        raise unknown_name(what, name, table)
    return table[key]


def write_predictions(
    predictions: Sequence[Prediction | BoxPrediction],
    out: Path,
    *,
    names: Names,
    formats: Sequence[str],
    overlay: bool,
    bounds: bool = False,
) -> list[Path]:
    """Write every format asked for below `out`, and overlays into `out`/overlays; returns the paths.

    Args:
        predictions: of one model.
        out: a folder.
        names: of its points or classes.
        formats: to write.
        overlay: draw what was found on the pictures.
        bounds: with radii or margins, where there are any.

    Raises:
        UserError: an unknown format.
    """
    written: list[Path] = []
    points = [found for found in predictions if isinstance(found, Prediction)]
    boxes = [found for found in predictions if isinstance(found, BoxPrediction)]
    for name in formats:
        if names.classes:
            written += find_box_writer(name).write(boxes, out, classes=names.classes, as_truth=False)
        else:
            written += find_writer(name).write(points, out, skeleton=names.skeleton)
    if overlay:
        pictures = overlay_names([found.image_id for found in predictions])
        pairs = zip(predictions, pictures, strict=True)
        written += [
            _write_overlay(found if bounds else _without_bounds(found), out / "overlays" / picture, names=names)
            for found, picture in pairs
        ]
    return written


def convert_dataset(dataset: Dataset, out: Path, *, to: str) -> tuple[Path, int]:
    """Write a data set's truth in another format, with its pictures; the first path written, and how many records.

    Args:
        dataset: whose labels to write.
        out: a folder; or a file with the format's own ending, for formats of one file, and the pictures beside it.
        to: the format.

    Raises:
        UserError: an unknown format, one that cannot hold these labels, or one that is no such file.
    """
    if dataset.has_clips:
        clip_writer = find_clip_writer(to)
        folder = _folder_for(clip_writer, out, to=to)  # before any video is opened
        return _write_clips(clips_of(dataset), out, writer=clip_writer, folder=folder), len(dataset)
    if dataset.classes:
        box_writer = find_box_writer(to)
        folder = _folder_for(box_writer, out, to=to)
        boxes = boxes_from_dataset(dataset)
        written = box_writer.write(boxes, out, classes=dataset.classes, class_ids=dataset.class_ids, as_truth=True)
        place_pictures(boxes, folder, picture_name=box_writer.picture_name)
        return written[0], len(boxes)
    point_writer = find_writer(to)
    folder = _folder_for(point_writer, out, to=to)
    truth = dataset_to_predictions(dataset)
    written = point_writer.write(truth, out, skeleton=dataset.skeleton)
    place_pictures(truth, folder, picture_name=point_writer.picture_name)
    return written[0], len(truth)


def convert_clips(clips: Sequence[Clip], out: Path, *, to: str) -> Path:
    """Write clips in a format that holds them, with their videos and pictures; the first path written.

    Raises:
        UserError: as `convert_dataset`.
    """
    writer = find_clip_writer(to)
    return _write_clips(clips, out, writer=writer, folder=_folder_for(writer, out, to=to))


def _write_clips(clips: Sequence[Clip], out: Path, *, writer: ClipWriter, folder: Path) -> Path:
    """The labels at `out`, videos and pictures in `folder`; the first path written."""
    written = writer.write(clips, out)
    place_files({folder / name: path for name, path in writer.frame_files(clips).items()})
    return written[0]


def _folder_for(writer: Writer | BoxWriter | ClipWriter, out: Path, *, to: str) -> Path:
    """Where the pictures go; refuses a file that the format does not write."""
    if not is_label_file(out):
        return out
    if Path(writer.FILE).suffix != out.suffix.lower():
        kind = f"a file such as {writer.FILE}" if writer.FILE else "several files"
        raise UserError(f"{out}: the format '{to}' is {kind}. Give a folder, or another format.")
    return out.parent


def convert_anew(dataset: Dataset, out: Path, *, to: str) -> tuple[Path, int]:
    """As `convert_dataset`, but nothing is overwritten, and a folder is there only when it is whole.

    Raises:
        UserError: as there, and where something of this name exists.
    """
    if is_label_file(out):
        if out.exists():
            raise UserError(f"{out} exists already. Nothing is overwritten: give another file or a new folder.")
        try:
            return convert_dataset(dataset, out, to=to)
        except BaseException:
            out.unlink(missing_ok=True)  # without all of its pictures it would be in the next call's way
            raise
    with new_folder(out) as aside:
        first, count = convert_dataset(dataset, aside, to=to)
    return out / first.relative_to(aside), count


def is_label_file(out: Path) -> bool:
    """Whether a name asks for one file of labels, with the pictures beside it."""
    return out.suffix.lower() in LABEL_SUFFIXES and not out.is_dir()


def convert_to_nearest(dataset: Dataset, out: Path) -> tuple[Path, str]:
    """Write a data set in its own format, or the first of the nearest that can hold it; the path and the format.

    Raises:
        UserError: none can hold it; that of the last one.
    """
    return first_that_holds(nearest_formats(dataset), out, write=lambda name: convert_dataset(dataset, out, to=name)[0])


def first_that_holds(names: Sequence[str], out: Path, *, write: Callable[[str], Path]) -> tuple[Path, str]:
    """What `write` gives for the first format that does not refuse, and that format; refused ones leave nothing.

    Raises:
        UserError: all refuse; that of the last one.
    """
    before = set(out.iterdir()) if out.is_dir() else set()
    last: UserError | None = None
    for name in names:
        try:
            return write(name), name
        except CannotWrite:
            raise  # which no other format would help
        except UserError as error:
            last = error
            for left in set(out.iterdir()) - before if out.is_dir() else ():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert last is not None, names
    raise last


def nearest_formats(dataset: Dataset) -> list[str]:
    """The data set's own format, where it can be written, and those that come nearest to it."""
    kind, writers = ("boxes", BOX_WRITERS) if dataset.classes else ("points", WRITERS)
    if dataset.has_clips:
        kind, writers = "clips", CLIP_WRITERS
    return [name for name in dict.fromkeys((dataset.format, *_NEAREST[kind])) if name in writers]


def overlay_names(image_ids: Sequence[str]) -> list[str]:
    """face.png -> face.jpg, its second object -> face_2.jpg; with the suffix where two would have one name."""
    names = []
    for image_id in image_ids:
        picture, _, number = image_id.rpartition("#")
        is_object = picture != "" and number.isdecimal()  # else the sign is of the file's own name
        picture, tail = (picture, f"_{number}.jpg") if is_object else (image_id, ".jpg")
        short = str(Path(picture).with_suffix("")) + tail
        names.append(short if short not in names else picture + tail)
    return names


def _without_bounds(found: Prediction | BoxPrediction) -> Prediction | BoxPrediction:
    return replace(found, radius_px=None) if isinstance(found, Prediction) else replace(found, margin_px=None)


def _write_overlay(found: Prediction | BoxPrediction, path: Path, *, names: Names) -> Path:
    """A JPEG of a picture with what was found in it."""
    image = read_image(found.path, channels=3)
    drawn = _with_boxes(image, found, names) if isinstance(found, BoxPrediction) else _with_points(image, found, names)
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_atomically(path, data.tobytes())
    return path


def _with_points(image: np.ndarray, found: Prediction, names: Names) -> np.ndarray:
    return draw_overlay(
        image,
        points_xy=found.points_xy,
        skeleton=names.skeleton,
        visible=found.visible,
        box=found.box_xyxy,
        radius_px=found.radius_px,
    )


def _with_boxes(image: np.ndarray, found: BoxPrediction, names: Names) -> np.ndarray:
    return draw_boxes(
        image,
        boxes_xyxy=found.boxes_xyxy,
        labels=found.labels,
        classes=names.classes,
        scores=found.scores,
        margin_px=found.margin_px,
    )
