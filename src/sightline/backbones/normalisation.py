"""What pixels are divided and shifted by before a backbone sees them.

Pretrained weights want the statistics that they were trained with: "imagenet" for almost all. The `aircraft`
write-up takes those of its own training pictures instead, which numbers say.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

Means = tuple[float, float, float]
Stds = tuple[PositiveFloat, PositiveFloat, PositiveFloat]
MeanStd = Literal["imagenet", "half", "none"] | tuple[Means, Stds]

MEAN_STD: dict[str, tuple[Means, Stds]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
MEAN_STD_HELP = "pixel normalisation: a name, or [[means], [stds]] of red, green and blue in 0..1"


def pixel_statistics(mean_std: MeanStd, *, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, [C], of pixels in 0..1; grey takes the mean of the colours."""
    both = MEAN_STD[mean_std] if isinstance(mean_std, str) else mean_std
    mean, std = (torch.tensor([sum(v) / 3] if channels == 1 else v) for v in both)
    return mean, std
