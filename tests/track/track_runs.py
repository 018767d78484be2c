"""Runs of small trackers with random weights, and videos made by code."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from sightline.checkpoint import RunFolder, save_weights
from sightline.config import Experiment
from sightline.files import write_atomically
from sightline.model import build, without_pretrained
from sightline.recipes.track_ball import track_ball_coarse, track_ball_fine
from sightline.track.config import PRESETS, write_tracker
from sightline.video.writer import VideoWriter

SIZE_HW = (120, 200)


def small(experiment: Experiment, input_hw: tuple[int, int], **data: object) -> Experiment:
    """The same with a smaller input and other settings of data."""
    smaller = experiment.data.model_copy(update={"input_hw": input_hw, **data})
    return experiment.model_copy(update={"data": smaller})


def make_track_run(folder: Path, experiment: Experiment, *, threshold: float | None = None, seed: int = 0) -> Path:
    """A run folder as training leaves it, with weights that nobody trained."""
    torch.manual_seed(seed)
    model, _ = build(without_pretrained(experiment))
    run = RunFolder(folder)
    save_weights(run.best, model.state_dict())
    write_atomically(run.config, experiment.to_yaml())
    if threshold is not None:
        write_atomically(run.thresholds, json.dumps({"visible": threshold}))
    return folder


def make_tracker(folder: Path) -> Path:
    """A tracker's folder of two small runs."""
    make_track_run(folder / "coarse", small(track_ball_coarse(), (64, 96)), threshold=0.1)
    make_track_run(folder / "fine", small(track_ball_fine(), (64, 64)), threshold=0.1)
    write_tracker(folder, PRESETS["track-ball"])
    return folder


def ball_picture(number: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """A ball that flies over a gradient, [H, W, 3]."""
    height, width = size_hw
    image = np.empty((height, width, 3), dtype=np.uint8)
    image[:] = np.linspace(40, 120, width).astype(np.uint8)[None, :, None]
    cv2.circle(image, (10 + 5 * number % width, 30 + (number * 3) % (height - 40)), 4, (240, 230, 90), -1, cv2.LINE_AA)
    return image


def make_video(path: Path, *, frames: int = 20, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """An H.264 file of it, 30 frames a second."""
    with VideoWriter(path, fps=30, size_hw=size_hw) as writer:
        for number in range(frames):
            writer.write(ball_picture(number, size_hw))
    return path
