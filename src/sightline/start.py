"""The weights a training starts from, beyond what the pieces bring: re-initialised layers, the mean shape.

Next: train.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sightline.config import Experiment
from sightline.geometry import crop_to
from sightline.model import Locator
from sightline.records import Record
from sightline.transforms import base_box


def prepare_start(model: Locator, experiment: Experiment, records: Sequence[Record]) -> None:
    """Re-initialise new layers where asked, and start a regression head at the mean shape."""
    if experiment.train.init == "kaiming":
        for module in [*model.neck.modules(), *model.head.modules()]:
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                # The last bias is where the head was told to start.
                if module.bias is not None and module is not getattr(model.head, "last", None):
                    nn.init.zeros_(module.bias)
    start = getattr(model.head, "start_from", None)
    if start is not None and getattr(model.head, "start_at", None) == "mean-shape":
        start(mean_shape(experiment, records))


def mean_shape(experiment: Experiment, records: Sequence[Record]) -> Tensor:
    """Mean of the visible points in plain crops, [K, 2] in 0..1 of the input; 0.5 where a point is never visible."""
    height, width = experiment.data.input_hw
    total = np.zeros((len(experiment.skeleton.names), 2))
    count = np.zeros((len(experiment.skeleton.names), 1))
    for record in records:
        assert record.size_hw is not None
        to_input = crop_to(base_box(record, record.size_hw, experiment.data), (height, width))
        shown = record.visible[:, None]
        total += np.where(shown, to_input.points(record.points_xy) / (width, height), 0.0)
        count += shown
    return torch.from_numpy(np.where(count > 0, total / np.maximum(count, 1), 0.5)).float()
