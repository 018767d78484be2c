"""`sightline predict`: a run on new pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from sightline.writers import BoxPrediction, Prediction

SHOWN = 8  # lines of a list on the terminal


def predict(
    run: Path,
    inputs: list[Path],
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    format: Many = None,
    boxes: Path | None = None,
    score: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=1))] = None,
    skip_broken: Flag = False,
    overlay: bool = True,
    bounds: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Find points or boxes in pictures, folders of pictures, or the records of a label file.

    Args:
        run: a run folder, or a file that `sightline export` wrote.
        inputs: pictures, folders, or label files (XML, JSON, CSV), whose pictures and boxes are taken in order.
        out_: folder for the results.
        format: label formats to write (points: landmark_csv, coco_keypoints, deeplabcut, label_studio, ...; boxes:
            boxes_csv, coco, coco_results, voc, yolo, cvat, label_studio).
        boxes: where a model of points wants a crop: a CSV of boxes (file,xmin,ymin,xmax,ymax), or a run or exported
            file that finds boxes; else whole pictures. A mistake for a run of whole pictures.
        score: give boxes scored at least so; the run's own thresholds, chosen on its validation part, without it.
        skip_broken: leave pictures out that cannot be read, instead of ending as a mistake behind the others.
        overlay: also write pictures with the points or boxes drawn.
        bounds: draw the radius around each point, or the margin of each box, on them (docs/calibration.md).
        device: auto, cpu or cuda.
        json: print the predictions as JSON.
    """
    from sightline.answers import cannot_be_read, predict_tasks, tasks_of_finder
    from sightline.files import require_folder
    from sightline.finders import is_finder, load_box_finder, load_finder
    from sightline.predict_files import Names, find_box_writer, find_writer, write_predictions
    from sightline.tasks import find_tasks

    require_folder(out_)
    broken: list[str] = []
    finds_boxes = boxes is not None and is_finder(boxes)
    tasks = find_tasks(inputs, boxes=None if finds_boxes else boxes, on_broken=broken.append if skip_broken else None)
    predictor = load_finder(run, device=device, score=score)
    for name in format or ():  # a wrong name is told before the work is done
        find_box_writer(name) if predictor.classes else find_writer(name)
    if boxes is not None and predictor.classes:
        raise UserError(f"--boxes is for models of points; {run} finds boxes itself. Leave it out.")
    if boxes is not None and not predictor.takes_boxes:
        raise UserError(
            f"{run} looks at whole pictures (data.crop=image): a box changes nothing. Leave --boxes out, or train a "
            "run that crops, with --set data.crop=points."
        )
    if finds_boxes and boxes is not None:
        finder, name = load_box_finder(boxes, device=device)
        tasks = tasks_of_finder(finder, tasks, name=name, on_broken=broken.append)
    predictions = list(predict_tasks(predictor, tasks, on_broken=broken.append))
    if broken and not predictions:
        raise UserError("\n  ".join(["None of the pictures can be read, so there is nothing to write:", *broken]))
    names = Names(skeleton=predictor.skeleton, classes=predictor.classes)
    formats = format or ["boxes_csv" if predictor.classes else "landmark_csv"]
    written = write_predictions(predictions, out_, names=names, formats=formats, overlay=overlay, bounds=bounds)
    if json:
        console.print_json([_as_json(found, classes=predictor.classes) for found in predictions])
    else:
        _tell(predictions, written, out=out_)
    if broken and not skip_broken:
        raise cannot_be_read(broken)  # behind the others, whose results are written
    if broken:
        _tell_skipped(broken, on=console.err if json else console.out)
    return 0


def _as_json(found: Prediction | BoxPrediction, *, classes: Sequence[str]) -> dict[str, Any]:
    from sightline.writers import Prediction

    values: dict[str, Any] = {"image_id": found.image_id, "path": str(found.path)}
    if isinstance(found, Prediction):
        values |= {
            "box_source": found.box_source,
            "box_xyxy": found.box_xyxy,
            "points_xy": found.points_xy.round(3).tolist(),
            "score": found.score.astype(float).round(4).tolist(),
        }
        added = {"probability": found.probability, "radius_px": found.radius_px}
        return values | {key: [_plain(v) for v in of.tolist()] for key, of in added.items() if of is not None}
    return values | {
        "detections": [
            {
                "class": classes[box.label],
                "score": round(box.score, 4),
                "box_xyxy": [round(side, 3) for side in box.xyxy],
                **({} if box.probability is None else {"probability": _plain(box.probability)}),
                **({} if box.margin_px is None else {"margin_px": _plain(box.margin_px)}),
            }
            for box in found.boxes()
        ]
    }


def _plain(value: float) -> float | None:
    """A probability or bound for JSON; None for a bound where nothing can be said."""
    return round(value, 4) if math.isfinite(value) else None


def _tell(predictions: Sequence[Prediction | BoxPrediction], written: Sequence[Path], *, out: Path) -> None:
    from sightline.writers import Prediction

    source = sorted({found.box_source for found in predictions if isinstance(found, Prediction)})
    if source:
        console.say(f"{len(predictions)} predictions (crop from: {', '.join(source)}) in {out}")
    else:
        count = sum(len(found) for found in predictions if not isinstance(found, Prediction))
        console.say(f"{count:,} boxes in {len(predictions):,} pictures, in {out}")
    for path in written[:SHOWN]:
        console.say(f"  {path}")


def _tell_skipped(broken: Sequence[str], *, on: Console) -> None:
    count = "1 is" if len(broken) == 1 else f"{len(broken):,} are"
    console.say(f"{count} skipped:", on=on)
    for line in broken[:SHOWN]:
        console.say(f"  {line}", on=on)
    if len(broken) > SHOWN:
        console.say(f"  and {len(broken) - SHOWN:,} more", on=on)
