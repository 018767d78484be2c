"""What the `driving` write-up asks for or compares with: more data, other backbones, Faster R-CNN."""

from __future__ import annotations

from sightline.backbones.resnet_levels import ResnetLevelsConfig
from sightline.codecs.faster_rcnn import FasterRcnnCodecConfig
from sightline.config import Experiment
from sightline.heads.faster_rcnn import FasterRcnnHeadConfig
from sightline.necks.fpn_torchvision import FpnTorchvisionNeckConfig
from sightline.recipes.driving import FLIP, STATISTICS, driving_init
from sightline.recipes.driving_published import driving_bifpn_fixed


def driving_init_flip() -> Experiment:
    """`driving-init` with mirror images only: does full augmentation help the large model?

    Idea: the write-up's test of its early choice (its figure 23).
    Source: `driving`, task 3.2. Below: driving-init.
    Data, hardware: as `driving-fpn`.
    Expected: clearly worse than driving-init, says the write-up. Here not yet measured.
    Command: sightline train driving-init-flip --data DATA
    """
    return driving_init().model_copy(update={"recipe": "driving-init-flip", "augment": FLIP})


def driving_more_data() -> Experiment:
    """`driving-init` on more pictures: the recipe is the same, only --data is larger.

    Idea: what more data brings. Compare it with driving-init at the same number of images seen (`train.min_steps`).
    Source: `driving`, task 2.5. Below: driving-init, from which it differs in nothing but the data given to it.
    Data: a larger set of the same kind; the write-up's is its "updated" set.
    Expected: the largest gain of all the write-up's changes (its figure 21). Here not yet measured.
    Hardware: a GPU.
    Command: sightline train driving-more-data --data LARGER_DATA
    """
    return driving_init().model_copy(update={"recipe": "driving-more-data"})


def driving_resnext() -> Experiment:
    """`driving-init` with ResNeXt50 instead of ResNet34.

    Idea: grouped convolutions, which the write-up suspects behind the lead of the two-stage model.
    Source: `driving`, task 4.4 (a follow-up it did not run; the size of the ResNeXt is ours). Below: driving-init.
    Data: as `driving-ssd`.
    Expected: not yet measured: needs weights that are not here (resnext50_32x4d).
    Hardware: a GPU.
    Command: sightline train driving-resnext --data DATA
    """
    base = driving_init()
    backbone = base.backbone.model_copy(update={"name": "resnext50_32x4d"})
    return base.model_copy(update={"recipe": "driving-resnext", "backbone": backbone})


def driving_resnet_more_layers() -> Experiment:
    """`driving-bifpn-fixed` that keeps all four pretrained ResNet stages; only the two coarsest levels are new.

    Idea: the write-up blames its BiFPN's slow start on the pretrained layers it threw away.
    Source: `driving`, task 4.1 (a follow-up it did not run). Below: driving-bifpn-fixed.
    Data: as `driving-ssd`.
    Expected: not yet measured: needs weights that are not here (resnet34).
    Hardware: a GPU.
    Command: sightline train driving-resnet-more-layers --data DATA
    """
    base = driving_bifpn_fixed()
    backbone = base.backbone.model_copy(update={"stages": 4})
    neck = base.neck.model_copy(update={"extra": 2})
    return base.model_copy(update={"recipe": "driving-resnet-more-layers", "backbone": backbone, "neck": neck})


def driving_faster_rcnn() -> Experiment:
    """The write-up's comparison: Faster R-CNN on a ResNeXt101-32x8d pyramid, about 105 million parameters.

    Idea: proposals first, then a look at each.
    Source: `driving`, task 4.4 (Detectron2's X101-FPN, 2,500 steps of 32). Rebuilt of torchvision's parts: rate and
        augmentation are those of driving-init, true boxes are not mixed into the proposals.
    Data: as `driving-ssd`.
    Expected: the write-up's mAP is 0.133, AP50 0.290. Here not yet measured: needs weights that are not here
        (resnext101_32x8d).
    Hardware: a GPU with 40 GB.
    Command: sightline train driving-faster-rcnn --data DATA
    """
    return driving_init().model_copy(
        update={
            "recipe": "driving-faster-rcnn",
            "backbone": ResnetLevelsConfig(name="resnext101_32x8d", mean_std=STATISTICS),
            "neck": FpnTorchvisionNeckConfig(channels=256, top="pool"),
            "head": FasterRcnnHeadConfig(proposals=1000),
            "codec": FasterRcnnCodecConfig(),
        }
    )
