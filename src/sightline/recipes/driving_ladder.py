"""The `driving` ladder as a whole: which rung stands on which, at any picture size, on any data set, and its counts.

`RUNGS` says for every rung what it stands on and which settings it changes; a test holds the recipes to it.
`at_size` adapts levels and anchors to a picture size, `by_rule` replaces what was read off one data set by a rule
that the training boxes fill in (data_fit.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from sightline.anchors.generate import ShapedAnchors
from sightline.backbones.resnet_levels import ResnetLevelsConfig
from sightline.backbones.ssd_basic import SsdBasicBackboneConfig
from sightline.codecs.anchor_rules import DataAnchors
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.model import Locator, without_pretrained
from sightline.necks.driving_bifpn import DrivingBifpnNeckConfig
from sightline.pieces import fake_images
from sightline.recipes import driving, driving_further, driving_published
from sightline.types import RawDense

FINEST_STRIDE = 4


SMALL_HW = (192, 256)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the ladder.

    Attributes:
        make: its recipe.
        below: the rung it stands on; none for the lowest.
        changes: every setting in which it differs from that one, as `slot` or `slot.key`.
    """

    make: Callable[[], Experiment]
    below: str | None
    changes: frozenset[str]


def _rung(make: Callable[[], Experiment], below: str | None, *changes: str) -> Rung:
    return Rung(make=make, below=below, changes=frozenset(changes))


# In the order of the write-up. Rungs of one chapter may stand side by side on one rung, as they do there.
RUNGS: dict[str, Rung] = {
    "driving-ssd": _rung(driving.driving_ssd, None),
    "driving-flip": _rung(driving.driving_flip, "driving-ssd", "augment.flip"),
    "driving-augment": _rung(
        driving.driving_augment, "driving-flip", "augment.iou_crop", "augment.brightness", "augment.contrast"
    ),
    "driving-fpn": _rung(driving.driving_fpn, "driving-augment", "backbone", "neck"),
    "driving-fpn-slim": _rung(driving.driving_fpn_slim, "driving-fpn", "backbone.extra", "backbone.extra_norm"),
    "driving-focal": _rung(driving.driving_focal, "driving-fpn", "codec.loss_kind"),
    "driving-retinanet": _rung(driving.driving_retinanet, "driving-focal", "head", "codec.anchors"),
    "driving-init": _rung(driving.driving_init, "driving-retinanet", "head.start", "head.prior", "head.prior_form"),
    "driving-init-flip": _rung(
        driving_further.driving_init_flip,
        "driving-init",
        "augment.iou_crop",
        "augment.brightness",
        "augment.contrast",
    ),
    "driving-alpha": _rung(driving.driving_alpha, "driving-init", "codec.alpha_frequent"),
    "driving-sizes": _rung(driving.driving_sizes, "driving-init", "codec.anchors"),
    "driving-per-level-fixed": _rung(driving_published.driving_per_level_fixed, "driving-sizes", "codec.anchors"),
    "driving-per-level": _rung(driving_published.driving_per_level, "driving-per-level-fixed", "head.idle_towers"),
    "driving-more-data": _rung(driving_further.driving_more_data, "driving-init"),
    "driving-bifpn": _rung(
        driving_published.driving_bifpn,
        "driving-init",
        "backbone.stages",
        "backbone.extra",
        "backbone.idle_stages",
        "neck",
    ),
    "driving-bifpn-depthwise": _rung(driving_published.driving_bifpn_depthwise, "driving-bifpn", "neck.convs"),
    "driving-bifpn-fixed": _rung(
        driving_published.driving_bifpn_fixed, "driving-bifpn-depthwise", "neck.fusion", "backbone.idle_stages"
    ),
    "driving-resnet-more-layers": _rung(
        driving_further.driving_resnet_more_layers, "driving-bifpn-fixed", "backbone.stages", "neck.extra"
    ),
    "driving-auto-fixed": _rung(driving_published.driving_auto_fixed, "driving-init", "codec.anchors"),
    "driving-auto": _rung(
        driving_published.driving_auto,
        "driving-auto-fixed",
        "backbone.extra_norm",
        "backbone.resample_hw",
        "codec.anchors",
    ),
    "driving-resnext": _rung(driving_further.driving_resnext, "driving-init", "backbone.name"),
    "driving-faster-rcnn": _rung(
        driving_further.driving_faster_rcnn,
        "driving-init",
        "backbone.name",
        "backbone.extra",
        "neck.top",
        "head",
        "codec",
    ),
}

# What the write-up prints, or the facts about it; `published_parameters` gives the same numbers.
DRIVING_COUNTS: dict[str, int] = {
    "driving-ssd": 3_266_272,
    "driving-flip": 3_266_272,
    "driving-augment": 3_266_272,
    "driving-fpn": 62_473_568,
    "driving-fpn-slim": 29_515_040,
    "driving-focal": 62_473_568,
    "driving-retinanet": 66_415_438,
    "driving-init": 66_415_438,
    "driving-bifpn": 5_382_734,
    "driving-auto": 66_635_303,
}


def published_parameters(experiment: Experiment) -> int:
    """The parameter count as the `driving` write-up counts: the network's own, and four numbers for each anchor.

    Its loss object holds the anchors as a parameter [1, 4, N], which its counter adds, trained or not. Experiments
    without anchors in the codec are counted plainly.
    """
    with torch.device("meta"):
        model = Locator(without_pretrained(experiment)).eval()
        own = sum(parameter.numel() for parameter in model.parameters())
        if not isinstance(experiment.codec, AnchorsCodecConfig):
            return own
        raw = model(fake_images(experiment.data.channels, experiment.data.input_hw))
    assert isinstance(raw, RawDense)
    return own + 4 * raw.boxes.shape[1]


def at_size(experiment: Experiment, *, input_hw: tuple[int, int]) -> Experiment:
    """A rung for pictures of another size: levels that still have cells, anchors scaled with the picture.

    The strides stay (4, 8, ...), so a smaller picture has fewer levels: as many as the shorter side has cells for.

    Raises:
        UserError: the picture is smaller than one cell of the finest level.
    """
    shorter = min(input_hw)
    if shorter < 2 * FINEST_STRIDE:
        raise UserError(
            f"Pictures of {input_hw[0]} x {input_hw[1]} are too small for the driving ladder, whose finest cells "
            f"are {FINEST_STRIDE} pixels. Give data.input_hw of at least {2 * FINEST_STRIDE} on each side."
        )
    levels = min(6, int(math.log2(shorter / FINEST_STRIDE)) + 1)
    backbone, neck, codec = experiment.backbone, experiment.neck, experiment.codec
    old_hw = experiment.data.input_hw
    if isinstance(backbone, SsdBasicBackboneConfig):
        backbone = backbone.model_copy(update={"levels": levels})
    if isinstance(backbone, ResnetLevelsConfig) and not backbone.resample_hw:
        stages = min(backbone.stages, levels)
        kept = backbone.extra[: levels - stages]
        idle = min(backbone.idle_stages, 4 - stages)
        backbone = backbone.model_copy(update={"stages": stages, "extra": kept, "idle_stages": idle})
        if isinstance(neck, DrivingBifpnNeckConfig):
            neck = neck.model_copy(update={"extra": levels - stages})
    if isinstance(codec, AnchorsCodecConfig) and isinstance(codec.anchors, ShapedAnchors):
        factor = math.sqrt(input_hw[0] * input_hw[1] / (old_hw[0] * old_hw[1]))
        shapes = tuple(tuple((w * factor, h * factor) for w, h in level) for level in codec.anchors.shapes_wh)
        codec = codec.model_copy(update={"anchors": ShapedAnchors(shapes_wh=shapes)})
    data = experiment.data.model_copy(update={"input_hw": input_hw})
    changed = experiment.model_copy(update={"data": data, "backbone": backbone, "neck": neck, "codec": codec})
    return resampled(changed)


def by_rule(experiment: Experiment) -> Experiment:
    """A rung with rules instead of the numbers that were read off one data set; other rungs as they are.

    driving-sizes: SSD's rule fitted to the boxes; driving-per-level: the same without anchors that no box needs;
    driving-auto: the peaks of the data at hand, to which `resampled` then adapts the levels.
    """
    methods = {
        "driving-sizes": DataAnchors(method="sizes"),
        "driving-per-level": DataAnchors(method="per-level"),
        "driving-per-level-fixed": DataAnchors(method="per-level"),
        "driving-auto": DataAnchors(method="peaks"),
    }
    if experiment.recipe not in methods:
        return experiment
    codec = experiment.codec.model_copy(update={"anchors": methods[experiment.recipe]})
    return experiment.model_copy(update={"codec": codec})


def resampled(experiment: Experiment) -> Experiment:
    """The published mistake, where a rung has it: levels of (picture / size) cells, a size being the first anchor's.

    To be called once anchors were taken from boxes; other rungs, and anchors still open, stay as they are.
    """
    backbone, codec = experiment.backbone, experiment.codec
    if not (isinstance(backbone, ResnetLevelsConfig) and backbone.resample_hw):
        return experiment
    assert isinstance(codec, AnchorsCodecConfig)
    if not isinstance(codec.anchors, ShapedAnchors):
        return experiment
    height, width = experiment.data.input_hw
    sizes = [level[0][0] for level in codec.anchors.shapes_wh]
    cells = tuple((max(1, round(height / size)), max(1, round(width / size))) for size in sizes)
    return experiment.model_copy(update={"backbone": backbone.model_copy(update={"resample_hw": cells})})


def driving_native() -> list[Experiment]:
    """Every rung at 128 x 1024, for panoramas: `sightline compare --run driving-native --data PANORAMAS --seeds 3`.

    What a rung tuned to its own data set is a rule here (`by_rule`). The published schedule takes days a rung on a
    CPU: shorten it with --set train.epochs.
    """
    return _as_ladder("driving-native", [by_rule(rung.make()) for rung in RUNGS.values()])


def driving_small() -> list[Experiment]:
    """Every rung at 192 x 256, for any pictures with boxes; levels and anchors follow the size.

    Reduced: 192 x 256 pixels, batches of 16, no mixed precision. Rungs whose network needs another size say so when
    they are built.
    """
    rungs = [at_size(by_rule(rung.make()), input_hw=SMALL_HW) for rung in RUNGS.values()]
    plain = {"batch": 16, "accumulate": 1, "precision": "32"}
    return _as_ladder(
        "driving-small",
        [rung.model_copy(update={"train": rung.train.model_copy(update=plain)}) for rung in rungs],
    )


def _as_ladder(ladder: str, rungs: Sequence[Experiment]) -> list[Experiment]:
    """Rungs under names of their own, in order."""
    return [
        rung.model_copy(update={"recipe": f"{ladder}-{number:02d}-{rung.recipe.removeprefix('driving-')}"})
        for number, rung in enumerate(rungs, start=1)
    ]


DRIVING_LADDERS: dict[str, Callable[[], list[Experiment]]] = {
    "driving-native": driving_native,
    "driving-small": driving_small,
}
