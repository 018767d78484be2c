"""Calibration through the whole program: training writes it, prediction, evaluation and artefacts use it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from sightline.calibration.file import Calibration, read_calibration
from sightline.checkpoint import RunFolder
from sightline.drawn.plain_shapes import write_drawn_shapes
from sightline.errors import UserError
from sightline.export.parity import look
from sightline.export.run import card_of, export_run
from sightline.images import read_image
from sightline.predict import Predictor
from sightline.records import Detections, FoundPoints
from sightline.runtime.artefact import Artefact
from sightline.runtime.card import read_card

BOXES_YAML = """
recipe: tiny-boxes
classes: [object]
data: {input_hw: [64, 64], crop: image, workers: 0}
backbone:
  kind: convnet
  layers:
    - {channels: 8, stride: 2, padding: 1, norm: true}
    - {channels: 16, stride: 2, padding: 1, norm: true}
    - {channels: 16, stride: 2, padding: 1, norm: true}
neck: {kind: pan, channels: 16, levels: 2}
head: {kind: decoupled, depth: 1}
codec: {kind: anchor-free, score_threshold: 0.0, most: 20}
train: {epochs: 1, batch: 8, lr: 0.003}
"""


def stored(run: Path) -> Calibration:
    """The calibration of a run, whatever its names."""
    names = tuple(group["name"] for group in json.loads((run / "calibration.json").read_text())["groups"])
    found = read_calibration(run / "calibration.json", names=names)
    assert found is not None
    return found


def test_a_training_of_points_leaves_a_calibration_and_tells_what_halves_found(trained: Path) -> None:
    calibration = stored(trained)
    ids = json.loads((trained / "split.json").read_text())["val"]
    assert calibration.fitted_on.pictures == len(ids) == 4
    assert calibration.pooled.answers == 4 * 68
    assert len(calibration.groups) == 68
    assert all("30 are needed" in group.note for group in calibration.groups)
    told = json.loads((trained / "evaluation" / "metrics.json").read_text())["calibrated"]
    assert told["checked"]["how"] == "cross-fitted"
    assert "Fitted here" in told["note"]
    assert "Probability and radius" in (trained / "report.html").read_text()


def test_predictions_of_points_carry_probability_and_radius(
    trained: Path, faces: Path, cli: Callable, tmp_path: Path
) -> None:
    picture = sorted((faces / "pictures").glob("*"))[0]
    found = Predictor.load(trained)(read_image(picture, channels=1), (8.0, 8.0, 56.0, 40.0))
    assert isinstance(found, FoundPoints) and found.probability is not None and found.radius_px is not None
    bound = stored(trained).pooled.bound
    assert bound is not None
    experiment = Predictor.load(trained).experiment
    side = np.sqrt(48 * 32) * (1 + experiment.data.margin)  # of a square as large as what is shown
    shown = side if not experiment.data.keep_aspect else 48 * (1 + experiment.data.margin)
    steps = np.searchsorted(bound.edges, found.scores, side="right")
    assert found.radius_px == pytest.approx(shown * np.array(bound.values)[steps])
    ran = cli("predict", trained, picture, "--out", tmp_path / "out", "--json", "--no-overlay").json
    assert len(ran[0]["radius_px"]) == len(ran[0]["probability"]) == 68
    with (tmp_path / "out" / "landmarks.csv").open() as file:
        row = next(csv.DictReader(file))
    assert float(row["r0"]) == pytest.approx(ran[0]["radius_px"][0], abs=1e-3)
    assert float(row["p0"]) == pytest.approx(ran[0]["probability"][0], abs=1e-3)
    assert cli("check", tmp_path / "out" / "landmarks.csv", "--json").json["points"] != []


def test_a_run_from_before_predicts_as_ever_and_a_damaged_file_is_named(
    trained: Path, faces: Path, cli: Callable, tmp_path: Path
) -> None:
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "calibration.json").write_text("{")
    ran = cli("predict", run, faces, "--out", tmp_path / "out")
    assert ran.code == 2 and "calibration.json is damaged" in ran.err
    with pytest.raises(UserError, match=r"calibration\.json is damaged"):
        Predictor.load(run)
    (run / "calibration.json").unlink()
    found = cli("predict", run, faces, "--out", tmp_path / "out", "--json", "--no-overlay").json
    assert "radius_px" not in found[0]
    assert "p0" not in (tmp_path / "out" / "landmarks.csv").read_text().splitlines()[0].split(",")
    assert "calibrated" not in cli("evaluate", run, "--data", faces, "--json").json


def test_an_evaluation_says_how_much_the_run_knew_of_the_data(trained: Path, faces: Path, cli: Callable) -> None:
    told = cli("evaluate", trained, "--data", faces, "--json").json["calibrated"]
    assert told["checked"]["how"] == "held out"
    assert "12 of the 16 pictures were trained on and 4 validated on" in told["note"]
    told = cli("evaluate", trained, "--data", faces, "--split", "run-val", "--json").json["calibrated"]
    assert told["checked"]["how"] == "cross-fitted"
    assert "within the 90% bound" in cli("evaluate", trained, "--data", faces).out


class OfRun:
    """An engine that answers as a run does."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        found = look(self.predictor, inputs["picture"], tuple(inputs["area_xyxy"].tolist()))
        assert isinstance(found, FoundPoints)
        return [found.points_xy, found.scores]


def test_with_the_card_of_its_run_an_artefact_gives_its_probabilities_and_radii(trained: Path, faces: Path) -> None:
    run, folder = Predictor.load(trained), RunFolder(trained)
    calibration = folder.load_calibration(run.experiment)
    card = card_of(run.experiment, engine="onnx", int8=False, thresholds={}, calibration=calibration)
    artefact = Artefact(read_card(card.to_json(), where="test"), OfRun(run))
    image = read_image(sorted((faces / "pictures").glob("*"))[0], channels=1)
    for box in (None, (5.0, 5.0, 60.0, 50.0), (20.0, 20.0, 30.0, 30.0)):
        one, other = artefact(image, box), run(image, box)
        assert isinstance(one, FoundPoints) and isinstance(other, FoundPoints)
        assert one.probability == pytest.approx(other.probability)
        assert one.radius_px == pytest.approx(other.radius_px)
        assert one.radius_px is not None and (one.radius_px > 0).all()


@pytest.mark.slow
def test_an_exported_artefact_gives_the_numbers_of_its_run(
    trained: Path, faces: Path, cli: Callable, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    out = tmp_path / "points.onnx"
    exported = export_run(trained, out, engine="onnx", data=faces, frames=4, threads=1, repeats=2)
    assert exported.refused is None
    artefact, run = Artefact.load(out), Predictor.load(trained)
    for picture in sorted((faces / "pictures").glob("*"))[:3]:
        image = read_image(picture, channels=1)
        one, other = artefact(image, (5.0, 5.0, 60.0, 50.0)), run(image, (5.0, 5.0, 60.0, 50.0))
        assert isinstance(one, FoundPoints) and isinstance(other, FoundPoints)
        assert one.probability == pytest.approx(other.probability, abs=1e-4)
        assert one.radius_px == pytest.approx(other.radius_px, rel=1e-4)
    told = cli("evaluate", out, "--data", faces, "--json").json["calibrated"]
    wanted = cli("evaluate", trained, "--data", faces, "--json").json["calibrated"]
    assert told["checked"]["pooled"]["share"] == pytest.approx(wanted["checked"]["pooled"]["share"], abs=0.005)
    assert told["fits"] == wanted["fits"]


def test_boxes_have_a_probability_each_and_margins_from_the_operating_point_on(cli: Callable, tmp_path: Path) -> None:
    from sightline.cli.choose import chosen
    from sightline.pipeline import train_run
    from sightline.prepare import load_data, prepare

    data = write_drawn_shapes(tmp_path / "shapes", count=16, val_count=12, seed=0, size_hw=(64, 64))
    (tmp_path / "tiny.yaml").write_text(BOXES_YAML)
    prepared = prepare(chosen(str(tmp_path / "tiny.yaml"), None, []), load_data(data, skip_broken=False))
    train_run(prepared, RunFolder(tmp_path / "run"), command="test", device="cpu")
    calibration = stored(tmp_path / "run")
    assert calibration.names == ("circle", "square", "triangle")
    thresholds = json.loads((tmp_path / "run" / "thresholds.json").read_text())
    assert [group.least_score for group in calibration.groups] == pytest.approx(list(thresholds.values()))
    predictor = Predictor.load(tmp_path / "run", least_score=0.0)
    found = predictor(read_image(next((data / "val").rglob("*.png")), channels=3))
    assert isinstance(found, Detections) and len(found) and found.probability is not None
    assert ((found.probability > 0) & (found.probability < 1)).all()
    below = found.scores < np.array(list(thresholds.values()))[found.labels]
    assert found.margin_px is not None and np.isinf(found.margin_px[below]).all()
    ran = cli("predict", tmp_path / "run", data / "val", "--score", "0", "--out", tmp_path / "out", "--json")
    rows = [box for picture in ran.json for box in picture["detections"]]
    assert rows and all(0 < box["probability"] < 1 and "margin_px" in box for box in rows)
    with (tmp_path / "out" / "boxes.csv").open() as file:
        header = next(csv.reader(file))
    assert header[-3:] == ["score", "probability", "margin"]
