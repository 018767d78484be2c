"""Pixel statistics by name and by number."""

from __future__ import annotations

import pytest
import torch

from sightline.backbones.normalisation import pixel_statistics
from sightline.backbones.torchvision_net import TorchvisionBackboneConfig

OWN = ((0.5, 0.6, 0.7), (0.1, 0.2, 0.3))


def test_names_and_numbers_give_one_mean_and_deviation_a_channel() -> None:
    mean, std = pixel_statistics("imagenet", channels=3)
    assert mean.tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert std.tolist() == pytest.approx([0.229, 0.224, 0.225])
    mean, std = pixel_statistics(OWN, channels=3)
    assert torch.equal(mean, torch.tensor(OWN[0]))
    assert torch.equal(std, torch.tensor(OWN[1]))


def test_a_grey_picture_takes_the_mean_of_the_colours() -> None:
    mean, std = pixel_statistics(OWN, channels=1)
    assert mean.tolist() == pytest.approx([0.6])
    assert std.tolist() == pytest.approx([0.2])


def test_numbers_return_from_json() -> None:
    config = TorchvisionBackboneConfig(mean_std=OWN)
    assert TorchvisionBackboneConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "wrong", ["vgg", ((0.5, 0.5), (1.0, 1.0)), (OWN[0], (0.1, 0.0, 0.3)), (OWN[0], (0.1, -0.2, 0.3))]
)
def test_wrong_statistics_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="mean_std"):
        TorchvisionBackboneConfig(mean_std=wrong)  # type: ignore[arg-type]
