"""Named experiments. A recipe is a function; its docstring says idea, expected score, time and command."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from sightline.config import Experiment
from sightline.errors import UserError, unknown_name
from sightline.recipes.aircraft import (
    AIRCRAFT_COUNTS,
    aircraft_conv_1,
    aircraft_conv_2,
    aircraft_conv_3,
    aircraft_conv_128,
    aircraft_conv_128x2,
    aircraft_conv_768,
    aircraft_conv_direct,
    aircraft_convbox_1,
    aircraft_convbox_2,
    aircraft_convbox_3,
    aircraft_convbox_4,
    aircraft_convbox_5,
    aircraft_mlp,
)
from sightline.recipes.aircraft_backbones import (
    aircraft_efficientnet_v2_m,
    aircraft_efficientnet_v2_m_7x7,
    aircraft_efficientnet_v2_s,
    aircraft_efficientnet_v2_s_7x7,
    aircraft_mobilenet_v2,
    aircraft_mobilenet_v3_small,
    aircraft_mobilenet_v3_small_7x7,
    aircraft_squeezenet1_0,
    aircraft_squeezenet1_1,
    aircraft_swin_b,
    aircraft_swin_b_7x7,
    aircraft_swin_b_published,
    aircraft_vgg16,
    aircraft_vgg19,
)
from sightline.recipes.aircraft_ladders import AIRCRAFT_LADDERS
from sightline.recipes.boxes import boxes, boxes_accurate
from sightline.recipes.detectors import faster_rcnn, retinanet
from sightline.recipes.driving_ladder import DRIVING_COUNTS, DRIVING_LADDERS, RUNGS, published_parameters
from sightline.recipes.faces import (
    facenet58,
    facenet58_flip,
    facenet58_naive_flip,
    nose_net,
    resnet50_68,
    unet_68,
    unet_68_fixed,
    unet_68_summed,
)
from sightline.recipes.ladders import LADDERS as PICTURE_LADDERS
from sightline.recipes.landmarks import bodyparts, demo, landmarks, landmarks_accurate
from sightline.recipes.one_box import one_box
from sightline.recipes.pixelwise import (
    pixelwise_p1_58,
    pixelwise_p1_nose,
    pixelwise_p2,
    pixelwise_p3,
    pixelwise_p4_collapse,
    pixelwise_p4_log,
    pixelwise_p4_mse,
    pixelwise_p4_single_pixel,
)
from sightline.recipes.shuttle import shuttle_s1_v2_hard
from sightline.recipes.shuttle_ladder import SHUTTLE_COUNTS, SHUTTLE_LADDERS, VERSIONS
from sightline.recipes.track_ball import track_ball_coarse, track_ball_fine
from sightline.recipes.trackers import TRACKERS

__all__ = ["LADDERS", "PUBLISHED", "RECIPES", "published_parameters", "recipe"]

RECIPES: dict[str, Callable[[], Experiment]] = {
    "landmarks": landmarks,
    "landmarks-accurate": landmarks_accurate,
    "bodyparts": bodyparts,
    "demo": demo,
    "boxes": boxes,
    "boxes-accurate": boxes_accurate,
    "nose-net": nose_net,
    "facenet58": facenet58,
    "facenet58-naive-flip": facenet58_naive_flip,
    "facenet58-flip": facenet58_flip,
    "resnet50-68": resnet50_68,
    "unet-68": unet_68,
    "unet-68-summed": unet_68_summed,
    "unet-68-fixed": unet_68_fixed,
    "pixelwise-p1-nose": pixelwise_p1_nose,
    "pixelwise-p1-58": pixelwise_p1_58,
    "pixelwise-p2": pixelwise_p2,
    "pixelwise-p3": pixelwise_p3,
    "pixelwise-p4-mse": pixelwise_p4_mse,
    "pixelwise-p4-log": pixelwise_p4_log,
    "pixelwise-p4-single-pixel": pixelwise_p4_single_pixel,
    "pixelwise-p4-collapse": pixelwise_p4_collapse,
    "one-box": one_box,
    "aircraft-mlp": aircraft_mlp,
    "aircraft-convbox-1": aircraft_convbox_1,
    "aircraft-convbox-2": aircraft_convbox_2,
    "aircraft-convbox-3": aircraft_convbox_3,
    "aircraft-convbox-4": aircraft_convbox_4,
    "aircraft-convbox-5": aircraft_convbox_5,
    "aircraft-conv-1": aircraft_conv_1,
    "aircraft-conv-2": aircraft_conv_2,
    "aircraft-conv-3": aircraft_conv_3,
    "aircraft-conv-128": aircraft_conv_128,
    "aircraft-conv-128x2": aircraft_conv_128x2,
    "aircraft-conv-direct": aircraft_conv_direct,
    "aircraft-conv-768": aircraft_conv_768,
    "aircraft-vgg16": aircraft_vgg16,
    "aircraft-vgg19": aircraft_vgg19,
    "aircraft-efficientnet-v2-s": aircraft_efficientnet_v2_s,
    "aircraft-efficientnet-v2-m": aircraft_efficientnet_v2_m,
    "aircraft-mobilenet-v2": aircraft_mobilenet_v2,
    "aircraft-mobilenet-v3-small": aircraft_mobilenet_v3_small,
    "aircraft-squeezenet1-0": aircraft_squeezenet1_0,
    "aircraft-squeezenet1-1": aircraft_squeezenet1_1,
    "aircraft-swin-b": aircraft_swin_b,
    "aircraft-efficientnet-v2-s-7x7": aircraft_efficientnet_v2_s_7x7,
    "aircraft-efficientnet-v2-m-7x7": aircraft_efficientnet_v2_m_7x7,
    "aircraft-mobilenet-v3-small-7x7": aircraft_mobilenet_v3_small_7x7,
    "aircraft-swin-b-7x7": aircraft_swin_b_7x7,
    "aircraft-swin-b-published": aircraft_swin_b_published,
    "retinanet": retinanet,
    "faster-rcnn": faster_rcnn,
    **{name: rung.make for name, rung in RUNGS.items()},
    **VERSIONS,
    "shuttle-s1-v2-hard": shuttle_s1_v2_hard,
    "track-ball-coarse": track_ball_coarse,
    "track-ball-fine": track_ball_fine,
}

LADDERS: dict[str, Callable[[], list[Experiment]]] = {
    **PICTURE_LADDERS,
    **AIRCRAFT_LADDERS,
    **DRIVING_LADDERS,
    **SHUTTLE_LADDERS,
}

# Parameter counts as the write-ups print them, by recipe; `published_parameters` counts as they do.
PUBLISHED: dict[str, int] = {
    **AIRCRAFT_COUNTS,
    **DRIVING_COUNTS,
    **SHUTTLE_COUNTS,
}


def recipe(name: str) -> Experiment:
    """The experiment of a recipe or of a ladder's rung.

    Raises:
        UserError: no such name, with the nearest one; or the name of a tracker, whose stages are recipes.
    """
    if name in RECIPES:
        return RECIPES[name]()
    if name in TRACKERS:
        stages = ", ".join(TRACKERS[name].stages().values())
        raise UserError(f"{name} is a tracker of several recipes, and one is needed here. Name one of them: {stages}.")
    if name not in _rungs():
        raise unknown_name("recipe", name, [*RECIPES, *_rungs()])
    return _rungs()[name]


@cache
def _rungs() -> dict[str, Experiment]:
    """All rungs of all ladders; experiments are frozen, so one of each will do."""
    return {rung.recipe: rung for ladder in LADDERS.values() for rung in ladder()}
