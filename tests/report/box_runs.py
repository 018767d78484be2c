"""Makes run folders of boxes without training: pictures with drawn shapes, and their boxes shaken as detections.

The evaluation is the real one, so that the report is tested on the keys that it will meet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from sightline.evaluate.boxes import label_statistics, picture_row
from sightline.metrics.boxes import choose_thresholds, summarise_boxes
from sightline.metrics.one_box import summarise_one_box
from sightline.records import Detections, Objects, Record

CLASSES = ("car", "person", "bicycle")


def record(path: Path, size_hw: tuple[int, int], objects: Objects) -> Record:
    return Record(
        image_id=path.name, path=path, points_xy=np.zeros((0, 2)), visible=np.zeros(0, dtype=bool), box_xyxy=None,
        size_hw=size_hw, objects=objects,
    )  # fmt: skip


def make_boxes_run(
    root: Path, *, task: str = "boxes", pictures: int = 20, classes: Sequence[str] = CLASSES,
    size_hw: tuple[int, int] = (72, 96), seed: int = 0, hostile: bool = False,
) -> Path:  # fmt: skip
    """A complete run folder; with `hostile`, names try to break out of the HTML."""
    rng = np.random.default_rng(seed)
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>" if hostile else ""
    names = tuple(f"{name}{nasty}" for name in classes)
    data = root / "shapes"
    data.mkdir(parents=True)
    records = []
    for index in range(pictures):
        count = 1 if task == "one-box" else int(rng.integers(0, 7))
        objects = _objects(rng, count=count, classes=len(names), size_hw=size_hw)
        path = data / f"{index:03d}.jpg"
        cv2.imwrite(str(path), _picture(rng, objects, size_hw=size_hw))
        records.append(record(path, size_hw, objects))
    if len(records) > 3:
        records[3].path.unlink()
    return write_run(root / "run", records, classes=names, task=task, rng=rng, nasty=nasty)


def write_run(
    run: Path, records: Sequence[Record], *, classes: Sequence[str], task: str, rng: np.random.Generator,
    nasty: str = "", quality: float = 0.85,
) -> Path:  # fmt: skip
    """A run folder for records, with invented detections."""
    (run / "evaluation").mkdir(parents=True)
    shake = _one_shaken if task == "one-box" else _shaken
    found = [shake(one, rng=rng, classes=len(classes), quality=quality) for one in records]
    evaluation, predictions = (_one_box if task == "one-box" else _boxes)(records, found, classes)
    context = {"data": str(records[0].path.parent), "split": "val", "data_fingerprint": "0123456789abcdef"}
    if nasty:
        for row in predictions:
            row["image_id"] += nasty
    config = {
        "data": {"size_hw": [320, 320]},
        "codec": {"kind": "grid"},
        "train": {"steps": 900, "note": nasty or None},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    _write(run / "run.json", _info(records, classes=classes, task=task, nasty=nasty))
    _write_metrics_lines(run / "metrics.jsonl", metrics=evaluation["metrics"], per_class=evaluation["per_class"],
                         task=task, rng=rng)  # fmt: skip
    _write(run / "evaluation" / "metrics.json", {**evaluation, **context})
    _write(run / "evaluation" / "predictions.json", predictions)
    np.savez(run / "evaluation" / "filters.npz", filters=rng.standard_normal((16, 3, 3, 3)).astype(np.float32))
    return run


def _boxes(records: Sequence[Record], found: Sequence[Detections], classes: Sequence[str]) -> tuple[dict, list[dict]]:
    truth = [one.objects for one in records]
    summary = summarise_boxes(
        found, truth, classes=classes, image_ids=[one.image_id for one in records], size_limits=(16, 32),
        thresholds=choose_thresholds(found, truth, classes=classes),
    )  # fmt: skip
    said = {"task": "boxes", "crop": "image", "classes": list(classes), "thresholds_from": "the data scored"}
    return {**summary.to_json(), **said, "label_statistics": label_statistics(records, classes)}, _rows(
        records, found, summary.per_image
    )


def _one_box(records: Sequence[Record], found: Sequence[Detections], classes: Sequence[str]) -> tuple[dict, list[dict]]:
    truth = [one.objects for one in records]
    summary = summarise_one_box(
        np.stack([one.boxes_xyxy[0] for one in found]), np.array([one.labels[0] for one in found]),
        np.array([one.scores[0] for one in found]), np.stack([one.boxes_xyxy[0] for one in truth]),
        np.array([one.labels[0] for one in truth]), classes=classes, image_ids=[one.image_id for one in records],
    )  # fmt: skip
    said = {"task": "one-box", "crop": "image", "classes": list(classes)}
    return {**summary.to_json(), **said, "label_statistics": label_statistics(records, classes)}, _rows(
        records, found, summary.per_image
    )


def _rows(records: Sequence[Record], found: Sequence[Detections], per_image: Sequence[dict]) -> list[dict]:
    zipped = zip(records, found, per_image, strict=True)
    return [picture_row(one, boxes) | {"error": row["error"]} for one, boxes, row in zipped]


def _objects(rng: np.random.Generator, *, count: int, classes: int, size_hw: tuple[int, int]) -> Objects:
    height, width = size_hw
    sides = rng.uniform(8, 0.55 * height, (count, 2))
    corner = rng.uniform(0, 1, (count, 2)) * (np.array([width, height]) - sides)
    objects = Objects.of(np.concatenate([corner, corner + sides], axis=1), rng.integers(0, classes, count))
    crowd = rng.random(count) < (0.08 if count > 1 else 0)
    return Objects(boxes_xyxy=objects.boxes_xyxy, labels=objects.labels, crowd=crowd, areas=objects.areas)


def _picture(rng: np.random.Generator, objects: Objects, *, size_hw: tuple[int, int]) -> np.ndarray:
    picture = np.full((*size_hw, 3), rng.integers(40, 200), dtype=np.uint8)
    for box, label in zip(objects.boxes_xyxy.round().astype(int).tolist(), objects.labels.tolist(), strict=True):
        colour = tuple(int(c) for c in np.random.default_rng(label).integers(30, 255, 3))
        cv2.rectangle(picture, (box[0], box[1]), (box[2] - 1, box[3] - 1), colour, -1)
    return picture


def _shaken(one: Record, *, rng: np.random.Generator, classes: int, quality: float) -> Detections:
    """Most objects about in place, some under another name, twice or badly placed; and some of nothing."""
    objects, (height, width) = one.objects, one.size_hw or (1, 1)
    rows: list[tuple[np.ndarray, int, float]] = []
    for box, label in zip(objects.boxes_xyxy, objects.labels, strict=True):
        side = box[2:] - box[:2]
        if rng.random() > quality + 0.08:
            continue
        spread = 0.05 if rng.random() < quality else 0.2
        moved = box + rng.normal(0, spread, 4) * np.tile(side, 2)
        told = int(label) if rng.random() < quality + 0.08 else int(rng.integers(0, classes))
        rows.append((moved, told, float(rng.beta(7, 2))))
        if rng.random() < 0.12:
            rows.append((moved + rng.normal(0, 0.06, 4) * np.tile(side, 2), told, float(rng.beta(3, 4))))
    for _ in range(rng.poisson(3)):
        low = rng.uniform(0, 0.8, 2) * [width, height]
        side = rng.uniform(0.08, 0.25, 2) * min(width, height)
        rows.append((np.concatenate([low, low + side]), int(rng.integers(0, classes)), float(rng.beta(1.3, 5))))
    rows.sort(key=lambda row: -row[2])
    boxes = np.array([box for box, _, _ in rows]).reshape(-1, 4)
    first, second = boxes[:, :2], boxes[:, 2:]
    upright = np.concatenate([np.minimum(first, second), np.maximum(first, second)], axis=1)
    return Detections(
        boxes_xyxy=np.clip(upright, 0, [width, height, width, height]),
        labels=np.array([label for _, label, _ in rows], dtype=np.int64), scores=np.array([s for _, _, s in rows]),
    )  # fmt: skip


def _one_shaken(one: Record, *, rng: np.random.Generator, classes: int, quality: float) -> Detections:
    box, label = one.objects.boxes_xyxy[0], int(one.objects.labels[0])
    moved = box + rng.normal(0, 0.04 / quality, 4) * np.tile(box[2:] - box[:2], 2)
    told = label if rng.random() < quality + 0.1 else int(rng.integers(0, classes))
    return Detections(boxes_xyxy=moved[None], labels=np.array([told]), scores=np.array([rng.beta(6, 1.5)]))


def _info(records: Sequence[Record], *, classes: Sequence[str], task: str, nasty: str) -> dict[str, Any]:
    score = "score" if task == "one-box" else "ap"
    info = {
        "recipe": task + nasty, "command": f"sightline train {task} --data shapes --out run",
        "started": "2026-01-02 03:04", "seconds": 754.2, "sightline": "0.1.0",
        "machine": {"cpu": "Some CPU", "cores": 2, "torch": "2.9", "gpu": None},
        "data": {"root": str(records[0].path.parent), "format": "coco", "fingerprint": "0123456789abcdef", "train": 80,
                 "val": len(records), "skipped": 0, "problems": []},
        "parameters": {"total": 1234567, "trainable": 1234567, "frozen": 0}, "classes": list(classes),
        "best": {"step": 800, "epoch": 32.0, "metric": score, "value": 0.571},
    }  # fmt: skip
    return info | ({"anchors": anchors_report()} if task == "boxes" else {})


def anchors_report() -> dict[str, Any]:
    """What `sightline anchors --json` says, of a data set of a few boxes."""
    from sightline.anchors.generate import RetinaAnchors
    from sightline.anchors.look import look

    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 40, (12, 5, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 24, (12, 5, 2))], axis=2)
    found = look(list(boxes), rule=RetinaAnchors(scales=1), levels_hw=((8, 8), (4, 4), (2, 2)), input_hw=(64, 64))
    return json.loads(json.dumps(found.to_json()))


def _write_metrics_lines(
    path: Path, *, metrics: dict[str, Any], per_class: Sequence[dict], task: str, rng: np.random.Generator
) -> None:
    lines = []
    for step in range(10, 901, 10):
        loss = 3.0 * np.exp(-step / 160) + 0.6 + 0.05 * abs(float(rng.standard_normal()))
        lr = 1e-3 * min(1, step / 100) * (0.5 + 0.5 * np.cos(np.pi * step / 900))
        lines.append({"kind": "train", "step": step, "epoch": step / 25, "seconds": step / 2, "loss": loss, "lr": lr})
        if step % 50 == 0:
            part = 1 - 0.9 * float(np.exp(-step / 200)) + 0.01 * float(rng.standard_normal())
            known = {name: min(entry["value"] * part, 1.0) for name, entry in metrics.items()}
            if task == "boxes":
                known |= {f"ap_class/{row['name']}": row["ap"] * part for row in per_class if row["ap"] is not None}
            lines.append(
                {"kind": "val", "step": step, "epoch": step / 25, "seconds": 1.0, "loss": loss + 0.05, **known}
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, allow_nan=False))
