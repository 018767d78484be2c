"""Run folders that nobody trained, and clips drawn as pictures: an audit asks for weights, not for good ones."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import torch

from sightline.checkpoint import RunFolder, save_weights, write_json
from sightline.config import Experiment, from_yaml
from sightline.model import build
from sightline.prepare import load_data, prepare

ONE_BOX_YAML = """
recipe: tiny-one-box
classes: [object]
data: {input_hw: [32, 32], crop: image, workers: 0}
augment: {flip: 0.5}
backbone: {kind: convnet, layers: [{channels: 8, stride: 4, padding: 1}]}
neck: {kind: none}
head: {kind: one-box}
codec: {kind: one-box}
"""
BOXES_YAML = """
recipe: tiny-boxes
classes: [object]
data: {input_hw: [64, 64], crop: image, workers: 0}
augment: {flip: 0.5, mosaic: 0.3}
backbone:
  kind: convnet
  layers: [{channels: 8, stride: 4, padding: 1}, {channels: 16, stride: 2, padding: 1}]
neck: {kind: pan, channels: 16, levels: 2}
head: {kind: decoupled, depth: 1}
codec: {kind: anchor-free}
"""
FRAME_HW = (48, 64)


def untrained_run(out: Path, data: Path, experiment: Experiment | str) -> Path:
    """A run folder with the weights that a training begins with."""
    given = from_yaml(experiment, where="test") if isinstance(experiment, str) else experiment
    prepared = prepare(given, load_data(data, skip_broken=False))
    torch.manual_seed(0)
    model, _ = build(prepared.experiment)
    folder = RunFolder(out)
    out.mkdir(parents=True)
    folder.config.write_text(prepared.experiment.to_yaml())
    parts = {"train": prepared.split.train, "val": prepared.split.val}
    write_json(folder.split, {name: [record.image_id for record in records] for name, records in parts.items()})
    save_weights(folder.best, model.state_dict())
    return out


def write_clips(folder: Path, *, clips: int = 3, frames: int = 5) -> Path:
    """A bright disc that flies through each clip and is away in its last frame."""
    folder.mkdir(parents=True)
    with (folder / "ball.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip", "frame", "file", "visibility", "x", "y"])
        for clip in range(clips):
            for frame in range(frames):
                x, y, there = 10 + 9 * frame + clip, 30 - 3 * frame, frame < frames - 1
                picture = np.full((*FRAME_HW, 3), 60 + 10 * clip, dtype=np.uint8)
                if there:
                    cv2.circle(picture, (x, y), 3, (250, 240, 80), -1)
                name = f"{clip}_{frame}.png"
                cv2.imwrite(str(folder / name), picture)
                rows.writerow([f"clip{clip}", frame, name, int(there), x if there else "", y if there else ""])
    return folder
