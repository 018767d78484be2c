from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UserError
from sightline.heads.decoupled import DecoupledHead, DecoupledHeadConfig
from sightline.pieces import HeadShape, spec_of
from sightline.types import FeatureMaps

SIZE = (64, 96)


def maps() -> FeatureMaps:
    generator = torch.Generator().manual_seed(0)
    return FeatureMaps(maps=tuple(torch.randn(2, 8, h, w, generator=generator) for h, w in ((8, 12), (4, 6), (2, 3))))


def built(*, per_cell: tuple[int, ...] = (1, 1, 1), num_logits: int = 3, **options: int | float) -> DecoupledHead:
    config = DecoupledHeadConfig(**options)  # type: ignore[arg-type]
    shape = HeadShape(input_hw=SIZE, num_logits=num_logits, per_cell=per_cell)
    head = config.build(spec_of(maps(), SIZE), shape=shape)
    assert isinstance(head, DecoupledHead)
    return head.eval()


def test_the_order_is_level_row_column() -> None:
    head = built()
    raw = head(maps())
    assert raw.sizes_hw == ((8, 12), (4, 6), (2, 3))
    boxes = head.boxes[1](head.box_towers[1](maps().maps[1]))
    logits = head.classes[1](head.class_towers[1](maps().maps[1]))
    place = 96 + 2 * 6 + 5
    torch.testing.assert_close(raw.boxes[:, place], boxes[:, :, 2, 5])
    torch.testing.assert_close(raw.logits[:, place], logits[:, :, 2, 5])


def test_several_boxes_a_cell_stand_next_to_each_other() -> None:
    head = built(per_cell=(1, 3, 2))
    raw = head(maps())
    assert raw.boxes.shape == (2, 96 + 72 + 12, 4)
    assert raw.logits.shape == (2, 96 + 72 + 12, 3)
    boxes = head.boxes[1](head.box_towers[1](maps().maps[1]))
    place = 96 + 3 * (2 * 6 + 5) + 1
    torch.testing.assert_close(raw.boxes[:, place], boxes[:, 4:8, 2, 5])


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_the_first_scores_are_the_prior_and_the_first_boxes_the_codecs_own(prior: float) -> None:
    raw = built(prior=prior)(maps())
    assert raw.logits.sigmoid().mean().item() == pytest.approx(prior, rel=0.05)
    assert raw.boxes.abs().max() < 0.2


def test_classes_and_boxes_share_no_weights() -> None:
    head = built()
    raw = head(maps())
    raw.boxes.sum().backward()
    assert all(p.grad is None for part in (head.class_towers, head.classes) for p in part.parameters())
    assert all(p.grad is not None for part in (head.box_towers, head.boxes) for p in part.parameters())


def test_depth_and_width_are_as_asked() -> None:
    def tower(head: DecoupledHead) -> list[Tensor]:
        return [m.weight for m in head.class_towers[0].modules() if isinstance(m, nn.Conv2d)]

    shapes = [tuple(w.shape) for w in tower(built(depth=3, channels=16, kernel=3))]
    assert shapes == [(8, 1, 3, 3), (16, 8, 1, 1), (16, 1, 3, 3), (16, 16, 1, 1), (16, 1, 3, 3), (16, 16, 1, 1)]


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(UserError, match=r"head\.kernel must be odd, not 4"):
        built(kernel=4)
