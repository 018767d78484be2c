"""Shapes, truths and raw outputs shared by the codec tests."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.codecs import CODECS, CodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.types import Raw, RawAxes, RawCoords, RawHeatmaps

INPUT_HW = (96, 128)
MAPS = CodecShape(input_hw=INPUT_HW, map_hw=(24, 32))  # stride 4
BINS = CodecShape(input_hw=INPUT_HW, map_hw=(192, 256))  # two bins a pixel
PLAIN = CodecShape(input_hw=INPUT_HW)


def shape_for(config: CodecConfig) -> CodecShape:
    """The shape that a codec of this kind gets from the network."""
    return {RawHeatmaps: MAPS, RawAxes: BINS, RawCoords: PLAIN}[config.takes]


def random_raw(
    config: CodecConfig, *, batch: int = 2, points: int = 3, seed: int = 0, dtype: torch.dtype = torch.float32
) -> Raw:
    """What an untrained network might emit."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    shape = shape_for(config)
    if shape.map_hw is None:
        return RawCoords(xy=draw(batch, points, 2) * 0.2 + 0.5)
    if config.takes is RawAxes:
        return RawAxes(x=draw(batch, points, shape.map_hw[1]), y=draw(batch, points, shape.map_hw[0]))
    return RawHeatmaps(logits=draw(batch, points, *shape.map_hw))


def random_points(*, count: int, border: float, seed: int = 0) -> Tensor:
    """[count, 1, 2] points at least `border` px from the edge."""
    generator = torch.Generator().manual_seed(seed)
    height, width = INPUT_HW
    size = torch.tensor([width, height]) - 2 * border
    return torch.rand(count, 1, 2, generator=generator) * size + border


def every_codec() -> list[CodecConfig]:
    """Every codec of the table with every loss, decoder and target it knows."""
    configs: list[CodecConfig] = []
    for kind in (each for each in CODECS.values() if each.finds == "points"):
        configs.append(kind())
        for name, field in kind.model_fields.items():
            choices = getattr(field.annotation, "__args__", ()) if name != "kind" else ()
            configs += [kind(**{name: value}) for value in choices if isinstance(value, str)]
            if field.annotation is bool:
                configs.append(kind(**{name: not field.default}))
    return configs


def label(config: CodecConfig) -> str:
    """For the test's name: the kind and what differs from the defaults."""
    changed = [f"{key}={value}" for key, value in config.model_dump(exclude_defaults=True).items()]
    return "-".join([config.kind, *changed])


def leaves(raw: Raw) -> list[Tensor]:
    """The tensors of a raw output."""
    return [value for value in vars(raw).values() if isinstance(value, Tensor)]
