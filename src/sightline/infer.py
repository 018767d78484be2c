"""A model over a loader: predictions in pixels of the original files.

Next: evaluate.py, train.py, predict.py
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sightline.codecs.protocol import Codec
from sightline.geometry import apply_affines
from sightline.model import Locator
from sightline.types import Batch, Points


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """Predictions for N pictures, in the loader's order.

    Attributes:
        xy: [N, K, 2] float64, original pixels.
        score: [N, K].
        loss: mean loss over batches.
        seconds: time inside the model and the codec, without loading.
    """

    xy: np.ndarray
    score: np.ndarray
    loss: float


@torch.no_grad()
def predict_loader(
    model: Locator, codec: Codec, loader: Iterable[Batch], *, device: str, twins: tuple[int, ...] | None = None
) -> Predicted:
    """Run a model in evaluation mode over all batches.

    Args:
        model: left in the mode that it came in.
        codec: belongs to the model.
        loader: batches in record order.
        device: where the model lies.
        twins: the skeleton's flip index to average with the mirror image, or None.
    """
    was_training = model.training
    model.eval()
    xy, score, losses, sizes = [], [], [], []
    for given in loader:
        batch = given.to(device)
        raw = model(batch.images)
        losses.append(codec.loss(raw, codec.encode(batch.points_xy, batch.visible)).item())
        sizes.append(len(batch))
        points = codec.decode(raw)
        if twins is not None:
            points = _with_mirror(model, codec, batch.images, points, twins)
        xy.append(apply_affines(invert(batch.to_input), points.xy).double().cpu().numpy())
        score.append(points.score.cpu().numpy())
    model.train(was_training)
    return Predicted(xy=np.concatenate(xy), score=np.concatenate(score), loss=float(np.average(losses, weights=sizes)))


def _with_mirror(model: Locator, codec: Codec, images: Tensor, points: Points, twins: tuple[int, ...]) -> Points:
    """Average with the prediction on the mirror image, weighted equally."""
    mirrored = codec.decode(model(images.flip(3)))
    xy = mirrored.xy[:, list(twins)].clone()
    xy[..., 0] = images.shape[3] - xy[..., 0]
    return Points(xy=(points.xy + xy) / 2, score=(points.score + mirrored.score[:, list(twins)]) / 2)


def invert(matrices: Tensor) -> Tensor:
    """Inverse of 2 x 3 affine matrices, [B, 2, 3] -> [B, 2, 3], in float64."""
    bottom = matrices.new_tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(len(matrices), 1, 3)
    square = torch.cat([matrices.double(), bottom], dim=1)
    return torch.linalg.inv(square)[:, :2].to(matrices.dtype)
