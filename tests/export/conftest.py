"""Runs small enough to be exported in seconds, and their artefacts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from sightline.checkpoint import RunFolder, save_weights
from sightline.config import from_yaml
from sightline.drawn.plain_shapes import write_drawn_shapes
from sightline.export.run import Exported, export_run
from sightline.files import write_atomically
from sightline.model import build

LAYERS = [{"channels": 8, "stride": 2, "padding": 1, "norm": True}] * 3
BOXES = {
    "recipe": "tiny-boxes",
    "classes": ["circle", "square", "triangle"],
    "data": {"input_hw": [64, 64], "crop": "image", "workers": 0},
    "backbone": {"kind": "convnet", "layers": LAYERS},
    "neck": {"kind": "pan", "channels": 16, "levels": 2},
    "head": {"kind": "decoupled", "depth": 1},
    "codec": {"kind": "anchor-free", "score_threshold": 0.0, "most": 20},
}


def random_run(folder: Path, settings: dict) -> Path:
    """A run folder of random weights whose scores differ, so that lists of boxes have an order."""
    experiment = from_yaml(yaml.safe_dump(settings), where="test")
    torch.manual_seed(0)
    model, _ = build(experiment)
    for parameter in model.head.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    run = RunFolder(folder)
    write_atomically(run.config, experiment.to_yaml())
    save_weights(run.best, model.state_dict())
    return folder


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of drawn shapes, no two sides alike."""
    return write_drawn_shapes(tmp_path_factory.mktemp("shapes"), count=8, val_count=4, seed=0, size_hw=(90, 130))


@pytest.fixture(scope="session")
def boxes_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of random weights."""
    return random_run(tmp_path_factory.mktemp("runs") / "boxes", BOXES)


@pytest.fixture(scope="session")
def points_file(trained: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """The trained tiny run of points as an ONNX artefact."""
    out = tmp_path_factory.mktemp("artefacts") / "points.onnx"
    return out, export_run(trained, out, engine="onnx", data=faces, frames=8, threads=1, repeats=5)


@pytest.fixture(scope="session")
def boxes_file(boxes_run: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    """The detector as an ONNX artefact."""
    out = tmp_path_factory.mktemp("artefacts") / "boxes.onnx"
    return out, export_run(boxes_run, out, engine="onnx", data=shapes, frames=8, threads=1, repeats=5)
