"""The driving ladder: one change a rung, the published counts, any picture size, the claim about the first loss."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from sightline.anchors.generate import ShapedAnchors, SsdAnchors
from sightline.codecs.anchor_fit import fit_codec, is_open
from sightline.codecs.anchors import AnchorsCodec, AnchorsCodecConfig
from sightline.codecs.protocol import Codec, CodecShape
from sightline.config import Experiment, from_yaml
from sightline.data_fit import levels_of
from sightline.errors import UserError
from sightline.inspect import inspect
from sightline.model import Locator, build, without_pretrained
from sightline.optim import build_optimizer
from sightline.recipes import PUBLISHED, RECIPES, published_parameters, recipe
from sightline.recipes.driving import CLASSES, SLIM_EXTRA
from sightline.recipes.driving_ladder import RUNGS, at_size, by_rule, resampled
from sightline.types import Truth

TWO_STAGE = {"driving-faster-rcnn", "faster-rcnn"}
DETECTORS = [*RUNGS, "retinanet", "faster-rcnn"]


def differences(first: Experiment, second: Experiment) -> set[str]:
    """`slot.key` of all that differs; `slot` where the piece is another one."""
    one, two = first.model_dump(), second.model_dump()
    found = set()
    for part in one.keys() - {"recipe"}:
        same_piece = isinstance(one[part], dict) and one[part].get("kind") == two[part].get("kind")
        if same_piece:
            found |= {f"{part}.{key}" for key in one[part] if one[part][key] != two[part][key]}
        elif one[part] != two[part]:
            found.add(part)
    return found


@functools.cache
def counted(name: str) -> int:
    return published_parameters(recipe(name))


@functools.cache
def own(name: str) -> int:
    return inspect(recipe(name)).parameters["total"]


# --- one change a rung ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNGS)
def test_a_rung_changes_what_it_says_and_nothing_else(name: str) -> None:
    rung = RUNGS[name]
    assert rung.make().recipe == name
    if rung.below is None:
        assert name == "driving-ssd"
        return
    assert list(RUNGS).index(rung.below) < list(RUNGS).index(name)
    assert differences(rung.make(), RUNGS[rung.below].make()) == rung.changes


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_is_a_recipe_that_returns_as_yaml(name: str) -> None:
    assert recipe(name) == RECIPES[name]()
    assert from_yaml(recipe(name).to_yaml(), where="test") == recipe(name)


@pytest.mark.parametrize("name", RUNGS)
def test_every_rung_says_what_it_is(name: str) -> None:
    text = RUNGS[name].make.__doc__ or ""
    for word in ("Idea:", "Source:", "Data", "ardware", f"Command: sightline train {name} "):
        assert word in text, f"{name}: no '{word}'"
    assert "xpected" in text
    below = RUNGS[name].below
    assert below is None or below in text, f"{name}: does not name {below}"


# --- parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("driving")])
def test_a_published_count_is_met_exactly(name: str) -> None:
    assert counted(name) == PUBLISHED[name]


def test_the_published_counts_are_those_of_the_write_up() -> None:
    assert PUBLISHED["driving-ssd"] == 3_266_272
    assert PUBLISHED["driving-fpn"] == 62_473_568
    assert PUBLISHED["driving-fpn-slim"] == 29_515_040
    assert PUBLISHED["driving-retinanet"] == 66_415_438
    assert PUBLISHED["driving-bifpn"] == 5_382_734
    assert PUBLISHED["driving-auto"] == 66_635_303


@pytest.mark.parametrize(
    ("name", "anchors"),
    [("driving-ssd", 65_440), ("driving-fpn", 65_440), ("driving-retinanet", 65_520), ("driving-bifpn", 65_520)],
)
def test_a_published_count_is_the_networks_own_and_four_for_each_anchor(name: str, anchors: int) -> None:
    assert own(name) == PUBLISHED[name] - 4 * anchors


def test_automatic_anchors_follow_the_published_formula() -> None:
    heads = 2 * 4 * (256 * 256 * 9 + 256) + (256 * 9 + 1) * 7 * (4 + 9)
    assert counted("driving-auto") == 61_262_144 + heads + 4 * 7 * 15_813
    assert own("driving-auto") == 61_262_144 + heads


def test_the_fixed_bifpns_have_fewer_parameters() -> None:
    assert counted("driving-bifpn-depthwise") == 4_925_774
    fusion, idle_stage = 3 * (2 * 5 + 3 * 5), 1_116_416
    assert counted("driving-bifpn-fixed") == 4_925_774 + fusion - idle_stage


def test_faster_rcnn_has_about_105_million_parameters() -> None:
    assert round(own("driving-faster-rcnn") / 1e6) == 105
    assert counted("driving-faster-rcnn") == own("driving-faster-rcnn")


def test_the_published_per_level_heads_have_11_and_6_anchors_a_cell() -> None:
    assert recipe("driving-per-level").codec.per_cell(6) == (11, 11, 6, 6, 6, 6)
    assert own("driving-per-level") == own("driving-per-level-fixed")


# --- any picture, any data ---------------------------------------------------------------------------------------


def boxes_of(count: int = 396) -> tuple[np.ndarray, np.ndarray]:
    """Sides in pixels, of six sizes from 3 to 90, and classes."""
    rng = np.random.default_rng(0)
    sizes = np.repeat(10 ** np.linspace(0.45, 1.95, 6), count // 6)
    return sizes[:, None] * np.exp(rng.normal(0, 0.08, (count, 2))), rng.integers(0, len(CLASSES), count)


def fitted_to_boxes(experiment: Experiment) -> Experiment:
    codec = experiment.codec
    if not isinstance(codec, AnchorsCodecConfig) or not is_open(codec):
        return experiment
    boxes_wh, labels = boxes_of()
    fitted = fit_codec(
        codec,
        boxes_wh=boxes_wh,
        labels=labels,
        num_classes=len(CLASSES),
        levels_hw=levels_of(experiment),
        input_hw=experiment.data.input_hw,
    )
    return resampled(experiment.model_copy(update={"codec": fitted}))


def small(name: str, input_hw: tuple[int, int]) -> Experiment:
    """A detector with thin pieces in place of its thick ones, at a small size, fitted to some boxes."""
    experiment = without_pretrained(recipe(name))
    if name.startswith("driving"):
        experiment = by_rule(at_size(experiment, input_hw=input_hw))
        backbone = experiment.backbone
        if backbone.kind == "resnet-levels":
            thin = {"name": "resnet18", "extra": SLIM_EXTRA[: len(backbone.extra)]}
            neck = experiment.neck.model_copy(update={"channels": 16})
            experiment = experiment.model_copy(update={"backbone": backbone.model_copy(update=thin), "neck": neck})
    else:
        data = experiment.data.model_copy(update={"input_hw": input_hw})
        experiment = experiment.model_copy(update={"data": data})
    if name in TWO_STAGE:
        head = experiment.head.model_copy(update={"proposals": 16, "hidden": 32})
        experiment = experiment.model_copy(update={"head": head})
    return fitted_to_boxes(experiment)


def truth(input_hw: tuple[int, int], *, classes: int) -> Truth:
    """Two objects in the first picture, none in the second."""
    height, width = input_hw
    boxes = torch.zeros(2, 2, 4)
    boxes[0] = torch.tensor([[3.0, 4.0, 21.0, 27.0], [width / 2, height / 3, width - 1.0, height - 2.0]])
    valid = torch.tensor([[True, True], [False, False]])
    return Truth.of_boxes(boxes, torch.tensor([[0, classes - 1], [0, 0]]), valid)


# Rungs whose network and loss are those of one that is tried in any case.
ALIKE = (
    "driving-flip", "driving-augment", "driving-fpn-slim", "driving-init-flip", "driving-alpha", "driving-sizes",
    "driving-per-level-fixed", "driving-more-data", "driving-resnet-more-layers", "driving-auto-fixed",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in DETECTORS]
)
def test_every_detector_learns_for_two_steps_and_decodes(name: str) -> None:
    torch.manual_seed(0)
    input_hw = (32, 64)
    experiment = small(name, input_hw)
    model, codec = build(experiment)
    optimizer = build_optimizer(model, experiment.train)
    images = torch.randint(0, 256, (2, 3, *input_hw), dtype=torch.uint8)
    wanted = truth(input_hw, classes=len(experiment.classes))
    before = [p.detach().clone() for p in model.head.parameters()]
    for _ in range(2):
        loss = codec.loss(model(images), codec.encode(wanted))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert any(not torch.equal(old, new) for old, new in zip(before, model.head.parameters(), strict=True))
    found = codec.decode(model.eval()(images))
    assert len(found) == 2
    limit = torch.tensor([input_hw[1], input_hw[0]] * 2)
    assert (found.xyxy >= 0).all() and (found.xyxy <= limit).all()


@pytest.mark.parametrize(
    ("input_hw", "levels"), [((320, 320), 6), ((64, 512), 5), ((64, 64), 5), ((48, 64), 4), ((100, 60), 4), ((8, 9), 2)]
)
@pytest.mark.parametrize("name", ["driving-ssd", "driving-init", "driving-bifpn", "driving-per-level"])
def test_levels_and_anchors_follow_the_picture(name: str, input_hw: tuple[int, int], levels: int) -> None:
    experiment = at_size(recipe(name), input_hw=input_hw)
    sizes = levels_of(experiment)
    assert len(sizes) == levels
    assert all(h >= 1 and w >= 1 for h, w in sizes)
    codec = experiment.codec.build(_shape(experiment, sizes))
    assert isinstance(codec, AnchorsCodec)
    areas = (codec.anchors_xyxy[:, 2:] - codec.anchors_xyxy[:, :2]).prod(dim=1)
    assert areas[0] < areas[-1] <= input_hw[0] * input_hw[1]


def _shape(experiment: Experiment, sizes: tuple[tuple[int, int], ...]) -> CodecShape:
    return CodecShape(input_hw=experiment.data.input_hw, levels_hw=sizes, num_classes=len(experiment.classes))


def test_at_its_native_size_a_rung_stays_as_it_is() -> None:
    for name in RUNGS:
        assert at_size(recipe(name), input_hw=(128, 1024)) == recipe(name)


def test_a_picture_smaller_than_two_cells_is_refused() -> None:
    with pytest.raises(UserError, match="7 x 300 are too small for the driving ladder"):
        at_size(recipe("driving-ssd"), input_hw=(7, 300))


def test_a_picture_that_is_too_small_for_the_levels_says_so() -> None:
    experiment = recipe("driving-ssd")
    data = experiment.data.model_copy(update={"input_hw": (32, 32)})
    with pytest.raises(UserError, match=r"A picture of 32 x 32 does not pass"):
        build(experiment.model_copy(update={"data": data}))


def test_rules_take_the_place_of_numbers_read_off_one_data_set() -> None:
    fitted = {
        name: fitted_to_boxes(by_rule(recipe(name)))
        for name in ("driving-alpha", "driving-sizes", "driving-per-level-fixed", "driving-auto-fixed", "driving-auto")
    }
    codecs = {name: experiment.codec for name, experiment in fitted.items()}
    assert all(isinstance(codec, AnchorsCodecConfig) for codec in codecs.values())
    assert isinstance(codecs["driving-sizes"].anchors, SsdAnchors)
    assert isinstance(codecs["driving-auto-fixed"].anchors, ShapedAnchors)
    assert len(codecs["driving-alpha"].alpha_classes) == len(CLASSES)
    counts = codecs["driving-per-level-fixed"].per_cell(6)
    assert len(set(counts)) > 1
    # The published form also resamples its levels to the sizes that it found: (picture / size) cells.
    sizes = [level[0][0] for level in codecs["driving-auto"].anchors.shapes_wh]
    expected = tuple((max(1, round(128 / size)), max(1, round(1024 / size))) for size in sizes)
    assert fitted["driving-auto"].backbone.resample_hw == expected == levels_of(fitted["driving-auto"])


def test_rungs_without_a_rule_stay_as_they_are() -> None:
    for name in RUNGS.keys() - {"driving-sizes", "driving-per-level", "driving-per-level-fixed", "driving-auto"}:
        assert by_rule(recipe(name)) == recipe(name)
        assert resampled(recipe(name)) == recipe(name)
    assert resampled(recipe("driving-auto")) == recipe("driving-auto")


# --- the claim on initialisation -----------------------------------------------------------------------------------


def test_the_first_focal_loss_falls_from_about_21_to_about_9_with_the_initialisation() -> None:
    """The write-up reads 20.82 and 9.11 off its first batch.

    What they are depends on how many anchors learn: 17.4 + 1.74 for each thousandth of them before, 6.7 for each
    thousandth after. Here: noise, a random backbone with features about as large as pretrained ones, and seven
    boxes of the write-up's sizes, which 1.3 thousandths of the anchors learn. Both are met to within 1.0.
    """
    torch.manual_seed(0)
    images = torch.randint(0, 256, (1, 3, 128, 1024), dtype=torch.uint8)
    features, first_losses = None, []
    for name in ("driving-retinanet", "driving-init"):
        torch.manual_seed(0)
        model, codec = build(without_pretrained(recipe(name)))
        with torch.no_grad():
            if features is None:  # the same network up to the head
                features = _features(model, images)
            first_losses.append(_first_loss(model, codec, features))
    before, after = first_losses
    assert before == pytest.approx(20.82, abs=1.0)
    assert after == pytest.approx(9.11, abs=1.0)


def _features(model: Locator, images: torch.Tensor) -> object:
    return model.neck(model.backbone((images - model.mean) / model.std))


def _first_loss(model: Locator, codec: Codec, features: object) -> float:
    assert isinstance(codec, AnchorsCodec)
    target = codec.encode(_seven_boxes())
    share = len(target.place) / len(codec.anchors_xyxy)
    assert 0.0012 < share < 0.0014
    return codec.losses(model.head(features), target)["class"].item()


def _seven_boxes() -> Truth:
    """Four cars, two people and one bus."""
    rng = np.random.default_rng(7)
    sizes = np.array([[44.0, 27.0]] * 4 + [[11.0, 24.0]] * 2 + [[90.0, 49.0]])
    sizes *= np.exp(rng.normal(0, 0.2, sizes.shape))
    low = rng.random((7, 2)) * ((1024, 128) - sizes)
    boxes = torch.from_numpy(np.concatenate([low, low + sizes], axis=1)).float()[None]
    labels = torch.tensor([[0, 0, 0, 0, 6, 6, 2]])
    return Truth.of_boxes(boxes, labels, torch.ones(1, 7, dtype=torch.bool))
