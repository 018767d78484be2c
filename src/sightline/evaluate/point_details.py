"""What only the model itself tells about its points: where the error comes from, heatmaps of telling pictures.

Next: one_box.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from sightline.codecs.protocol import Codec
from sightline.geometry import apply_affines
from sightline.infer import invert
from sightline.loader import PlainSamples, collate
from sightline.model import Locator
from sightline.types import Batch, Points, Raw, RawAxes, RawCoords, RawHeatmaps

NOISE = 0.05  # of the raw output's own scale, for the decoder's error under noise


def error_budget(codec: Codec, loader: Iterable[Batch], *, mean_error_px: float) -> dict[str, float]:
    """Where the error comes from, in original pixels.

    codec_px: encode the truth, decode the flawless output: what the codec itself costs.
    decoder_noise_px: the same with noise of 5 % of the output's scale added: what the decoder makes of noise.
    decoder_bias_px: length of the mean of those errors: where it leans to.
    network_px: what is left of the mean error for the network.
    """
    generator = torch.Generator().manual_seed(0)
    clean, noisy = [], []
    for batch in loader:
        keep = batch.truth.visible
        if not keep.any():
            continue
        raw = codec.perfect(codec.encode(batch.truth))
        back = invert(batch.to_input)
        truth = apply_affines(back, batch.truth.points_xy)
        clean.append((apply_affines(back, _decoded_xy(codec, raw)) - truth)[keep])
        noisy.append((apply_affines(back, _decoded_xy(codec, _with_noise(raw, generator))) - truth)[keep])
    if not clean:
        return {}
    codec_px = float(torch.cat(clean).norm(dim=-1).mean())
    return {
        "codec_px": codec_px,
        "decoder_noise_px": float(torch.cat(noisy).norm(dim=-1).mean()),
        "decoder_bias_px": float(torch.cat(noisy).mean(dim=0).norm()),
        "network_px": max(0.0, mean_error_px - codec_px),
    }


def _decoded_xy(codec: Codec, raw: Raw) -> Tensor:
    points = codec.decode(raw)
    assert isinstance(points, Points)
    return points.xy


def _with_noise(raw: Raw, generator: torch.Generator) -> Raw:
    """Gaussian noise of NOISE times the spread between the highest and the median value."""

    def shaken(values: Tensor) -> Tensor:
        flat = values.flatten(2)
        spread = (flat.amax(dim=2) - flat.median(dim=2).values).clamp(max=10.0)
        scale = NOISE * spread.view(*values.shape[:2], *([1] * (values.ndim - 2)))
        return values + scale * torch.randn(values.shape, generator=generator)

    if isinstance(raw, RawHeatmaps):
        return RawHeatmaps(logits=shaken(raw.logits))
    if isinstance(raw, RawAxes):
        return RawAxes(x=shaken(raw.x), y=shaken(raw.y))
    assert isinstance(raw, RawCoords)
    return raw  # plain coordinates have no decoder that noise could mislead


@torch.no_grad()
def heatmaps(model: Locator, samples: PlainSamples, rows: Sequence[int], *, device: str) -> dict[str, np.ndarray]:
    """Maps of some pictures as 0..255, with the input that they belong to; empty where the model has no maps."""
    batch = collate([samples[row] for row in rows])
    raw = model.eval()(*batch.to(device).seen)
    if not isinstance(raw, RawHeatmaps):
        return {}
    maps = raw.logits.float().cpu()
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    shown = ((maps - low) / (high - low).clamp_min(1e-9) * 255).byte().numpy()
    ids = np.array([samples.pictures.records[row].image_id for row in rows])
    return {"image_ids": ids, "maps": shown, "inputs": batch.images.permute(0, 2, 3, 1).contiguous().numpy()}
