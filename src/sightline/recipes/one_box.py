"""Our own recipe for one object in a picture, for two CPU cores and a few hundred labelled pictures."""

from __future__ import annotations

from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.codecs.one_box import OneBoxCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, TrainConfig
from sightline.heads.one_box import BranchConfig, OneBoxHeadConfig
from sightline.necks.adaptive_pool import AdaptivePoolNeckConfig

AUGMENT = AugmentConfig(flip=0.5, shift=0.08, scale_min=0.85, scale_max=1.15, brightness=0.2, contrast=0.2, views=10)


def one_box() -> Experiment:
    """One object in each picture, its class and its box, on a frozen network whose features are computed once.

    Idea: the last two maps of SqueezeNet, whose 0.7 million weights serve places as well as larger networks' do,
        pooled to a few places and put together; each branch squeezes them to a few channels and flattens, so that
        every place keeps a weight of its own. Ten fixed draws of each picture. GIoU, which has a slope also where
        boxes do not touch. Backbone, normalisation and rate: ladders one-box-rates and one-box-backbones.
    Data: pictures with exactly one labelled object; a hundred or more.
    Expected: docs/results.md, "caltech_onebox". Time on two cores: minutes for the features, then one or two for the
        head.
    Command: sightline train one-box --data DATA
    """
    return Experiment(
        recipe="one-box",
        classes=("object",),
        data=DataConfig(input_hw=(192, 288), crop="image", keep_aspect=False),
        augment=AUGMENT,
        backbone=TorchvisionBackboneConfig(name="squeezenet1_1", levels=(-2, -1), mean_std="none", frozen="all"),
        neck=AdaptivePoolNeckConfig(size=(6, 9), levels="all"),
        head=OneBoxHeadConfig(
            class_branch=BranchConfig(widths=(64,), squeeze=32, dropout=0.3),
            box_branch=BranchConfig(widths=(256,), squeeze=64, dropout=0.2),
        ),
        codec=OneBoxCodecConfig(iou_kind="giou"),
        train=TrainConfig(
            epochs=160,
            min_steps=2000,
            batch=32,
            lr=3e-3,
            weight_decay=0.05,
            schedule="one-cycle",
            ema=0.99,
            validate_every=10,
            cache_features=True,
        ),
        evaluate=EvaluateConfig(),
    )
