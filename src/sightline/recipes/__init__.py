"""Named experiments. A recipe is a function; its docstring says idea, expected score, time and command."""

from __future__ import annotations

from collections.abc import Callable

from sightline.config import Experiment
from sightline.errors import unknown_name
from sightline.recipes.landmarks import bodyparts, demo, landmarks

RECIPES: dict[str, Callable[[], Experiment]] = {
    "landmarks": landmarks,
    "bodyparts": bodyparts,
    "demo": demo,
}


def recipe(name: str) -> Experiment:
    """The experiment of a recipe; raises UserError with the nearest name for an unknown one."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return RECIPES[name]()
