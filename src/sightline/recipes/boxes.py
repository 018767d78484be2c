"""Our own detectors, for two CPU cores and a few hundred labelled pictures."""

from __future__ import annotations

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.anchor_free import AnchorFreeCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, TrainConfig
from sightline.heads.decoupled import DecoupledHeadConfig
from sightline.necks.pan import PanNeckConfig

STRONG = AugmentConfig(
    shift=0.1,
    scale_min=0.6,
    scale_max=1.6,
    flip=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.4,
    hue=0.02,
    grey=0.05,
    blur=0.05,
    noise_std=0.02,
    mosaic=0.5,
    mosaic_off=0.3,
)
LEVELS = (2, 3, 4)  # strides 8, 16 and 32


def boxes() -> Experiment:
    """Any number of objects with class and box, in whole pictures, on a small pretrained network.

    Idea: MobileNetV2 at 320 px, a depthwise path-aggregation pyramid at strides 8, 16 and 32, light class and box
        towers; no anchors; ATSS for the first tenth of the training, then task-aligned assignment; scores trained to
        be the IoU of their boxes; mosaics, but none in the last epochs. 2.2 million parameters.
    Data: pictures with boxes in any format that is read; a few hundred pictures.
    Expected: docs/results.md, "bccd". Time: half an hour on two cores.
    Command: sightline train boxes --data DATA
    """
    return Experiment(
        recipe="boxes",
        classes=("object",),
        data=DataConfig(input_hw=(320, 320), crop="image", keep_aspect=True),
        augment=STRONG,
        backbone=TimmBackboneConfig(name="mobilenetv2_100", padding="same", levels=LEVELS, frozen_to_stride=4),
        neck=PanNeckConfig(channels=128, levels=3, min_stride=8.0),
        head=DecoupledHeadConfig(depth=2),
        codec=AnchorFreeCodecConfig(),
        train=TrainConfig(
            # 1.19 s of processor time a step, measured: 3,000 steps of 8 take half an hour on two cores.
            epochs=60,
            min_steps=3000,
            batch=8,
            lr=1e-3,
            backbone_lr=0.5,
            weight_decay=0.05,
            schedule="one-cycle",
            clip_norm=10.0,
            ema=0.998,
            validate_every=5,
        ),
        evaluate=EvaluateConfig(),
    )


def boxes_accurate() -> Experiment:
    """As boxes, with more pixels and a larger pretrained network.

    Idea: MobileNet EdgeTPU at 416 px. 3.0 million parameters.
    Expected: not yet measured. Time: about four times that of `boxes`, to train and to run.
    Command: sightline train boxes-accurate --data DATA
    """
    base = boxes()
    return base.model_copy(
        update={
            "recipe": "boxes-accurate",
            "data": base.data.model_copy(update={"input_hw": (416, 416)}),
            "backbone": TimmBackboneConfig(
                name="mobilenet_edgetpu_100",
                padding="same",
                linear_stem_block=True,
                levels=LEVELS,
                frozen_to_stride=4,
            ),
        }
    )
