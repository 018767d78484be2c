"""Checks what evaluation/predictions.json holds for each picture: points, or boxes.

Next: run_folder.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.errors import UserError
from sightline.report.values import Row, is_box, is_count, number, rows

_AGAIN = "Evaluate the run again, or delete the file to report without it."


def check_rows(value: object, *, path: Path) -> list[Row]:
    """The rows of predictions.json, each with points or each with boxes.

    Raises:
        UserError: it is no list, or an entry's parts are missing or do not fit together; it names file and entry.
    """
    if not isinstance(value, list):
        raise UserError(f"{path} holds a {type(value).__name__}, expected a list. Delete it to report without it.")
    for place, entry in enumerate(value):
        if not isinstance(entry, dict):
            raise UserError(f"{path}, entry {place}: expected an object. Delete the file to report without it.")
        if has_boxes(entry) != has_boxes(value[0]):
            raise UserError(f"{path}, entry {place}: some entries hold points and some hold boxes. {_AGAIN}")
        complaint = _about_boxes(entry) if has_boxes(entry) else _about_points(entry)
        if complaint:
            raise UserError(f"{path}, entry {place}: {complaint}. {_AGAIN}")
    return value


def has_boxes(entry: Row) -> bool:
    """Whether a row is one of boxes."""
    return "objects" in entry or "detections" in entry


def _about_points(entry: Row) -> str:
    truth, predicted, visible = (rows(entry, key) for key in ("points_xy", "predicted_xy", "visible"))
    if 0 < len(truth) == len(predicted) == len(visible) and _is_points(truth) and _is_points(predicted):
        return ""
    return "points_xy, predicted_xy and visible do not fit together"


def _is_points(values: list[Any]) -> bool:
    return all(isinstance(xy, list) and len(xy) == 2 and None not in map(number, xy) for xy in values)


def _about_boxes(entry: Row) -> str:
    for key in ("objects", "detections"):
        if not isinstance(entry.get(key), list):
            return f"{key} is not a list"
        for index, one in enumerate(entry[key]):
            if not isinstance(one, dict) or not is_box(one.get("box_xyxy")) or not is_count(one.get("label")):
                return f"{key} {index} lacks a box of four numbers or a label that counts from 0"
    for index, one in enumerate(entry["objects"]):
        x0, y0, x1, y1 = one["box_xyxy"]
        if x0 >= x1 or y0 >= y1:
            return f"objects {index} has no area ({one['box_xyxy']})"
    for index, one in enumerate(entry["detections"]):
        score = number(one.get("score"))
        if score is None or not 0 <= score <= 1:
            return f"detections {index} has the score {one.get('score')!r}, expected a number from 0 to 1"
    return ""
