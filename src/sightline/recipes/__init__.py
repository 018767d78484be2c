"""Named experiments. A recipe is a function; its docstring says idea, expected score, time and command."""

from __future__ import annotations

from collections.abc import Callable

from sightline.config import Experiment
from sightline.errors import unknown_name
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
from sightline.recipes.ladders import LADDERS
from sightline.recipes.landmarks import bodyparts, demo, landmarks, landmarks_accurate
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

__all__ = ["LADDERS", "RECIPES", "recipe"]

RECIPES: dict[str, Callable[[], Experiment]] = {
    "landmarks": landmarks,
    "landmarks-accurate": landmarks_accurate,
    "bodyparts": bodyparts,
    "demo": demo,
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
}


def recipe(name: str) -> Experiment:
    """The experiment of a recipe or of a ladder's rung; raises UserError with the nearest name for an unknown one."""
    if name in RECIPES:
        return RECIPES[name]()
    rungs = {rung.recipe: rung for ladder in LADDERS.values() for rung in ladder()}
    if name not in rungs:
        raise unknown_name("recipe", name, [*RECIPES, *rungs])
    return rungs[name]
