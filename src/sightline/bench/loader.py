"""(c) Augmented 256 x 256 samples a second on one core: this program's loader and torchvision v2's usual pipeline.

Next: step.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_image, read_file

from sightline.bench import torchvision_way
from sightline.bench.clock import interleaved, median_ratio, torch_threads
from sightline.bench.result import BenchResult, row
from sightline.config import DataConfig
from sightline.drawn.faces import draw_face
from sightline.loader import Pictures, TrainingSamples
from sightline.records import Record
from sightline.skeletons import skeleton
from sightline.transforms import Framing, base_box, training_sample

BAR = 8.0
QUALITY = 92


def run_loader(*, quick: bool) -> BenchResult:
    """Sources of 640 x 480 and 1280 x 960; `quick` takes fewer samples."""
    return measure(heights=(480, 960), side=256, samples=25 if quick else 50, repeats=5 if quick else 9)


def measure(*, heights: tuple[int, ...], side: int, samples: int, repeats: int) -> BenchResult:
    """Sources are 4:3 drawn faces of the given heights; the crop is the box around the points, as in training."""
    rows: list[dict[str, Any]] = []
    with _one_core(), tempfile.TemporaryDirectory() as folder:
        for height in heights:
            rows += _rows(Path(folder), height=height, side=side, samples=samples, repeats=repeats)
    notes = (
        f"uint8 picture in, augmented uint8 {side} x {side} out, one thread, its processor time; "
        f"median of {repeats} rounds of {samples} samples, the ways in turn.",
        "both do: crop to the points' box + 20 %, resize, flip 0.5 (ours also swaps left and right points), "
        "rotation 25 degrees, shear 0.1, shift 6 %, scale 0.8..1.2 (bilinear), brightness, contrast and saturation "
        "0.3, hue 0.03, grey 0.1, blur 0.1, Gaussian noise with std uniform in 0..0.03.",
        "torchvision: crop, Resize(antialias), RandomHorizontalFlip, RandomAffine, ColorJitter, RandomGrayscale, "
        "GaussianBlur, gaussian_noise on tv_tensors Image, KeyPoints and BoundingBoxes; decode_image for JPEGs. Ours: "
        "one warp, one colour matrix, blur, noise; JPEGs through OpenCV, at a fraction where the crop needs no more.",
    )
    return BenchResult(name="loader", rows=rows, notes=notes)


@contextmanager
def _one_core() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        with torch_threads(1):
            yield
    finally:
        cv2.setNumThreads(threads)


def _rows(folder: Path, *, height: int, side: int, samples: int, repeats: int) -> list[dict[str, Any]]:
    ways = _ways(folder, height=height, side=side)
    many = {name: _times(way, samples) for name, way in ways.items()}
    seconds = interleaved(many, repeats=repeats, clock=time.thread_time)
    rows = []
    for kind, barred in (("without JPEG", True), ("with JPEG", False)):
        ours, other = seconds[f"ours {kind}"], seconds[f"torchvision {kind}"]
        ratio = median_ratio(other, ours)
        rows.append(
            row(
                f"{height * 4 // 3} x {height} source, {kind}",
                ours=samples / statistics.median(ours),
                other=samples / statistics.median(other),
                ratio=ratio,
                unit="samples/s",
                bar=f">= {BAR:g}x" if barred else "",
                met=ratio >= BAR if barred else None,
            )
        )
    return rows


def _times(way: Callable[[int], object], count: int) -> Callable[[], None]:
    def run() -> None:
        for index in range(count):
            way(index)

    return run


def _ways(folder: Path, *, height: int, side: int) -> dict[str, Callable[[int], object]]:
    """A sample by each way, keyed by a number that ours is seeded with."""
    picture, points = draw_face(np.random.default_rng(0), size=height, layout="imm58")
    record = _record(folder / f"{height}.jpg", picture, points)
    data = DataConfig(input_hw=(side, side), crop="points", cache_mb=0)
    framing = Framing(data=data, skeleton=skeleton("imm58"))
    files = TrainingSamples(Pictures([record], data), framing=framing, augment=torchvision_way.OURS, seed=0)
    assert record.size_hw is not None
    box = base_box(record, record.size_hw, data)
    tensor = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
    points_xy = torch.from_numpy(points).float()
    transform = torchvision_way.pipeline(side)

    def ours(index: int) -> object:
        rng = np.random.default_rng([0, 0, index])
        return training_sample(record, picture, framing=framing, augment=torchvision_way.OURS, rng=rng, index=0)

    def theirs(_: int) -> object:
        return torchvision_way.sample(transform, tensor, points_xy=points_xy, crop=box)

    def theirs_decoded(_: int) -> object:
        decoded = decode_image(read_file(str(record.path)), mode=ImageReadMode.RGB)
        return torchvision_way.sample(transform, decoded, points_xy=points_xy, crop=box)

    return {
        "ours without JPEG": ours,
        "torchvision without JPEG": theirs,
        "ours with JPEG": lambda index: files[index, 0],
        "torchvision with JPEG": theirs_decoded,
    }


def _record(path: Path, picture: np.ndarray, points: np.ndarray) -> Record:
    path.write_bytes(cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    size_hw = (picture.shape[0], picture.shape[1])
    return Record(
        image_id=path.name, path=path, points_xy=points, visible=np.ones(len(points), dtype=bool), size_hw=size_hw
    )
