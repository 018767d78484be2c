"""What a run of boxes lacks is left out and said; what cannot be understood is named, with its file."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from box_runs import make_boxes_run

from sightline.errors import UserError
from sightline.report.page import write_report


@pytest.mark.parametrize("task", ["boxes", "one-box"])
@pytest.mark.parametrize("left", ["run.json", "config.yaml", "metrics.jsonl", "evaluation"])
def test_each_part_alone_gives_a_report(tmp_path, task, left):
    run = make_boxes_run(tmp_path, task=task, pictures=4)
    for path in run.iterdir():
        if path.name != left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "Left out:" in write_report(run).read_text()


@pytest.mark.parametrize("task", ["boxes", "one-box"])
def test_every_key_of_the_evaluation_may_be_missing(tmp_path, task):
    run = make_boxes_run(tmp_path, task=task, pictures=4)
    whole = json.loads((run / "evaluation" / "metrics.json").read_text())
    for key in whole:
        (run / "evaluation" / "metrics.json").write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        assert "</html>" in write_report(run).read_text()
    (run / "evaluation" / "metrics.json").write_text(json.dumps({"task": task}))
    assert "</html>" in write_report(run).read_text()


def test_without_metrics_the_thresholds_are_said_to_be_unknown(tmp_path):
    run = make_boxes_run(tmp_path, pictures=4)
    (run / "evaluation" / "metrics.json").unlink()
    page = write_report(run).read_text()
    assert "thresholds are not known here: boxes are drawn from a score of 0.5 on" in page
    (run / "run.json").unlink()
    assert "class 0" in write_report(run).read_text(), "no file names the classes"


def test_classes_without_objects_or_boxes_have_dashes_and_no_curve(tmp_path):
    page = write_report(make_boxes_run(tmp_path, pictures=2, classes=[f"kind {k}" for k in range(12)])).read_text()
    assert "<td>\u2013</td>" in page
    assert "nan" not in re.sub(r"base64,[^\"]+", "", page).lower()


BOX = {"box_xyxy": [1, 2, 3, 4], "label": 0}


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("metrics.json", {"task": "masks"}, "masks"),
        ("metrics.json", {"task": "points"}, "predictions.json"),
        ("metrics.json", {"classes": [1, 2]}, "classes"),
        ("metrics.json", {"classes": ["car"]}, "predictions.json"),
        ("metrics.json", {"per_class": [3]}, "per_class"),
        ("metrics.json", {"label_statistics": {"a": 1}}, "label_statistics"),
        ("metrics.json", {"thresholds": {"car": 2.0}}, "car"),
        ("metrics.json", {"thresholds": {"car": 0.5}}, "person"),
        ("metrics.json", {"confusion": {"names": ["car"], "counts": [[1, 2]]}}, "confusion"),
        ("metrics.json", {"confusion": {"names": ["car"], "counts": [[-1]]}}, "confusion"),
        ("metrics.json", {"error_kinds": {"counts": {"class": "many"}}}, "class"),
        ("metrics.json", {"calibration": {"bins": [{"low": 0, "high": 1, "count": 3, "mean_score": 7}]}}, "share"),
        ("metrics.json", {"calibration": {"bins": [3]}}, "calibration"),
        ("metrics.json", {"curves": {"recall": [0, 1], "classes": [{"name": "car", "precision": [1]}]}}, "car"),
        ("metrics.json", {"curves": {"recall": [0, 2], "classes": []}}, "recall"),
        ("run.json", {"anchors": {"coverage": {}}}, "recall"),
        ("run.json", {"anchors": {"coverage": {"recall": 1, "mean_iou": 1, "places": 3, "assignments": {"x": 1}},
                                  "levels_hw": [[1, 2]]}}, "levels"),
        ("predictions.json", [{"objects": [], "detections": 3}], "entry 0"),
        ("predictions.json", [{"objects": [{"box_xyxy": [1, 2, 3], "label": 0}], "detections": []}], "entry 0"),
        ("predictions.json", [{"objects": [{"box_xyxy": [3, 2, 1, 4], "label": 0}], "detections": []}], "no area"),
        ("predictions.json", [{"objects": [{**BOX, "label": -1}], "detections": []}], "label"),
        ("predictions.json", [{"objects": [], "detections": [BOX]}], "score"),
        ("predictions.json", [{"objects": [], "detections": [{**BOX, "score": 1.5}]}], "score"),
        ("predictions.json", [{"objects": [], "detections": []}, {"points_xy": [[1, 2]]}], "entry 1"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_be_understood_is_named(tmp_path, name, values, words):
    run = make_boxes_run(tmp_path, pictures=3)
    path = run / name if name == "run.json" else run / "evaluation" / name
    path.write_text(json.dumps(values if isinstance(values, list) else {**json.loads(path.read_text()), **values}))
    with pytest.raises(UserError, match=words) as error:
        write_report(run)
    assert "Delete" in str(error.value) or "delete" in str(error.value) or "Restore" in str(error.value)
    assert not (run / "report.html").exists()
