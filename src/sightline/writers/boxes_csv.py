"""One CSV row for each box: `file,width,height,class,xmin,ymin,xmax,ymax`.

Convention of the format: continuous pixels. A picture without boxes is a row with blank ones. What a
model found has a `score`, and where the run is calibrated a `probability` and a `margin` in pixels (blank
where nothing can be said; docs/calibration.md). `split`, `group`, `crowd` and `area` have columns where
anything needs them.
The order of the classes is in NAME_classes.txt beside the CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.writers.box_prediction import BoxPrediction, class_lines, own_areas, require_each_once
from sightline.writers.prediction import bound_text, one_file, text

FORMAT = "boxes_csv"
FILE = "boxes.csv"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write one CSV, `out` itself where it ends in .csv, else `boxes.csv` in the folder `out`; and its classes.

    Raises:
        UserError: a picture is there twice, a class has a line break, or a file cannot be written.
    """
    del class_ids  # names alone tell the classes
    require_each_once(predictions)
    optional = {
        "score": not as_truth,
        "probability": not as_truth and any(prediction.probability is not None for prediction in predictions),
        "margin": not as_truth and any(prediction.margin_px is not None for prediction in predictions),
        "crowd": any(prediction.crowd.any() for prediction in predictions),
        "area": not all(own_areas(prediction) for prediction in predictions),
        "split": any(prediction.split is not None for prediction in predictions),
        "group": any(prediction.group is not None for prediction in predictions),
    }
    extra = [name for name, wanted in optional.items() if wanted]
    rows = [["file", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", *extra]]
    for prediction in predictions:
        height, width = prediction.size_hw
        start = [prediction.file_name, str(width), str(height)]
        of_picture = {"split": prediction.split or "", "group": prediction.group or ""}
        for box in prediction.boxes():
            values = {"score": text(box.score), "crowd": str(int(box.is_crowd)), "area": text(box.area)} | of_picture
            values |= {"probability": bound_text(box.probability), "margin": bound_text(box.margin_px)}
            rows.append([*start, classes[box.label], *map(text, box.xyxy), *(values[name] for name in extra)])
        if len(prediction) == 0:
            rows.append([*start, *[""] * 5, *(of_picture.get(name, "") for name in extra)])
    path = one_file(out, name=FILE)
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    names = path.with_name(f"{path.stem}_classes.txt")
    listed = class_lines(classes, path=names)
    write_atomically(path, stream.getvalue())
    write_atomically(names, listed)
    return path, names


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the CSV."""
    return prediction.file_name
