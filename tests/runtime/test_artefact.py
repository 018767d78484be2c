"""What an artefact takes and gives, with an engine whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UserError
from sightline.records import Detections, FoundPoints
from sightline.runtime.artefact import Artefact
from sightline.runtime.card import Card, EvaluateCard, SkeletonCard, ViewCard
from sightline.tasks import Task


class Middle:
    """Says that one point lies in the middle of the area, and remembers what it was given."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        self.picture, self.area = inputs["picture"], inputs["area_xyxy"]
        x0, y0, x1, y1 = self.area
        return [np.array([[(x0 + x1) / 2, (y0 + y1) / 2]], dtype=np.float32), np.ones(1, dtype=np.float32)]


class TwoBoxes:
    """Finds the same two boxes everywhere."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], dtype=np.float32)
        return [boxes, np.array([0.9, 0.4], dtype=np.float32), np.array([1, 0])]


def card(**changed: object) -> Card:
    values = {
        "sightline": "0.1.0", "engine": "onnx", "precision": "fp32", "recipe": "r", "task": "points", "made": "now",
        "skeleton": SkeletonCard(names=("nose",)),
        "data": ViewCard(input_hw=(32, 32), channels=3, crop="box", margin=0.5, keep_aspect=False),
        "evaluate": EvaluateCard(jitter=0.1, seed=0, pck=(0.05,), size_limits=(32, 96)),
    }  # fmt: skip
    return Card.model_validate(values | changed)


def test_a_box_is_enlarged_by_the_margin_and_only_what_is_needed_is_handed_over() -> None:
    engine = Middle()
    image = np.zeros((1000, 2000, 3), dtype=np.uint8)
    found = Artefact(card(), engine)(image, (1000.0, 400.0, 1040.0, 420.0))
    assert isinstance(found, FoundPoints)
    assert found.points_xy[0] == pytest.approx((1020, 410))
    assert engine.picture.shape[0] < 60 and engine.picture.shape[1] < 90
    assert engine.area[2] - engine.area[0] == pytest.approx(60)
    assert engine.area[3] - engine.area[1] == pytest.approx(30)


def test_without_a_box_it_is_the_whole_picture() -> None:
    engine = Middle()
    found = Artefact(card(), engine)(np.zeros((30, 50, 3), dtype=np.uint8))
    assert isinstance(found, FoundPoints)
    assert found.points_xy[0] == pytest.approx((25, 15))
    assert engine.picture.shape == (30, 50, 3)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((9, 9, 1), dtype=np.uint8), "the picture has 1"),
        (np.zeros((9, 9), dtype=np.uint8), "uint8"),
        (np.zeros((9, 9, 3), dtype=np.float32), "float32"),
        (np.zeros((0, 9, 3), dtype=np.uint8), "uint8"),
    ],
)
def test_pictures_of_another_kind_are_told(image: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Artefact(card(), Middle())(image)


def test_each_class_has_its_threshold() -> None:
    data = ViewCard(input_hw=(32, 32), channels=3, crop="image", margin=0, keep_aspect=True)
    of_boxes = card(task="boxes", classes=("a", "b"), thresholds={"a": 0.5, "b": 0.5}, data=data)
    image = np.zeros((9, 9, 3), dtype=np.uint8)
    found = Artefact(of_boxes, TwoBoxes())(image)
    assert isinstance(found, Detections)
    assert found.labels.tolist() == [1]
    assert len(Artefact(of_boxes, TwoBoxes(), least_score=0.1)(image).scores) == 2


def test_pictures_on_disk_are_predicted_and_broken_ones_told_at_the_end(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no picture")
    tasks = [Task(image_id=name, path=tmp_path / name) for name in ("bad.png", "good.png")]
    predictions = Artefact(card(), Middle()).predict(tasks)
    good = next(predictions)
    assert good.image_id == "good.png"
    with pytest.raises(UserError, match=r"bad\.png"):
        next(predictions)
