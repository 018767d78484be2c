"""The usual torchvision v2 pipeline for pictures with points and boxes: what the loader is measured against.

The same changes with the same ranges and probabilities as OURS, each its own pass over the pixels. Next: loader.py
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as V2F

from sightline.config import AugmentConfig
from sightline.geometry import Box

OURS = AugmentConfig(
    rotate_deg=25,
    shear=0.1,
    shift=0.06,
    scale_min=0.8,
    scale_max=1.2,
    flip=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.03,
    grey=0.1,
    blur=0.1,
    noise_std=0.03,
)
SHEAR_DEG = 5.7  # the angle whose tangent is 0.1


class EachImageNoise(torch.nn.Module):
    """v2's Gaussian noise on uint8, with a std drawn anew for each picture."""

    def __init__(self, highest_std: float) -> None:
        super().__init__()
        self.highest_std = highest_std

    def forward(self, image: Tensor, target: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Change the picture, leave the rest."""
        sigma = float(torch.rand(())) * self.highest_std
        return V2F.gaussian_noise(image, sigma=sigma), target


def pipeline(side: int) -> v2.Compose:
    """From an uint8 crop [3, H, W] to an augmented uint8 picture of side x side, with its points and box."""
    return v2.Compose(
        [
            v2.Resize((side, side), antialias=True),
            v2.RandomHorizontalFlip(OURS.flip),
            v2.RandomAffine(
                OURS.rotate_deg,  # type: ignore[arg-type]
                translate=(OURS.shift, OURS.shift),
                scale=(OURS.scale_min, OURS.scale_max),
                shear=SHEAR_DEG,
                interpolation=InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(OURS.brightness, OURS.contrast, OURS.saturation, OURS.hue),
            v2.RandomGrayscale(OURS.grey),
            v2.RandomApply([v2.GaussianBlur(7, (0.4, 1.6))], p=OURS.blur),
            EachImageNoise(OURS.noise_std),
        ]
    )


def sample(transform: v2.Compose, image: Tensor, *, points_xy: Tensor, crop: Box) -> tuple[Tensor, dict[str, Tensor]]:
    """Crop a decoded picture [3, H, W] to a box and augment it with its points and the box of its points."""
    x0, y0, x1, y1 = (round(v) for v in crop)
    size_hw = (image.shape[1], image.shape[2])
    low, high = points_xy.amin(dim=0), points_xy.amax(dim=0)
    box = torch.cat([low, high])[None]
    whole = {
        "points": tv_tensors.KeyPoints(points_xy, canvas_size=size_hw),  # type: ignore[call-overload]
        "box": tv_tensors.BoundingBoxes(box, format="XYXY", canvas_size=size_hw),  # type: ignore[call-overload]
    }
    place = {"top": y0, "left": x0, "height": y1 - y0, "width": x1 - x0}
    cut = {name: V2F.crop(value, **place) for name, value in whole.items()}
    return transform(tv_tensors.Image(V2F.crop(image, **place)), cut)
