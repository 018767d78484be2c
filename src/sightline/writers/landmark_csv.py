"""One CSV row for each object: `file,width,height,box_source,x0,y0,s0,x1,y1,s1,...`.

Convention of the format: pixel-index coordinates (pixel centres at integers), as
readers/landmark_csv.py expects; box edges (`xmin,ymin,xmax,ymax`) are continuous. Points with
names of their own get columns like `nose_x,nose_y,nose_score`. A point that is not visible
has blank cells. Points of a calibrated run have two more columns, `p0,r0` or `nose_probability,nose_radius`:
the probability of being right, and the radius in pixels (blank where nothing can be said;
docs/calibration.md). `split`, `group`, `instance` and the box have columns where anything has them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.skeletons import skeleton as known_skeleton
from sightline.writers.prediction import Prediction, bound_text, by_picture, in_default_order, one_file, text

FORMAT = "landmark_csv"
FILE = "landmarks.csv"
_BOX = ("xmin", "ymin", "xmax", "ymax")


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one CSV: `out` itself where it ends in .csv, else `landmarks.csv` in the folder `out`.

    Raises:
        UserError: the file cannot be written.
    """
    pictures = by_picture(predictions)
    optional = {
        "instance": any(len(objects) > 1 for objects in pictures.values()),
        "split": any(p.split is not None for p in predictions),
        "group": any(p.group is not None for p in predictions),
    }
    has_boxes = any(p.box_xyxy is not None for p in predictions)
    is_calibrated = any(p.probability is not None or p.radius_px is not None for p in predictions)
    header = ["file", *(name for name, wanted in optional.items() if wanted), "width", "height", "box_source"]
    rows = [[*header, *(_BOX if has_boxes else ()), *_point_columns(skeleton, is_calibrated=is_calibrated)]]
    for prediction in predictions:
        height, width = prediction.size_hw
        number = 1 + next(i for i, p in enumerate(pictures[prediction.file_name]) if p is prediction)
        values = {"instance": str(number), "split": prediction.split or "", "group": prediction.group or ""}
        row = [prediction.file_name, *(values[name] for name, wanted in optional.items() if wanted)]
        row += [str(width), str(height), prediction.box_source]
        if has_boxes:
            row += [text(edge) for edge in prediction.box_xyxy] if prediction.box_xyxy is not None else [""] * 4
        rows.append(row + _point_cells(prediction, is_calibrated=is_calibrated))
    path = one_file(out, name=FILE)
    write_atomically(path, _csv_text(rows))
    return (path,)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the CSV."""
    return prediction.file_name


def _point_columns(skeleton: Skeleton, *, is_calibrated: bool) -> list[str]:
    if in_default_order(skeleton) or skeleton.names == known_skeleton("ibug68").names:
        letters = "xyspr" if is_calibrated else "xys"
        return [f"{letter}{index}" for index in range(len(skeleton)) for letter in letters]
    words = ("x", "y", "score", *(("probability", "radius") if is_calibrated else ()))
    return [f"{name}_{what}" for name in skeleton.names for what in words]


def _point_cells(prediction: Prediction, *, is_calibrated: bool) -> list[str]:
    cells: list[str] = []
    points = continuous_to_index(prediction.points_xy)
    for index, ((x, y), score, visible) in enumerate(zip(points, prediction.score, prediction.visible, strict=True)):
        values = [text(x), text(y), text(score)]
        if is_calibrated:
            added = (prediction.probability, prediction.radius_px)
            values += [bound_text(None if column is None else float(column[index])) for column in added]
        cells += values if visible else [""] * len(values)
    return cells


def _csv_text(rows: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
