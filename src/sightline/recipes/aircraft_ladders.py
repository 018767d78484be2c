"""Ladders of one object in a picture: the `aircraft` write-up's own trials, and the same questions for two CPU cores.

The `aircraft-*` ladders have the page's settings: each is one of its chapters, in its order. The `one-box-*` ladders
ask the same on features that are computed once: our recipe `one-box`, changed in one thing. There the training has
one length for all rungs of a ladder, so that none wins by stopping later. `at_seeds` repeats a ladder, since on
data sets as small as these one run says little; the learning rate and the normalisation of a backbone are chosen
by `one-box-rates` before `one-box-backbones` ranks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.config import Experiment
from sightline.heads.one_box import BranchConfig
from sightline.recipes.aircraft import (
    BEST_BOX,
    BEST_CLASS,
    FACTOR,
    FIRST_BOX,
    FIRST_CLASS,
    aircraft,
    aircraft_conv_1,
    aircraft_convbox_4,
    aircraft_mlp,
    mlp_heads,
)
from sightline.recipes.ladders import changed
from sightline.recipes.one_box import one_box

SEEDS = (0, 1, 2)
# Networks whose ImageNet weights are Apache- or MIT-licensed files of a few MB.
BACKBONES = {
    "mobilenetv2": TimmBackboneConfig(name="mobilenetv2_100", padding="same", levels=(3, 4), frozen="all"),
    "edgetpu": TimmBackboneConfig(
        name="mobilenet_edgetpu_100", padding="same", linear_stem_block=True, levels=(3, 4), frozen="all"
    ),
    "squeezenet": TorchvisionBackboneConfig(name="squeezenet1_1", levels=(-2, -1), frozen="all"),
}
NORMALISATIONS = ("imagenet", "half", "none")
RATES = ("3e-4", "1e-3", "3e-3", "1e-2")
# What `one-box-rates` found best on validation pictures of caltech_onebox (docs/results.md).
CHOSEN = {"mobilenetv2": ("half", "3e-3"), "edgetpu": ("none", "3e-3"), "squeezenet": ("none", "3e-3")}


def at_seeds(rungs: Sequence[Experiment], *, seeds: Sequence[int] = SEEDS) -> list[Experiment]:
    """Every rung with every seed, named RUNG-seed0."""
    return [
        changed(rung, name=f"{rung.recipe}-seed{seed}", sets=[f"train.seed={seed}"]) for rung in rungs for seed in seeds
    ]


# --- the write-up's chapters -----------------------------------------------------------------------------------


def aircraft_class_heads() -> list[Experiment]:
    """The page's "Iterate classification head": hidden layers 768-256, 768, 256 (its best), 128, 64, 256-128."""
    tried = (FIRST_CLASS.widths, (768,), (256,), (128,), (64,), (256, 128))
    return [
        aircraft(f"aircraft-class-heads-{_dashed(widths)}", mlp_heads(BranchConfig(widths=widths), FIRST_BOX))
        for widths in tried
    ]


def aircraft_box_heads() -> list[Experiment]:
    """The page's "Iterate regression head": from three hidden layers to six; the third is its best."""
    tried = (
        FIRST_BOX.widths,
        (768, 768, 256, 128),
        BEST_BOX.widths,
        (768, 768, 256, 256, 128, 128),
        (768, 768, 256, 256, 128, 64),
    )
    return [
        aircraft(f"aircraft-box-heads-{_dashed(widths)}", mlp_heads(BEST_CLASS, BranchConfig(widths=widths)))
        for widths in tried
    ]


def aircraft_alpha() -> list[Experiment]:
    """The page's "Iterate alpha": how much the box weighs against the class, 0.9 to 0.6; 0.7 is its best."""
    return [
        changed(aircraft_mlp(), name=f"aircraft-alpha-{alpha}", sets=[f"codec.alpha={alpha}"])
        for alpha in (0.9, 0.8, 0.7, 0.6)
    ]


def aircraft_size() -> list[Experiment]:
    """The page's "Image size", width x height: 400 x 255 is its best."""
    sizes = ((400, 255), (400, 400), (704, 400), (1152, 648), (454, 255), (450, 305), (350, 205))
    return [_sized(aircraft_mlp(), f"aircraft-size-{w}x{h}", w, h) for w, h in sizes]


def aircraft_batch() -> list[Experiment]:
    """The page's "Batch size": 32 is its best."""
    return [
        changed(aircraft_mlp(), name=f"aircraft-batch-{batch}", sets=[f"train.batch={batch}"])
        for batch in (16, 32, 64, 128)
    ]


def aircraft_factor() -> list[Experiment]:
    """The page's "Augmentation" of its final model: 2 to 10 draws of each picture an epoch; 6 is its best."""
    rungs = [_drawn(aircraft_conv_1(), f"aircraft-factor-{factor}", factor) for factor in (FACTOR, 4, 6, 7, 8, 10)]
    at_six = ((450, 305), (500, 355), (400, 300), (400, 400), (430, 285))
    sizes = [(6, *size) for size in at_six] + [(7, 450, 305), (7, 500, 355)]
    for factor, width, height in sizes:
        name = f"aircraft-factor-{factor}-{width}x{height}"
        rungs.append(_sized(_drawn(aircraft_conv_1(), name, factor), name, width, height))
    return rungs


# --- the same questions for two cores ----------------------------------------------------------------------------


def one_box_rates() -> list[Experiment]:
    """Learning rate and normalisation of each backbone, before backbones are ranked."""
    return [
        _on(name, f"one-box-rates-{name}-{norm}-lr{rate}", norm, rate)
        for name in BACKBONES
        for norm in NORMALISATIONS
        for rate in RATES
    ]


def one_box_backbones() -> list[Experiment]:
    """Frozen backbones under one head, each at its own normalisation and learning rate."""
    return [_on(name, f"one-box-backbones-{name}", *CHOSEN[name]) for name in BACKBONES]


def one_box_heads() -> list[Experiment]:
    """Fully connected heads, convolutional ones, and ours, on SqueezeNet: "82 % fewer parameters and better"?

    The first three are those of aircraft-mlp, aircraft-convbox-4 and aircraft-conv-1.
    """
    base = changed(
        _on("squeezenet", "one-box-heads", *CHOSEN["squeezenet"]),
        name="one-box-heads",
        sets=["backbone.levels=[-1]", "neck.size=[7, 7]", "neck.levels=last"],
    )
    made = {
        "1-mlp": aircraft_mlp(),
        "2-convbox": aircraft_convbox_4(),
        "3-conv": aircraft_conv_1(),
        "4-ours": one_box(),
    }
    return [
        base.model_copy(update={"recipe": f"one-box-heads-{name}", "head": source.head})
        for name, source in made.items()
    ]


def one_box_alpha() -> list[Experiment]:
    """How much the box weighs against the class, 0.6 to 0.9."""
    return [
        changed(one_box(), name=f"one-box-alpha-{alpha}", sets=[f"codec.alpha={alpha}"])
        for alpha in (0.6, 0.7, 0.8, 0.9)
    ]


def one_box_overlap() -> list[Experiment]:
    """IoU, which has no slope where boxes do not touch, and the three that have one."""
    return [
        changed(one_box(), name=f"one-box-overlap-{kind}", sets=[f"codec.iou_kind={kind}"])
        for kind in ("iou", "giou", "diou", "ciou")
    ]


def one_box_size() -> list[Experiment]:
    """Input size, height x width, with the cells that the coarsest map then has."""
    sizes = ((96, 160), (128, 192), (192, 288), (256, 384))
    return [
        changed(
            one_box(),
            name=f"one-box-size-{h}x{w}",
            sets=[f"data.input_hw=[{h}, {w}]", f"neck.size=[{h // 32}, {w // 32}]"],
        )
        for h, w in sizes
    ]


def one_box_batch() -> list[Experiment]:
    """Batch size; each rung sees as many pictures as the others, so a large batch makes fewer steps."""
    return [
        changed(one_box(), name=f"one-box-batch-{batch}", sets=[f"train.batch={batch}", "train.min_steps=0"])
        for batch in (16, 32, 64, 128)
    ]


def one_box_views() -> list[Experiment]:
    """How many fixed draws of each picture, one to twelve, and last a new draw in every epoch; as many steps in all."""
    fixed = [
        changed(one_box(), name=f"one-box-views-{views:02d}", sets=[f"augment.views={views}"])
        for views in (1, 2, 4, 6, 8, 10, 12)
    ]
    sets = ["augment.views=null", "train.cache_features=false"]
    return [*fixed, changed(one_box(), name="one-box-views-fresh", sets=sets)]


def _on(backbone: str, name: str, norm: str, rate: str) -> Experiment:
    """The recipe on another backbone, at a normalisation and a learning rate."""
    base = one_box().model_copy(update={"backbone": BACKBONES[backbone]})
    return changed(base, name=name, sets=[f"backbone.mean_std={norm}", f"train.lr={rate}"])


def _sized(experiment: Experiment, name: str, width: int, height: int) -> Experiment:
    return changed(experiment, name=name, sets=[f"data.input_hw=[{height}, {width}]"])


def _drawn(experiment: Experiment, name: str, factor: int) -> Experiment:
    """The page's augmentation factor: so many of our epochs are one of its."""
    return changed(experiment, name=name, sets=[f"train.epochs={200 * factor}", f"train.validate_every={factor}"])


def _dashed(widths: Sequence[int]) -> str:
    return "-".join(map(str, widths))


AIRCRAFT_LADDERS: dict[str, Callable[[], list[Experiment]]] = {
    "aircraft-class-heads": aircraft_class_heads,
    "aircraft-box-heads": aircraft_box_heads,
    "aircraft-alpha": aircraft_alpha,
    "aircraft-size": aircraft_size,
    "aircraft-batch": aircraft_batch,
    "aircraft-factor": aircraft_factor,
    "one-box-rates": one_box_rates,
    "one-box-backbones": one_box_backbones,
    "one-box-heads": one_box_heads,
    "one-box-alpha": one_box_alpha,
    "one-box-overlap": one_box_overlap,
    "one-box-size": one_box_size,
    "one-box-batch": one_box_batch,
    "one-box-views": one_box_views,
}
