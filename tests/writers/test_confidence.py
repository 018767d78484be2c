"""Formats with one number for an answer get the probability that it is right where a calibration tells it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sightline.records import Detections, Skeleton
from sightline.writers import BOX_WRITERS, WRITERS, BoxPrediction, Prediction, from_detections

SKELETON = Skeleton(names=("nose", "tail", "ear"))
SCORE, PROBABILITY = [0.91, 0.2, 0.5], [0.75, 0.0625, 0.5]


def points(*, calibrated: bool) -> Prediction:
    return Prediction(
        image_id="a.png",
        path=Path("a.png"),
        size_hw=(40, 60),
        points_xy=np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]),
        score=np.array(SCORE),
        visible=np.array([True, True, False]),
        probability=np.array(PROBABILITY) if calibrated else None,
        radius_px=np.array([1.0, 2.0, np.inf]) if calibrated else None,
    )


def boxes(*, calibrated: bool) -> BoxPrediction:
    found = Detections(
        boxes_xyxy=np.array([[0.0, 0, 10, 10], [5, 5, 20, 20]]),
        labels=np.array([0, 1]),
        scores=np.array(SCORE[:2]),
        probability=np.array(PROBABILITY[:2]) if calibrated else None,
        margin_px=np.array([1.0, np.inf]) if calibrated else None,
    )
    return from_detections(found, image_id="a.png", path=Path("a.png"), size_hw=(40, 60))


@pytest.mark.parametrize("calibrated", [False, True])
def test_points(tmp_path: Path, calibrated: bool) -> None:
    wanted = (PROBABILITY if calibrated else SCORE)[:2]
    mean = pytest.approx(np.mean(wanted), abs=1e-4)
    one = points(calibrated=calibrated)
    for name in ("label_studio", "cvat", "coco_keypoints", "landmark_csv"):
        WRITERS[name].write([one], tmp_path / name, skeleton=SKELETON)
    (task,) = json.loads((tmp_path / "label_studio" / "tasks.json").read_text())
    (guess,) = task["predictions"]
    assert [region["score"] for region in guess["result"]] == wanted
    assert guess["score"] == mean
    (annotation,) = json.loads((tmp_path / "coco_keypoints" / "annotations.json").read_text())["annotations"]
    assert annotation["keypoint_scores"][:2] == wanted
    assert annotation["score"] == mean
    page = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    assert [float(one.text or "") for one in page.findall("image/points/attribute[@name='score']")] == wanted
    with (tmp_path / "landmark_csv" / "landmarks.csv").open() as file:  # has columns for both
        (row,) = csv.DictReader(file)
    assert float(row["nose_score"]) == SCORE[0]
    assert row.get("nose_probability") == ("0.75" if calibrated else None)


@pytest.mark.parametrize("calibrated", [False, True])
def test_boxes(tmp_path: Path, calibrated: bool) -> None:
    wanted = (PROBABILITY if calibrated else SCORE)[:2]
    one = boxes(calibrated=calibrated)
    for name in ("label_studio", "cvat", "coco", "coco_results", "boxes_csv"):
        BOX_WRITERS[name].write([one], tmp_path / name, classes=("cat", "dog"), as_truth=False)
    (task,) = json.loads((tmp_path / "label_studio" / "tasks.json").read_text())
    (guess,) = task["predictions"]
    assert [region["score"] for region in guess["result"]] == wanted
    assert guess["score"] == pytest.approx(np.mean(wanted), abs=1e-4)
    held = json.loads((tmp_path / "coco" / "annotations.json").read_text())
    assert [annotation["score"] for annotation in held["annotations"]] == wanted
    page = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    assert [float(one.text or "") for one in page.findall("image/box/attribute[@name='score']")] == wanted
    # An evaluation ranks by it, and a calibration makes ties: the score stays.
    results = json.loads((tmp_path / "coco_results" / "results.json").read_text())
    assert [result["score"] for result in results] == SCORE[:2]


def test_an_empty_picture_has_no_confidence(tmp_path: Path) -> None:
    one = boxes(calibrated=True)
    none = np.zeros(len(one), dtype=bool)
    empty = replace(
        one, **{key: getattr(one, key)[none] for key in ("boxes_xyxy", "labels", "scores", "crowd", "areas")},
        probability=np.zeros(0), margin_px=np.zeros(0),
    )  # fmt: skip
    BOX_WRITERS["label_studio"].write([empty], tmp_path, classes=("cat", "dog"), as_truth=False)
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    assert task["predictions"][0]["score"] == 0.0
    hidden = replace(points(calibrated=True), visible=np.zeros(3, dtype=bool))
    assert hidden.mean_confidence == 0.0
