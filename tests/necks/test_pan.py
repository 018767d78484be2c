from __future__ import annotations

import pytest
import torch

from sightline.errors import UserError
from sightline.necks.pan import PanNeckConfig
from sightline.pieces import spec_of
from sightline.types import FeatureMaps

SIZE = (320, 320)


def maps(*levels: tuple[int, int, int], batch: int = 2) -> FeatureMaps:
    """Maps of (channels, h, w)."""
    generator = torch.Generator().manual_seed(0)
    return FeatureMaps(maps=tuple(torch.randn(batch, c, h, w, generator=generator) for c, h, w in levels))


def sizes_after(features: FeatureMaps, *, size: tuple[int, int] = SIZE, **options: int | float) -> list[tuple]:
    neck = PanNeckConfig(channels=8, **options).build(spec_of(features, size))  # type: ignore[arg-type]
    out = neck(features)
    assert all(m.shape[1] == 8 for m in out.maps)
    return [tuple(m.shape[2:]) for m in out.maps]


BACKBONE = ((4, 80, 80), (6, 40, 40), (8, 20, 20), (10, 10, 10))


def test_levels_start_at_the_smallest_stride_asked_for() -> None:
    assert sizes_after(maps(*BACKBONE)) == [(40, 40), (20, 20), (10, 10)]
    assert sizes_after(maps(*BACKBONE), min_stride=4.0) == [(80, 80), (40, 40), (20, 20)]
    assert sizes_after(maps(*BACKBONE), min_stride=16.0, levels=2) == [(20, 20), (10, 10)]


def test_levels_that_the_backbone_lacks_are_made() -> None:
    assert sizes_after(maps(*BACKBONE), levels=5) == [(40, 40), (20, 20), (10, 10), (5, 5), (3, 3)]
    assert sizes_after(maps(*BACKBONE[:2])) == [(40, 40), (20, 20), (10, 10)]


def test_where_all_maps_are_too_fine_the_levels_are_made_from_the_coarsest() -> None:
    assert sizes_after(maps((4, 80, 80)), levels=2) == [(40, 40), (20, 20)]


def test_odd_sizes_rounded_down_or_up_both_pass() -> None:
    assert sizes_after(maps((4, 19, 13), (4, 9, 6), (4, 4, 3)), size=(152, 104)) == [(19, 13), (9, 6), (4, 3)]
    assert sizes_after(maps((4, 19, 13), (4, 10, 7), (4, 5, 4)), size=(152, 104)) == [(19, 13), (10, 7), (5, 4)]


def test_a_stride_a_little_short_of_the_smallest_is_taken() -> None:
    # 300 px in 38 cells: 7.9 px each.
    assert sizes_after(maps((4, 75, 75), (4, 38, 38), (4, 19, 19)), size=(300, 300), levels=2) == [(38, 38), (19, 19)]


def test_every_level_sees_every_map() -> None:
    features = maps(*BACKBONE[1:])
    neck = PanNeckConfig(channels=8).build(spec_of(features, SIZE)).eval()
    whole = neck(features).maps
    for changed in range(3):
        other = list(features.maps)
        other[changed] = torch.zeros_like(other[changed])
        for before, after in zip(whole, neck(FeatureMaps(maps=tuple(other))).maps, strict=True):
            assert not torch.equal(before, after)


def test_all_weights_learn() -> None:
    for features in (maps(*BACKBONE), maps(*BACKBONE[:1]), maps(*BACKBONE[2:])):
        neck = PanNeckConfig(channels=8, levels=4).build(spec_of(features, SIZE))
        torch.stack([m.square().mean() for m in neck(features).maps]).sum().backward()
        assert all(p.grad is not None for p in neck.parameters())


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"neck\.kernel must be odd, not 4"):
        PanNeckConfig(kernel=4).build(spec_of(maps(*BACKBONE), SIZE))
