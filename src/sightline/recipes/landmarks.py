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
    """Facial landmarks, or any points in a box, on a small pretrained network.

    Idea: MobileNetV2 at 128 px and a light pyramid to stride 4; integral regression, that is soft-argmax trained end
        to end, with the exact Gaussian as the shape asked of each map.
    Data: faces cropped by a box, or by the points themselves where there is none; a few hundred pictures.
    Expected: docs/results.md, "faces68".
    Command: sightline train landmarks --data DATA
    """
    return Experiment(
        recipe="landmarks",
        skeleton=SkeletonConfig.of(skeleton("ibug68")),
        data=DataConfig(input_hw=(128, 128)),
        augment=STRONG,
        backbone=MOBILENET,
        neck=FpnNeckConfig(channels=96, levels=1),
        head=HeatmapHeadConfig(),
        codec=IntegralCodecConfig(),
        train=TrainConfig(
            epochs=110, min_steps=3000, batch=32, lr=2e-3, weight_decay=0.05, schedule="one-cycle", ema=0.998
        ),
        evaluate=EvaluateConfig(),
    )


def landmarks_accurate() -> Experiment:
    """As landmarks, with more pixels, a larger pretrained network, and the mirror image averaged in.

    Idea: MobileNet EdgeTPU at 192 px; each prediction is the mean of the picture's and its mirror image's.
    Expected: not yet measured. Time: about four times that of `landmarks`.
    Command: sightline train landmarks-accurate --data DATA
    """
    base = landmarks()
    return base.model_copy(
        update={
            "recipe": "landmarks-accurate",
            "data": DataConfig(input_hw=(192, 192)),
            "backbone": TimmBackboneConfig(name="mobilenet_edgetpu_100", padding="same", linear_stem_block=True),
            "neck": FpnNeckConfig(channels=128, levels=1),
            "evaluate": EvaluateConfig(flip_average=True),
        }
    )


def bodyparts() -> Experiment:
    """Body parts of an animal in whole frames, few of them labelled.

    Idea: as `landmarks`, on whole frames of about 256 x 320 pixels; the last fifth of the frames validates, because
        neighbouring frames look alike. No mirror images: which side is which often depends on the set-up.
    Data: a DeepLabCut project, or any frames of one size with points.
    Expected: docs/results.md, "mouse_openfield" and "mirror_mouse".
    Command: sightline train bodyparts --data DATA
    """
    base = landmarks()
    return base.model_copy(
        update={
            "recipe": "bodyparts",
            "data": DataConfig(
                input_hw=(256, 320), crop="image", match_aspect=True, split_by="order", val_fraction=0.2
            ),
            "augment": STRONG.model_copy(update={"flip": 0.0, "rotate_deg": 15.0}),
            "train": base.train.model_copy(update={"epochs": 60, "min_steps": 900, "batch": 8}),
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
            "train": base.train.model_copy(update={"epochs": 25, "min_steps": 0, "batch": 16, "lr": 3e-3, "ema": 0.99}),
        }
    )
