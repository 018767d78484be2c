"""Data sets in memory and on disk in which everything is well, and one fault at a time planted in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from sightline.records import Dataset, Objects, Record, Skeleton

NAMES = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth", "chin")
FACE = Skeleton(names=NAMES, flip_pairs=((0, 1), (3, 4)))
PLAIN = Skeleton(names=("a", "b", "c", "d", "e", "f"))
SHAPE = np.array([[30, 30], [70, 32], [50, 52], [36, 70], [64, 72], [51, 95]], dtype=float)
COUNT = 60


def points(skeleton: Skeleton = FACE, *, seed: int = 0) -> Dataset:
    """Sixty noisy faces in pictures of 200 x 200 that lie nowhere."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(COUNT):
        xy = SHAPE * rng.uniform(0.8, 1.2) + rng.normal(0, 1.5, SHAPE.shape) + rng.uniform(0, 60, 2)
        records.append(point_record(f"face_{i}.jpg", xy))
    return Dataset(root=Path("faces"), format="landmark_csv", records=tuple(records), skeleton=skeleton)


def point_record(name: str, xy: np.ndarray, **more: object) -> Record:
    seen = np.ones(len(xy), dtype=bool)
    return replace(
        Record(image_id=name, path=Path("faces") / name, points_xy=xy, visible=seen, size_hw=(200, 200), source=name),
        **more,
    )


def boxes(*, seed: int = 0) -> Dataset:
    """Sixty pictures of 400 x 300 with a car and two dogs each."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(COUNT):
        corners = np.array([[20, 20], [220, 30], [150, 160]]) + rng.uniform(0, 25, (3, 2))
        sides = np.array([[90, 50], [60, 60], [62, 60]]) * rng.uniform(0.85, 1.15, (3, 2))
        records.append(box_record(f"street_{i}.jpg", np.concatenate([corners, corners + sides], axis=1), [0, 1, 1]))
    return Dataset(root=Path("streets"), format="coco", records=tuple(records), classes=("car", "dog"))


def box_record(name: str, xyxy: np.ndarray, labels: list[int], **more: object) -> Record:
    objects = Objects.of(xyxy, np.array(labels))
    found = Record(image_id=name, path=Path("streets") / name, objects=objects, size_hw=(300, 400), source=name)
    return replace(found, **more)


def clip(*, seed: int = 0) -> Dataset:
    """One point on a smooth way through two clips of 40 frames."""
    rng = np.random.default_rng(seed)
    records = []
    for group in ("one", "two"):
        way = 100 + 60 * np.stack([np.sin(np.arange(40) / 6), np.cos(np.arange(40) / 9)], axis=1)
        for i, xy in enumerate(way + rng.normal(0, 0.3, way.shape)):
            records.append(point_record(f"{group}/{i:03}.jpg", xy[None], group=group))
    return Dataset(
        root=Path("clips"), format="landmark_csv", records=tuple(records), skeleton=Skeleton(names=("ball",))
    )


def changed(dataset: Dataset, index: int, **values: object) -> Dataset:
    """One record changed."""
    records = list(dataset.records)
    records[index] = replace(records[index], **values)
    return dataset.with_records(records)


def moved(dataset: Dataset, index: int, move: Callable[[np.ndarray], object]) -> Dataset:
    """The points of one record changed in place by a function, or replaced by what it returns."""
    xy = dataset.records[index].points_xy.copy()
    result = move(xy)
    return changed(dataset, index, points_xy=result if isinstance(result, np.ndarray) else xy)


def with_box(dataset: Dataset, index: int, xyxy: list[float], label: int) -> Dataset:
    """One more box in one record."""
    old = dataset.records[index].objects
    assert old is not None
    every = np.concatenate([old.boxes_xyxy, [xyxy]])
    return changed(dataset, index, objects=Objects.of(every, np.append(old.labels, label)))


def gallery(root: Path, *, count: int = 24, seed: int = 0) -> Dataset:
    """Pictures of 96 x 64 on disk, each with points; a fifth of them validate."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(count):
        grain = cv2.resize(rng.integers(0, 255, (6, 9, 3), dtype=np.uint8), (96, 64), interpolation=cv2.INTER_CUBIC)
        path = root / f"p{chr(97 + i)}.jpg"
        cv2.imwrite(str(path), grain, [cv2.IMWRITE_JPEG_QUALITY, 92])
        xy = SHAPE * 0.5 + rng.normal(0, 1, SHAPE.shape)
        split = "val" if i % 5 == 0 else "train"
        records.append(point_record(path.name, xy, path=path, size_hw=(64, 96), split=split))
    return Dataset(root=root, format="landmark_csv", records=tuple(records), skeleton=FACE)


def added(dataset: Dataset, name: str, *, like: int, split: str | None = None, xy: np.ndarray | None = None) -> Dataset:
    """A record of another file; the caller has written it."""
    old = dataset.records[like]
    new = replace(old, image_id=name, path=dataset.root / name, source=name, split=split or old.split)
    return dataset.with_records([*dataset.records, new if xy is None else replace(new, points_xy=xy)])


def recompressed(source: Path, target: Path) -> None:
    """Smaller, darker, at quality 60."""
    pixels = cv2.resize(cv2.imread(str(source)), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), (pixels * 0.9).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])


def turned(path: Path) -> None:
    """An EXIF tag that asks for a quarter turn."""
    picture = Image.open(path)
    picture.load()
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(path, exif=exif.tobytes())
