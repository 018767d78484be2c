"""Our own landmark models, for two CPU cores and a few hundred labelled pictures."""

from __future__ import annotations

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.integral import IntegralCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, SkeletonConfig, TrainConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.necks.fpn import FpnNeckConfig
from sightline.skeletons import skeleton

STRONG = AugmentConfig(
    rotate_deg=25,
    shift=0.06,
    scale_min=0.8,
    scale_max=1.2,
    flip=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.03,
    grey=0.1,
    blur=0.1,
    noise_std=0.03,
    occlude=0.3,
)
MOBILENET = TimmBackboneConfig(name="mobilenetv2_100", padding="same")


def landmarks() -> Experiment:
    """Facial landmarks (or any points in a box) on a small pretrained network.

    Idea: MobileNetV2 at 128 px, a light pyramid to stride 4, integral regression: soft-argmax trained end to
    end with an exact Gaussian as the shape of each map.
    """
    return Experiment(
        recipe="landmarks",
        skeleton=SkeletonConfig.of(skeleton("ibug68")),
        data=DataConfig(input_hw=(128, 128)),
        augment=STRONG,
        backbone=MOBILENET,
        neck=FpnNeckConfig(channels=64, levels=1),
        head=HeatmapHeadConfig(),
        codec=IntegralCodecConfig(),
        train=TrainConfig(epochs=60, batch=32, lr=2e-3, weight_decay=0.05, schedule="one-cycle", ema=0.998),
        evaluate=EvaluateConfig(),
    )


def bodyparts() -> Experiment:
    """Body parts of an animal in whole frames.

    Idea: as `landmarks`, on the whole picture at 256 x 320.
    """
    base = landmarks()
    return base.model_copy(
        update={
            "recipe": "bodyparts",
            "data": DataConfig(input_hw=(256, 320), crop="image", split_by="order", val_fraction=0.2),
            "augment": STRONG.model_copy(update={"flip": 0.0, "rotate_deg": 15.0}),
            "train": base.train.model_copy(update={"epochs": 150, "batch": 8}),
        }
    )


def demo() -> Experiment:
    """Landmarks of faces drawn by code, from random weights, in a few minutes on two cores.

    Idea: a small convolutional U-shape; needs no pretrained weights, so `sightline demo` needs no network.
    """
    base = landmarks()
    return base.model_copy(
        update={
            "recipe": "demo",
            "data": DataConfig(input_hw=(96, 96), crop="points"),
            "augment": STRONG.model_copy(update={"blur": 0.0, "noise_std": 0.01, "occlude": 0.0}),
            "backbone": TimmBackboneConfig(name="resnet10t", weights="none", levels=(1, 2, 3)),
            "train": base.train.model_copy(update={"epochs": 12, "lr": 3e-3}),
        }
    )
