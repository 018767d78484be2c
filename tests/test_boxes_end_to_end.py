"""Boxes through the whole program, by the command line: check, train, evaluate, predict, convert, anchors."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.drawn.plain_shapes import write_drawn_shapes

MANY_YAML = """
recipe: tiny-boxes
classes: [object]
data: {input_hw: [64, 64], crop: image, workers: 0}
augment: {flip: 0.5, shift: 0.1, mosaic: 0.3, iou_crop: 0.3}
backbone:
  kind: convnet
  layers:
    - {channels: 16, stride: 2, padding: 1, norm: true}
    - {channels: 32, stride: 2, padding: 1, norm: true}
    - {channels: 32, stride: 2, padding: 1, norm: true}
neck: {kind: pan, channels: 32, levels: 2}
head: {kind: decoupled, depth: 1}
codec: {kind: anchor-free}
train: {epochs: 2, batch: 8, lr: 0.003, schedule: one-cycle}
"""
ONE_YAML = """
recipe: tiny-one-box
classes: [object]
data: {input_hw: [64, 64], crop: image, workers: 0}
augment: {flip: 0.5, shift: 0.05}
backbone:
  kind: convnet
  layers:
    - {channels: 16, stride: 2, padding: 1, norm: true}
    - {channels: 32, stride: 2, padding: 1, norm: true}
    - {channels: 32, stride: 2, padding: 1, norm: true}
neck: {kind: none}
head: {kind: one-box}
codec: {kind: one-box}
train: {epochs: 2, batch: 8, lr: 0.003, schedule: one-cycle}
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures to train and eight to validate, each with several shapes."""
    return write_drawn_shapes(tmp_path_factory.mktemp("many"), count=20, val_count=8, seed=0, size_hw=(64, 64))


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one shape each."""
    folder = tmp_path_factory.mktemp("single")
    return write_drawn_shapes(folder, count=20, val_count=8, seed=0, size_hw=(64, 64), objects=1)


def recipe(folder: Path, text: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def trained(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector after two epochs: it finds little, but everything that a run holds is there."""
    return train(many, tmp_path_factory.mktemp("run"), MANY_YAML)


def train(data: Path, folder: Path, text: str, *sets: str) -> Path:
    from sightline.checkpoint import RunFolder
    from sightline.cli.choose import chosen
    from sightline.pipeline import train_run
    from sightline.prepare import load_data, prepare

    prepared = prepare(chosen(str(recipe(folder, text)), None, list(sets)), load_data(data, skip_broken=False))
    train_run(prepared, RunFolder(folder / "run"), command="test", device="cpu")
    return folder / "run"


def test_a_data_set_of_boxes_is_checked(cli: Callable, many: Path) -> None:
    found = cli("check", many, "--json").json
    assert found["format"] == "coco"
    assert found["records"] == 28
    assert found["classes"] == ["circle", "square", "triangle"]
    assert found["boxes"] > 28
    assert found["points"] == []


def test_training_leaves_metrics_thresholds_and_a_report(cli: Callable, many: Path, tmp_path: Path) -> None:
    ran = cli("train", recipe(tmp_path, MANY_YAML), "--data", many, "--out", tmp_path / "run", "--json")
    assert ran.code == 0
    assert ran.json["task"] == "boxes"
    assert {"f1", "precision", "recall"} & set(ran.json["metrics"]) or "ap" in ran.json["metrics"]
    assert set(json.loads((tmp_path / "run" / "thresholds.json").read_text())) == {"circle", "square", "triangle"}
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    rows = json.loads((tmp_path / "run" / "evaluation" / "predictions.json").read_text())
    assert len(rows) == 8
    assert {"objects", "detections", "error"} <= set(rows[0])
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any(name.startswith("ap_class/") for line in lines if line["kind"] == "val" for name in line)


def test_an_evaluation_uses_the_thresholds_of_the_run(cli: Callable, trained: Path, many: Path) -> None:
    chosen = {"circle": 0.9, "square": 0.8, "triangle": 0.7}
    (trained / "thresholds.json").write_text(json.dumps(chosen))
    found = cli("evaluate", trained, "--data", many, "--split", "val", "--json").json
    assert found["thresholds"] == chosen
    assert found["thresholds_from"] == "the run"
    assert found["images"] == 8


def test_damaged_thresholds_are_told(cli: Callable, trained: Path, many: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "thresholds.json").write_text("{")
    ran = cli("evaluate", tmp_path / "run", "--data", many)
    assert ran.code == 2
    assert "thresholds.json" in ran.err


def test_predictions_are_written_in_formats_of_boxes(cli: Callable, trained: Path, many: Path, tmp_path: Path) -> None:
    (trained / "thresholds.json").write_text(json.dumps(dict.fromkeys(["circle", "square", "triangle"], 0.0)))
    ran = cli("predict", trained, many / "val", "--out", tmp_path / "out", "--format", "boxes_csv", "coco-results")
    assert ran.code == 0
    with (tmp_path / "out" / "boxes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["xmin"]]
    assert rows
    sides = np.array([[float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")] for row in rows])
    assert (sides >= 0).all() and (sides <= 64).all()
    assert (sides[:, 2:] > sides[:, :2]).all()
    assert len(list((tmp_path / "out" / "overlays").rglob("*.jpg"))) == 8
    assert (tmp_path / "out" / "results.json").is_file()


def test_only_boxes_above_the_score_asked_for_are_given(
    cli: Callable, trained: Path, many: Path, tmp_path: Path
) -> None:
    (trained / "thresholds.json").write_text(json.dumps(dict.fromkeys(["circle", "square", "triangle"], 0.999)))
    picture = next((many / "val").glob("*.png"))
    counts = [
        len(cli("predict", trained, picture, "--out", tmp_path / str(n), "--json", *more).json[0]["detections"])
        for n, more in enumerate([(), ("--score", 0), ("--score", 0.999)])
    ]
    assert counts[0] == counts[2] == 0
    assert counts[1] > 0
    assert cli("predict", trained, picture, "--out", tmp_path / "o", "--score", 2).code == 2


def test_a_format_of_points_is_refused_for_boxes(cli: Callable, trained: Path, many: Path, tmp_path: Path) -> None:
    ran = cli("predict", trained, many / "val", "--out", tmp_path / "out", "--format", "pts")
    assert ran.code == 2
    assert "format of boxes" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_detector_gives_the_crops_of_a_landmark_model(
    cli: Callable, trained: Path, many: Path, tmp_path: Path, faces: Path, recipe_file: Path
) -> None:
    (trained / "thresholds.json").write_text(json.dumps(dict.fromkeys(["circle", "square", "triangle"], 0.0)))
    points = tmp_path / "points"
    assert cli("train", recipe_file, "--data", faces, "--out", points, "--set", "train.epochs=1").code == 0
    picture = next((many / "val").glob("*.png"))
    ran = cli("predict", points, picture, "--out", tmp_path / "out", "--boxes", trained, "--json")
    assert ran.code == 0
    assert ran.json
    assert all(found["box_source"] == "run run" and found["box_xyxy"] is not None for found in ran.json)
    refused = cli("predict", points, picture, "--out", tmp_path / "other", "--boxes", points)
    assert refused.code == 2
    assert "finds points" in refused.err


def test_boxes_are_not_looked_for_in_boxes(cli: Callable, trained: Path, many: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("file,xmin,ymin,xmax,ymax\n000000.png,0,0,5,5\n")
    picture = next((many / "val").glob("*.png"))
    (tmp_path / "boxes.csv").write_text(f"file,xmin,ymin,xmax,ymax\n{picture.name},0,0,5,5\n")
    ran = cli("predict", trained, picture, "--out", tmp_path / "out", "--boxes", tmp_path / "boxes.csv")
    assert ran.code == 2
    assert "finds boxes itself" in ran.err


@pytest.mark.parametrize("to", ["voc", "yolo", "cvat", "boxes_csv", "label_studio", "coco"])
def test_a_data_set_is_the_same_in_another_format(cli: Callable, many: Path, tmp_path: Path, to: str) -> None:
    assert cli("convert", many, tmp_path / "out", "--to", to).code == 0
    before, after = (cli("check", folder, "--json").json for folder in (many, tmp_path / "out"))
    for key in ("records", "boxes", "classes", "errors"):
        assert before[key] == after[key]


def test_a_landmark_recipe_refuses_boxes_and_the_reverse(
    cli: Callable, many: Path, faces: Path, recipe_file: Path, tmp_path: Path
) -> None:
    ran = cli("train", recipe_file, "--data", many, "--out", tmp_path / "run")
    assert ran.code == 2
    assert "boxes but no points" in ran.err
    ran = cli("train", recipe(tmp_path, MANY_YAML), "--data", faces, "--out", tmp_path / "run")
    assert ran.code == 2
    assert "no boxes with classes" in ran.err


def test_one_object_needs_one_object(cli: Callable, many: Path, single: Path, tmp_path: Path) -> None:
    ran = cli("train", recipe(tmp_path, ONE_YAML), "--data", single, "--out", tmp_path / "run", "--json")
    assert ran.code == 0
    assert ran.json["task"] == "one-box"
    assert {"mean_iou", "accuracy", "score"} <= set(ran.json["metrics"])
    ran = cli("train", recipe(tmp_path, ONE_YAML), "--data", many, "--out", tmp_path / "other")
    assert "with no object or with several are left out" in ran.out + ran.err


def test_anchors_are_looked_at(cli: Callable, many: Path, tmp_path: Path) -> None:
    found = cli(
        "anchors", many, "--recipe", recipe(tmp_path, MANY_YAML), "--json", "--out", tmp_path / "anchors.svg"
    ).json
    assert found["pictures"] == 28
    assert 0 <= found["coverage"]["recall"] <= 1
    assert "<svg" in (tmp_path / "anchors.svg").read_text()
    ran = cli("anchors", many, "--recipe", recipe(tmp_path, ONE_YAML))
    assert ran.code == 2


def test_classes_are_matched_by_name_whatever_their_order(many: Path, trained: Path) -> None:
    from sightline.checkpoint import RunFolder
    from sightline.prepare import load_data
    from sightline.records import Dataset
    from sightline.task_data import speaking_of

    experiment = RunFolder(trained).experiment()
    dataset = load_data(many, skip_broken=False)
    turned = Dataset(
        root=dataset.root,
        format=dataset.format,
        classes=dataset.classes[::-1],
        records=tuple(
            replace(record, objects=replace(record.objects, labels=2 - record.objects.labels))
            for record in dataset.records
            if record.objects is not None
        ),
    )
    matched = speaking_of(experiment, turned)
    assert matched.classes == experiment.classes
    for before, after in zip(dataset.records, matched.records, strict=True):
        assert before.objects is not None and after.objects is not None
        assert np.array_equal(before.objects.labels, after.objects.labels)


def test_some_classes_can_be_chosen(cli: Callable, many: Path, tmp_path: Path) -> None:
    sets = ("--set", "data.classes=[square]", "train.epochs=1")
    ran = cli("train", recipe(tmp_path, MANY_YAML), "--data", many, "--out", tmp_path / "run", *sets)
    assert ran.code == 0
    assert list(json.loads((tmp_path / "run" / "thresholds.json").read_text())) == ["square"]
    ran = cli(
        "train", recipe(tmp_path, MANY_YAML), "--data", many, "--out", tmp_path / "b", "--set", "data.classes=[sqare]"
    )
    assert ran.code == 2
    assert "square" in ran.err


def test_a_training_of_boxes_goes_on_as_if_never_stopped(many: Path, tmp_path: Path) -> None:
    from sightline.checkpoint import RunFolder
    from sightline.cli.choose import chosen
    from sightline.files import write_atomically
    from sightline.prepare import load_data, prepare
    from sightline.train import Event, train

    sets = ["train.epochs=3", "train.save_minutes=0", "train.ema=0.9"]
    prepared = prepare(chosen(str(recipe(tmp_path, MANY_YAML)), None, sets), load_data(many, skip_broken=False))

    class Stopped(Exception):
        pass

    def stop(event: Event) -> None:
        if event.values["step"] >= 4:
            raise Stopped

    def run(name: str, **more: object) -> dict[str, torch.Tensor]:
        from safetensors.torch import load_file

        out = tmp_path / name
        write_atomically(RunFolder(out).config, prepared.experiment.to_yaml())
        train(prepared.experiment, prepared.split, out, **more)  # type: ignore[arg-type]
        return load_file(out / "last.safetensors")

    whole = run("whole")
    with pytest.raises(Stopped):
        run("broken", watchers=[stop])
    again = run("broken", resume=True)
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[key], again[key]) for key in whole)


def test_four_pictures_with_boxes_are_learnt_by_heart(tmp_path: Path) -> None:
    data = write_drawn_shapes(tmp_path / "data", count=4, val_count=4, seed=3, size_hw=(64, 64), objects=2)
    coco = json.loads((data / "annotations" / "instances_train.json").read_text())
    (data / "annotations" / "instances_val.json").write_text(json.dumps(coco))  # the same pictures validate
    shutil.rmtree(data / "val")
    shutil.copytree(data / "train", data / "val")
    still = ("augment.flip=0", "augment.shift=0", "augment.mosaic=0", "augment.iou_crop=0")
    run = train(data, tmp_path, MANY_YAML, *still, "train.epochs=150", "train.batch=4", "train.validate_every=150")
    found = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    assert found["ap50"]["value"] > 0.9
