"""A model over a loader: what it finds, in pixels of the original files.

Next: evaluate/, train.py, predict.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.codecs.protocol import Codec
from sightline.geometry import Affine, apply_affines
from sightline.records import Detections, FoundPoints
from sightline.types import Batch, Boxes, Points

Found = FoundPoints | Detections


@dataclass(frozen=True, kw_only=True, eq=False)
class Inferred:
    """What was found in N pictures, in the loader's order, the mean loss, and of how much it is the mean."""

    found: list[Found]
    loss: float
    weight: float = 0.0  # visible points, or pictures: what `codec.weight` counts


@torch.no_grad()
def infer(
    model: nn.Module,
    codec: Codec,
    loader: Iterable[Batch],
    *,
    sizes_hw: Sequence[tuple[int, int]],
    device: str,
    twins: tuple[int, ...] | None = None,
    watch: Callable[[Any, Batch], None] | None = None,
) -> Inferred:
    """Run a model in evaluation mode over all batches.

    Args:
        model: a Locator, or what takes its place for cached features; left in the mode that it came in.
        codec: belongs to the model.
        loader: batches in record order.
        sizes_hw: (height, width) of each record's original picture; boxes are cut there.
        device: where the model lies.
        twins: the skeleton's flip index to average with the mirror image (points only), or None.
        watch: called with each batch's raw output and the batch.
    """
    was_training = model.training
    model.eval()
    found: list[Found] = []
    losses, weights = [], []
    for given in loader:
        batch = given.to(device)
        raw = model(*batch.seen)
        losses.append(codec.loss(raw, codec.encode(batch.truth)).item())
        weights.append(codec.weight(batch.truth).item())  # so that the mean is the same in batches of any size
        if watch is not None:
            watch(raw, batch)
        decoded = codec.decode(raw)
        if twins is not None:
            assert isinstance(decoded, Points)
            decoded = _with_mirror(model, codec, batch.images, decoded, twins)
        sizes = [sizes_hw[index] for index in batch.index.tolist()]
        found += to_original(decoded, batch.to_input.double().cpu().numpy(), sizes_hw=sizes)
    model.train(was_training)
    weight = float(sum(weights))
    return Inferred(found=found, loss=float(np.dot(losses, weights)) / weight if weight else 0.0, weight=weight)


def to_original(decoded: Points | Boxes, to_input: np.ndarray, *, sizes_hw: Sequence[tuple[int, int]]) -> list[Found]:
    """What a codec decoded, mapped from input pixels to those of each original picture.

    Args:
        decoded: of B pictures.
        to_input: [B, 2, 3], original -> input.
        sizes_hw: of the B originals.
    """
    back = [Affine(matrix).inverse() for matrix in to_input]
    if isinstance(decoded, Points):
        xy, score = decoded.xy.double().cpu().numpy(), decoded.score.double().cpu().numpy()
        rows = zip(back, xy, score, strict=True)
        return [FoundPoints(points_xy=a.points(p), scores=s, input_px=a.scale) for a, p, s in rows]
    parts = (decoded.xyxy.double(), decoded.label, decoded.score.double(), decoded.valid)
    rows = zip(back, *(part.cpu().numpy() for part in parts), sizes_hw, strict=True)
    return [_detections(*row) for row in rows]


def _detections(
    back: Affine, boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray, valid: np.ndarray, size_hw: tuple[int, int]
) -> Detections:
    """Cut at the picture's edges; what lies outside of it altogether goes."""
    height, width = size_hw
    mapped = back.boxes(boxes[valid]).clip(0.0, [width, height, width, height])
    there = np.all(mapped[:, 2:] > mapped[:, :2], axis=1)
    return Detections(boxes_xyxy=mapped, labels=labels[valid], scores=scores[valid]).select(there)


def _with_mirror(model: nn.Module, codec: Codec, images: Tensor, points: Points, twins: tuple[int, ...]) -> Points:
    """Average with the prediction on the mirror image, weighted equally."""
    mirrored = codec.decode(model(images.flip(3)))
    assert isinstance(mirrored, Points)
    xy = mirrored.xy[:, list(twins)].clone()
    xy[..., 0] = images.shape[3] - xy[..., 0]
    return Points(xy=(points.xy + xy) / 2, score=(points.score + mirrored.score[:, list(twins)]) / 2)


def invert(matrices: Tensor) -> Tensor:
    """Inverse of 2 x 3 affine matrices, [B, 2, 3] -> [B, 2, 3], in float64."""
    bottom = matrices.new_tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(matrices), 1, 3)
    square = torch.cat([matrices.double(), bottom], dim=1)
    return torch.linalg.inv(square)[:, :2].to(matrices.dtype)


def mapped_points(matrices: Tensor, points_xy: Tensor) -> Tensor:
    """Points [B, K, 2] of input pixels in original pixels, given original -> input [B, 2, 3]."""
    return apply_affines(invert(matrices), points_xy)
