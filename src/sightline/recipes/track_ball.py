"""Our own tracker of a small fast object, made for two CPU cores: a coarse look at each frame, a fine one at a window.

Both networks look at three frames through the same weights and compare what they saw. The coarse one keeps the maps of
the frames before, so that a frame costs one pass; the fine one sees native pixels around the coarse answer.
"""

from __future__ import annotations

from sightline.backbones.light import LightBackboneConfig
from sightline.codecs.track_peak import TrackPeakCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, SkeletonConfig, TrainConfig
from sightline.context.frame_mix import FrameMixConfig
from sightline.heads.track_peak import TrackPeakHeadConfig
from sightline.necks.none import NoNeckConfig

ONE_POINT = SkeletonConfig(names=("point",))


def track_ball_coarse() -> Experiment:
    """The first stage of `track-ball`: where in the whole frame, to about ten pixels.

    Idea: linear filters at stride 2 see each frame of 288 x 512 pixels by itself; the current map meets its differences
        from the two before while an object of two pixels is still to be seen in them, and a light pyramid goes over
        them; a peak, and visibility from the peak's shape.
    Data: clips with a row per frame; a few thousand labelled frames, or drawn ones.
    Expected: docs/results.md, "Tracks".
    Command: sightline train track-ball --data CLIPS
    """
    return Experiment(
        recipe="track-ball-coarse",
        skeleton=ONE_POINT,
        data=DataConfig(input_hw=(288, 512), crop="image", cache_mb=3072),
        augment=AugmentConfig(
            rotate_deg=8,
            shift=0.08,
            scale_min=0.65,  # other cameras stand nearer, or have a longer lens
            scale_max=2.4,
            flip=0.5,
            brightness=0.3,
            contrast=0.3,
            saturation=0.3,
            hue=0.05,
            grey=0.1,
            blur=0.1,
            noise_std=0.03,
            part_hw=(144, 256),
        ),
        backbone=LightBackboneConfig(widths=(), blocks=(), stem_level=True, stem_norm=False),
        neck=NoNeckConfig(),
        context=FrameMixConfig(past_frames=2, halve=24),
        head=TrackPeakHeadConfig(),
        codec=TrackPeakCodecConfig(),
        train=TrainConfig(
            epochs=20,
            min_steps=3000,
            batch=16,
            lr=3e-3,
            weight_decay=0.02,
            schedule="one-cycle",
            ema=0.998,
            clip_norm=5,
        ),
        evaluate=EvaluateConfig(batch=32),
    )


def track_ball_fine() -> Experiment:
    """The second stage of `track-ball`: where in a window of native pixels, or that it is not there.

    Idea: as the coarse stage, on windows of 128 x 128; two of five windows show another place, most of them one where
        something else moves (a shoe, a racket), so that it learns to say no.
    Data: as the coarse stage.
    Expected: docs/results.md, "Tracks".
    Command: sightline train track-ball --data CLIPS
    """
    coarse = track_ball_coarse()
    augment = coarse.augment.model_copy(
        update={
            "shift": 0.0,
            "scale_min": 0.6,
            "scale_max": 2.6,
            "part_hw": None,
            "window_jitter": 0.4,
            "window_elsewhere": 0.4,
            "window_moving": 0.7,
        }
    )
    return coarse.model_copy(
        update={
            "recipe": "track-ball-fine",
            "data": DataConfig(input_hw=(128, 128), crop="window", cache_mb=3072),
            "augment": augment,
            "train": coarse.train.model_copy(update={"batch": 32}),
        }
    )
