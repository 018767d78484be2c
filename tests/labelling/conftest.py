"""Runs with weights that nobody trained, and pictures to ask them about."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelling_cases import BOXES, ONE_BOX, POINTS, blocks, make_run
from PIL import Image


@pytest.fixture(scope="session")
def one_box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("one") / "one", ONE_BOX)


@pytest.fixture(scope="session")
def many_boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("many") / "many", BOXES)


@pytest.fixture(scope="session")
def two_points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("points") / "points", POINTS)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """Twelve pictures in two folders."""
    folder = tmp_path / "unlabelled"
    for number in range(12):
        path = folder / ("a" if number % 2 else "b") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(blocks(number)).save(path)
    return folder
