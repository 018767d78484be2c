"""Which inputs are tried: the plain one, each augmentation of the training on and doubled, and the shifts.

Off is the plain input: each augmentation is tried alone on top of it, so its two rows and the plain one are its three
states. Next: samples.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sightline.audit.shifts import SHIFTS, Shift
from sightline.config import AugmentConfig

Axis = Literal["plain", "augment", "shift", "crossed", "strangers"]
PLAIN = "plain"
STRANGERS = "strangers"
ALL = "all"
_MOST = 0.95  # of shares that must stay below 1

# Of each augmentation: the settings that are its own. Those that choose another part of a picture are left out: a
# score on a part of a picture is no score of the picture.
KNOBS: dict[str, tuple[str, ...]] = {
    "rotation": ("rotate_deg",),
    "shear": ("shear",),
    "shift": ("shift",),
    "scale": ("scale_min", "scale_max"),
    "flip": ("flip",),
    "brightness": ("brightness",),
    "contrast": ("contrast",),
    "saturation": ("saturation",),
    "hue": ("hue",),
    "grey": ("grey",),
    "blur": ("blur",),
    "noise": ("noise_std",),
    "occlude": ("occlude",),
    "history noise": ("history_noise",),
}
_DOUBLED: dict[str, Callable[[float], float]] = {
    "rotate_deg": lambda value: min(180.0, 2 * value),
    "scale_min": lambda value: value**2,
    "scale_max": lambda value: value**2,
    "saturation": lambda value: 2 * value,
    "hue": lambda value: min(0.5, 2 * value),
    **{name: (lambda value: min(1.0, 2 * value)) for name in ("flip", "grey", "blur", "occlude")},
}
_NOT_TRIED = ("iou_crop", "mosaic", "part_hw", "window_elsewhere", "window_moving")


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One kind of input.

    Attributes:
        key: its name in tables and JSON: "jpeg:strong", "noise:doubled".
        axis: "strangers" shows each record the pixels of another.
        what: the augmentation or the kind of shift.
        level: "on", "doubled", "mild" or "strong"; "" where there are none.
        words: what is done, for people.
        augment: what of the training's augmentation is on.
        shift: what is done after it.
    """

    key: str
    axis: Axis
    what: str
    level: str
    words: str
    augment: AugmentConfig
    shift: Shift | None = None


def conditions(augment: AugmentConfig, *, is_crossed: bool = False) -> tuple[Condition, ...]:
    """The plain input first, then all others.

    Args:
        augment: the run's.
        is_crossed: also every strong shift on top of the training's whole augmentation.
    """
    off = AugmentConfig(leaving=augment.leaving, noise_draw=augment.noise_draw)
    plain = Condition(key=PLAIN, axis="plain", what=PLAIN, level="", words="plain", augment=off)
    used = [name for name in KNOBS if _is_used(name, augment)]
    tried = [plain]
    for name in used:
        tried += _two_levels(name, KNOBS[name], augment, off)
    every = tuple(key for name in used for key in KNOBS[name])
    if len(used) > 1:
        tried += _two_levels(ALL, every, augment, off)
    tried += [_shifted(shift, off) for shift in SHIFTS]
    if is_crossed and used:
        on = off.model_copy(update={key: getattr(augment, key) for key in every})
        tried += [_crossed(shift, on) for shift in SHIFTS if shift.level == "strong"]
    strangers = Condition(
        key=STRANGERS, axis="strangers", what=STRANGERS, level="", words="another picture's pixels", augment=off
    )
    return (*tried, strangers)


def not_tried(augment: AugmentConfig) -> list[str]:
    """Augmentations of the run that show another part of a picture and are therefore not tried."""
    return [f"augment.{key}" for key in _NOT_TRIED if getattr(augment, key)]


def setting(augment: AugmentConfig, what: str) -> str:
    """The settings of one augmentation, as one would write them: 'noise_std=0.05 noise_draw=constant'."""
    keys = KNOBS.get(what, ())
    told = [f"{key}={getattr(augment, key):g}" for key in keys]
    return " ".join([*told, f"noise_draw={augment.noise_draw}"] if what == "noise" else told)


def _is_used(name: str, augment: AugmentConfig) -> bool:
    default = AugmentConfig()
    return any(getattr(augment, key) != getattr(default, key) for key in KNOBS[name])


def _two_levels(name: str, keys: tuple[str, ...], augment: AugmentConfig, off: AugmentConfig) -> list[Condition]:
    once = {key: getattr(augment, key) for key in keys}
    twice = {key: _twice(key, value) for key, value in once.items()}
    words = "all augmentation" if name == ALL else name
    return [
        Condition(
            key=f"{name}:{level}",
            axis="augment",
            what=name,
            level=level,
            words=f"{words} {level}",
            augment=off.model_copy(update=values),
        )
        for level, values in (("on", once), ("doubled", twice))
    ]


def _twice(key: str, value: float) -> float:
    return _DOUBLED.get(key, lambda v: min(_MOST, 2 * v))(value)


def _shifted(shift: Shift, off: AugmentConfig) -> Condition:
    key = f"{shift.kind}:{shift.level}"
    return Condition(
        key=key, axis="shift", what=shift.kind, level=shift.level, words=shift.words, augment=off, shift=shift
    )


def _crossed(shift: Shift, on: AugmentConfig) -> Condition:
    return Condition(
        key=f"all:on+{shift.kind}:{shift.level}",
        axis="crossed",
        what=shift.kind,
        level=shift.level,
        words=f"all augmentation on, {shift.words}",
        augment=on,
        shift=shift,
    )
