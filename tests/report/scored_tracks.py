"""Makes run folders of a track without training: clips of a drawn ball, and its places shaken as predictions.

The evaluation is the real one, so that the report is tested on the keys that it will meet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import yaml

from sightline.evaluate.track import TrackScoring
from sightline.records import HISTORY, PAST_FRAMES, Before, FoundPoints, FrameAt, Record


def settings(*, threshold_px: float = 5.0, flip_average: bool = False) -> SimpleNamespace:
    """What scoring reads of an experiment."""
    return SimpleNamespace(
        classes=(), data=SimpleNamespace(crop="image"),
        evaluate=SimpleNamespace(
            jitter=0.0, flip_average=flip_average, pck=(), size_limits=(32.0, 96.0), threshold_px=threshold_px
        ),
    )  # fmt: skip


def clip_records(folder: Path, name: str, places: Sequence[tuple[float, float] | None], *, size_hw=(180, 320)):
    """Frames of a clip on disk, with a white ball at each place (None: hidden), and their records."""
    (folder / name).mkdir(parents=True)
    height, width = size_hw
    shade = np.linspace(40, 90, height)[:, None, None] * np.array([0.6, 1.0, 0.7])
    court = np.broadcast_to(shade, (height, width, 3)).astype(np.uint8)
    records = []
    xy, visible = np.zeros((HISTORY, 2)), np.zeros(HISTORY, dtype=bool)
    past: list[FrameAt | None] = [None] * PAST_FRAMES
    for number, place in enumerate(places):
        image = court.copy()
        cv2.line(image, (width // 6, height * 3 // 4), (width * 5 // 6, height * 3 // 4), (210, 210, 210), 1)
        if place is not None:
            cv2.circle(image, (round(place[0] - 0.5), round(place[1] - 0.5)), 3, (255, 255, 255), -1)
        path = folder / name / f"{number:06d}.jpg"
        cv2.imwrite(str(path), image)
        point = np.zeros((1, 2)) if place is None else np.array([place])
        records.append(
            Record(
                image_id=f"{name}/{number:06d}", path=path, points_xy=point, visible=np.array([place is not None]),
                size_hw=size_hw, group=name, frame=number,
                before=Before(frames=tuple(past[-PAST_FRAMES:]), points_xy=xy, visible=visible),
            )
        )  # fmt: skip
        past.append(FrameAt(path=path))
        xy, visible = np.concatenate([xy[1:], point]), np.append(visible[1:], place is not None)
    return records


def flight(rng: np.random.Generator, *, frames: int, size_hw=(180, 320)) -> list[tuple[float, float] | None]:
    """Arcs from side to side; hidden for a while in the middle."""
    height, width = size_hw
    turn = np.arange(frames) / 24 + rng.uniform(0, 2)
    x = width * (0.5 + 0.38 * np.cos(np.pi * turn))
    y = height * (0.75 - 0.55 * np.abs(np.sin(np.pi * turn)))
    hidden = range(frames // 2, frames // 2 + 6)
    return [None if n in hidden else (float(x[n]), float(y[n])) for n in range(frames)]


def make_track_run(root: Path, *, clips: int = 4, frames: int = 60, seed: int = 0, hostile: bool = False) -> Path:
    """A complete run folder; with `hostile`, names try to break out of the HTML."""
    rng = np.random.default_rng(seed)
    nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>" if hostile else ""
    records: list[Record] = []
    for index in range(clips):
        records += clip_records(root / "clips", f"rally_{index}", flight(rng, frames=frames))
    found = _shaken(records, rng=rng)
    evaluation = TrackScoring(settings(), {}).score(found, records)
    run = root / "run"
    (run / "evaluation").mkdir(parents=True)
    predictions = evaluation.predictions
    told = evaluation.to_json()
    if nasty:
        for row in [*predictions, *told["per_clip"]]:
            row["clip"] += nasty
        records[3].path.unlink()
    context = {"data": str(root / "clips"), "split": "val", "data_fingerprint": "0123456789abcdef"}
    config = {"data": {"input_hw": [288, 512]}, "train": {"steps": 900, "note": nasty or None}}
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    info = {
        "recipe": "track-ball" + nasty, "command": "sightline train track-ball --data clips --out run",
        "started": "2026-01-02 03:04", "seconds": 754.2, "sightline": "0.1.0",
        "machine": {"cpu": "Some CPU", "cores": 2, "torch": "2.9", "gpu": None},
        "data": {"root": str(root / "clips"), "format": "tracknet", "fingerprint": "0123456789abcdef", "train": 800,
                 "val": len(records), "skipped": 0, "problems": []},
        "parameters": {"total": 1234567, "trainable": 1234567, "frozen": 0},
        "best": {"step": 800, "epoch": 32.0, "metric": "f1_wide", "value": 0.83},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(info))
    lines = [
        {"kind": "val", "step": step, "epoch": step / 25, "seconds": step / 2, "loss": 3 * np.exp(-step / 200),
         "f1": max(0.0, 0.8 - 40 / step), "f1_wide": 0.9 - 20 / step, "precision": 0.8, "recall": 0.7}
        for step in range(50, 901, 50)
    ]  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "evaluation" / "metrics.json").write_text(json.dumps({**told, **context}))
    (run / "evaluation" / "predictions.json").write_text(json.dumps(predictions))
    return run


def _shaken(records: Sequence[Record], *, rng: np.random.Generator) -> list[FoundPoints]:
    """Mostly about right; now and then lost for some frames, or following a spot on the ground."""
    found, trouble, left = [], "", 0
    for record in records:
        if left == 0:
            trouble, left = str(rng.choice(["", "", "lost", "spot"])), int(rng.integers(4, 12))
        left -= 1
        shown = bool(record.visible[0])
        xy, score = record.points_xy[0] + rng.normal(0, 1.6, 2), float(rng.beta(9, 2) if shown else rng.beta(2, 6))
        if trouble == "lost" or not shown:
            xy = rng.uniform([0, 0], [320, 180])
        if trouble == "lost":
            score = float(rng.beta(2, 7))
        if trouble == "spot" and shown:
            xy = np.array([260.0, 140.0]) + rng.normal(0, 1, 2)
        found.append(FoundPoints(points_xy=xy[None], scores=np.array([score])))
    return found
