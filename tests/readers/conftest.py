from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.records import Dataset

DrawPicture = Callable[..., Path]


@pytest.fixture
def picture() -> DrawPicture:
    """Writes a small picture, 64 wide and 48 high unless told otherwise."""

    def draw(path: Path, *, width: int = 64, height: int = 48) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((height, width, 3), 90, dtype=np.uint8)).save(path)
        return path

    return draw


@pytest.fixture
def ids() -> Callable[[Dataset], list[tuple[str, str]]]:
    """The problems of a data set as sorted (severity, id)."""

    def of(dataset: Dataset) -> list[tuple[str, str]]:
        return sorted((problem.severity, problem.id) for problem in dataset.problems)

    return of
