"""Runs with weights that nobody trained, and pictures made by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sightline.checkpoint import RunFolder, save_weights
from sightline.config import from_yaml
from sightline.files import write_atomically
from sightline.model import build

SIZE_HW = (48, 64)
BODY = """
data: {input_hw: [32, 32], crop: image, workers: 0}
backbone:
  kind: convnet
  layers: [{channels: 8, stride: 2, padding: 1}, {channels: 8, stride: 2, padding: 1}]
"""
ONE_BOX = "recipe: one\nclasses: [cat, dog]\nneck: {kind: none}\nhead: {kind: one-box}\ncodec: {kind: one-box}\n" + BODY
BOXES = (
    "recipe: many\nclasses: [cat, dog]\nneck: {kind: pan, channels: 8, levels: 2}\n"
    "head: {kind: decoupled, depth: 1}\ncodec: {kind: anchor-free}\n" + BODY
)
POINTS = (
    "recipe: points\nskeleton: {names: [nose, tail]}\nneck: {kind: none}\n"
    "head: {kind: heatmap}\ncodec: {kind: heatmap}\n" + BODY
)


def make_run(folder: Path, text: str, *, seed: int = 0) -> Path:
    """A run folder as training leaves it."""
    experiment = from_yaml(text, where="test")
    torch.manual_seed(seed)
    model, _ = build(experiment)
    run = RunFolder(folder)
    save_weights(run.best, model.state_dict())
    write_atomically(run.config, experiment.to_yaml())
    return folder


def blocks(seed: int) -> np.ndarray:
    """[48, 64, 3]: coloured blocks, another arrangement for each seed."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))
