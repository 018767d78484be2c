"""Folding changes the speed and nothing else."""

import torch
from torch import nn

from sightline.config import override
from sightline.fold import folded
from sightline.model import build
from sightline.recipes import recipe


def moved(module: nn.Module) -> nn.Module:
    """Give every normalisation statistics and weights that are not the identity."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator) * 0.3)
            norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
            with torch.no_grad():
                norm.weight.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
                norm.bias.copy_(torch.randn(norm.num_features, generator=generator) * 0.1)
    return module


def test_a_trained_network_gives_the_same_maps_with_fewer_normalisations():
    experiment = override(recipe("landmarks"), sets=["backbone.weights=none", "data.input_hw=[64, 64]"])
    model, _ = build(experiment)
    moved(model).eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    fast = folded(model, images[:1])
    with torch.inference_mode():
        torch.testing.assert_close(fast(images).logits, model(images).logits, rtol=1e-3, atol=1e-3)
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()), "the original is left as it was"
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())


def test_a_normalisation_without_a_convolution_before_it_stays():
    net = moved(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1))).eval()
    image = torch.randn(1, 3, 8, 8)
    fast = folded(net, image)
    assert any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    torch.testing.assert_close(fast(image), net(image))


def test_a_convolution_that_feeds_two_normalisations_stays():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.one, self.two = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.conv(x)
            return self.one(y) + self.two(y)

    net, image = moved(Forked()).eval(), torch.randn(1, 3, 8, 8)
    torch.testing.assert_close(folded(net, image)(image), net(image))
