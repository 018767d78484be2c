"""Two well-known detectors as baselines for `boxes`, on any backbone: RetinaNet and Faster R-CNN."""

from __future__ import annotations

from sightline.anchors.generate import SquareAnchors
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.codecs.faster_rcnn import FasterRcnnCodecConfig
from sightline.config import AugmentConfig, DataConfig, Experiment, TrainConfig
from sightline.heads.faster_rcnn import FasterRcnnHeadConfig
from sightline.heads.retina import RetinaHeadConfig
from sightline.necks.fpn import FpnNeckConfig
from sightline.necks.fpn_torchvision import FpnTorchvisionNeckConfig

AUGMENT = AugmentConfig(flip=0.5, shift=0.1, scale_min=0.7, scale_max=1.4, brightness=0.3, contrast=0.3, saturation=0.3)
TRAIN = TrainConfig(
    epochs=60,
    min_steps=2000,
    batch=16,
    lr=1e-3,
    backbone_lr=0.5,
    weight_decay=0.05,
    schedule="one-cycle",
    clip_norm=10.0,
    ema=0.998,
    validate_every=5,
)


def retinanet() -> Experiment:
    """RetinaNet as one would build it today, small enough for a CPU.

    Idea: one square anchor a cell and ATSS instead of nine shapes and a fixed IoU (Zhang et al. 2020: that is what
        matters), towers with group normalisation shared by all levels, sigmoid focal loss, generalised IoU.
        Any timm backbone: --set backbone.name=resnet18.
    Data: pictures with boxes in any format that is read.
    Expected: not yet measured.
    Hardware: two CPU cores, an hour or two.
    Command: sightline train retinanet --data DATA
    """
    return Experiment(
        recipe="retinanet",
        classes=("object",),
        data=DataConfig(input_hw=(320, 320), crop="image"),
        augment=AUGMENT,
        backbone=TimmBackboneConfig(name="mobilenetv2_100", padding="same", levels=(2, 3, 4)),
        neck=FpnNeckConfig(channels=128),
        head=RetinaHeadConfig(depth=2, norm="group"),
        codec=AnchorsCodecConfig(
            anchors=SquareAnchors(cells=8.0),
            assigner="atss",
            loss_kind="sigmoid-focal",
            box_loss="giou",
            box_weight=2.0,
            iou=0.6,
            score_threshold=0.01,
            most=100,
        ),
        train=TRAIN,
    )


def faster_rcnn() -> Experiment:
    """Faster R-CNN of torchvision's parts, small enough for a CPU.

    Idea: two stages: proposals from anchors on every level, then a look at each. Any timm backbone:
        --set backbone.name=resnet18.
    Data: pictures with boxes in any format that is read.
    Expected: not yet measured.
    Hardware: two CPU cores, several hours.
    Command: sightline train faster-rcnn --data DATA
    """
    return retinanet().model_copy(
        update={
            "recipe": "faster-rcnn",
            "backbone": TimmBackboneConfig(name="mobilenetv2_100", padding="same", levels=(1, 2, 3, 4)),
            "neck": FpnTorchvisionNeckConfig(channels=128, top="pool"),
            "head": FasterRcnnHeadConfig(proposals=128, candidates=300, hidden=512),
            "codec": FasterRcnnCodecConfig(proposal_sample=128),
        }
    )
