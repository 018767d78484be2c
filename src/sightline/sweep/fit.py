"""A space held against the recipe, before anything is trained: every key, value and choice of pieces must be legal.

In: dimensions as written, a recipe, later the data. Out: a `Space` that turns drawn values into an Experiment; or one
error that tells all mistakes. Next: tried.py
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sightline.config import PIECES, Experiment, override
from sightline.errors import UserError, unknown_name
from sightline.model import build, without_pretrained
from sightline.prepare import Prepared, prepare
from sightline.records import Dataset
from sightline.sweep.space import Dimension, Range, Value, as_text

_KEPT = {
    "recipe": "it is a name",
    "classes": "it comes from the data",
    "skeleton": "it comes from the data",
    "evaluate": "trials would be scored differently",
    "train.seed": "every trial is trained with the same seeds (--seeds)",
    "data.split_seed": "all trials must be validated on the same records",
    "data.split_by": "all trials must be validated on the same records",
    "data.val_fraction": "all trials must be validated on the same records",
    "data.points": "trials would be scored on different points",
    "data.classes": "trials would be scored on different classes",
    "data.workers": "it changes no result",
    "data.cache_mb": "it changes no result",
}
_DRAWS = 64  # of the whole space, to meet values that are legal alone and not together
_MOST_CHOICES = 64  # of pieces that are built before the first trial
_MOST_TOLD = 12


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is searched, and around which recipe."""

    base: Experiment
    dimensions: tuple[Dimension, ...]

    def active(self, pieces: Mapping[str, str]) -> list[Dimension]:
        """The settings that have a meaning for a choice of pieces."""
        held = _pieces_of(self.base) | dict(pieces)
        return [dimension for dimension in self.dimensions if not dimension.is_slot and _is_for(dimension, held)]

    def choices(self) -> list[dict[str, Value]]:
        """Every combination of pieces, as drawn values; one empty one where no slot is searched."""
        slots = [dimension for dimension in self.dimensions if dimension.is_slot]
        return [
            {dimension.name: option for dimension, option in zip(slots, options, strict=True)}
            for options in itertools.product(*(dimension.values.probes() for dimension in slots))
        ]

    def pieces(self, drawn: Mapping[str, Value]) -> dict[str, str]:
        """The pieces among drawn values, by slot."""
        found: dict[str, str] = {}
        for dimension in self.dimensions:
            if dimension.is_slot and dimension.name in drawn:
                found |= dimension.pieces(drawn[dimension.name])
        return found

    def experiment(self, drawn: Mapping[str, Value]) -> Experiment:
        """The recipe with drawn values. A piece that the recipe has already keeps the recipe's settings of it.

        Raises:
            UserError: values that are not legal together.
        """
        own = _pieces_of(self.base)
        use = [f"{slot}={piece}" for slot, piece in self.pieces(drawn).items() if own[slot] != piece]
        keys = {dimension.name: dimension.key for dimension in self.dimensions if not dimension.is_slot}
        sets = [f"{keys[name]}={as_text(value)}" for name, value in drawn.items() if name in keys]
        return override(self.base, use=use, sets=sets)

    def at(self, shares: Mapping[str, float]) -> dict[str, Value]:
        """The values at shares (0 to 1) of the way through each dimension, without those that have no meaning there."""
        drawn = {d.name: d.values.at(shares[d.name]) for d in self.dimensions if d.is_slot}
        active = self.active(self.pieces(drawn))
        return drawn | {d.name: d.values.at(shares[d.name]) for d in active}

    def own_values(self) -> tuple[dict[str, Value], list[str]]:
        """The recipe's own values as a trial, and the names of those that the space does not hold."""
        own = _pieces_of(self.base)
        drawn: dict[str, Value] = {}
        for dimension in self.dimensions:
            if dimension.is_slot:
                drawn[dimension.name] = "+".join(own[slot] for slot in dimension.slots)
        for dimension in self.active({}):
            value = _setting(self.base, dimension.key)
            if isinstance(dimension.values, Range):
                drawn[dimension.name] = value if isinstance(value, int | float) else str(value)
            else:
                drawn[dimension.name] = self._option(dimension, value)
        outside = [d.name for d in self.dimensions if d.name in drawn and not d.values.holds(drawn[d.name])]
        return drawn, outside

    def _option(self, dimension: Dimension, value: object) -> str:
        """The option that stands for a value; the value as text where none does."""
        for option in dimension.values.probes():
            if _setting(override(self.base, sets=[f"{dimension.key}={option}"]), dimension.key) == value:
                return str(option)
        return str(value)


def fit_space(base: Experiment, dimensions: Sequence[Dimension], mistakes: Sequence[str] = ()) -> Space:
    """Check every key and value against the recipe.

    Args:
        base: the recipe, with the user's own changes.
        dimensions: as read.
        mistakes: of the text, told together with those found here.

    Raises:
        UserError: everything that is wrong.
    """
    found = list(mistakes)
    if not dimensions and not found:
        found.append("Nothing is searched: give at least one --try KEY=VALUES.")
    sound = []
    for dimension in dimensions:
        wrong = _about_slots(base, dimension) if dimension.is_slot else []
        found += wrong
        sound += [] if wrong else [dimension]
    slots = [slot for dimension in sound for slot in dimension.slots]
    found += [f"{slot} is searched twice." for slot in dict.fromkeys(slots) if slots.count(slot) > 1]
    space = Space(base=base, dimensions=tuple(sound))
    bases, refused = _bases(space)
    found += refused
    resolved = []
    for dimension in sound:
        better, wrong = (dimension, []) if dimension.is_slot else _about_setting(space, dimension, bases or [base])
        resolved.append(better)
        found += wrong
    _refuse(found)
    space = replace(space, dimensions=tuple(resolved))
    _refuse(_about_draws(space))
    return space


def fit_data(space: Space, dataset: Dataset, *, weight_folders: Sequence[Path] = ()) -> Prepared:
    """Check that every choice of pieces can be built for the data, and that every setting changes something there.

    Returns:
        The untouched recipe, prepared.

    Raises:
        UserError: everything that is wrong.
    """
    own = prepare(space.base, dataset, weight_folders=weight_folders)
    found = []
    for drawn in space.choices()[:_MOST_CHOICES]:
        named = ", ".join(f"{name}={value}" for name, value in drawn.items())
        try:
            prepared = prepare(space.experiment(drawn), dataset, weight_folders=weight_folders)
            with torch.device("meta"):
                build(without_pretrained(prepared.experiment))
        except UserError as error:
            found.append(f"{named or space.base.recipe}: {error}")
    if found and any(d.is_slot for d in space.dimensions):
        found.append("Pieces that only go together are searched together: --try head+codec=A+B,C+D.")
    for dimension in space.dimensions:
        if not found and not dimension.is_slot:
            found += _without_effect(space, dimension, dataset, weight_folders)
    _refuse(found)
    return own


def _pieces_of(experiment: Experiment) -> dict[str, str]:
    return {slot: getattr(experiment, slot).kind for slot in PIECES}


def _setting(experiment: Experiment, key: str) -> object:
    """A setting by its dotted name, as YAML would hold it; None where there is none."""
    node: object = experiment.model_dump(mode="json")
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _is_for(dimension: Dimension, pieces: Mapping[str, str]) -> bool:
    slot, _, rest = dimension.key.partition(".")
    if dimension.piece is not None and dimension.piece not in pieces.values():
        return False
    if slot not in PIECES:
        return True
    return rest.partition(".")[0] in PIECES[slot][pieces[slot]].model_fields


def _about_slots(base: Experiment, dimension: Dimension) -> list[str]:
    """What is wrong with a choice of pieces."""
    unknown = [slot for slot in dimension.slots if slot not in PIECES]
    if unknown:
        if unknown[0] in _KEPT or unknown[0] in type(base).model_fields:
            return [f"{dimension}: {unknown[0]} is a section; name one of its settings."]
        return [str(unknown_name("piece slot or setting", unknown[0], {*PIECES, *type(base).model_fields}))]
    if isinstance(dimension.values, Range):
        return [f"{dimension}: a slot takes names of pieces, with commas between them."]
    if dimension.piece is not None:
        return [f"{dimension}: @PIECE is for settings, not for slots."]
    wrong = []
    for option in dimension.values.options:
        names = option.split("+")
        if len(names) != len(dimension.slots):
            wrong.append(f"{dimension}: {option} names {len(names)} pieces for {len(dimension.slots)} slots.")
            continue
        pairs = zip(dimension.slots, names, strict=True)
        wrong += [str(unknown_name(slot, name, PIECES[slot])) for slot, name in pairs if name not in PIECES[slot]]
    return wrong


def _bases(space: Space) -> tuple[list[Experiment], list[str]]:
    """The recipe with every choice of pieces, and why some of these are no experiment."""
    bases, wrong = [], []
    for drawn in space.choices():
        named = ", ".join(f"{name}={value}" for name, value in drawn.items())
        try:
            made = space.experiment(drawn)
        except UserError as error:
            wrong.append(f"{named}: {_bare(error)}")
            continue
        if made.codec.finds != space.base.codec.finds:
            wrong.append(f"{named}: finds {made.codec.finds}, the recipe {space.base.codec.finds}; compare one task.")
        bases.append(made)
    return bases, wrong


def _about_setting(
    space: Space, dimension: Dimension, bases: Sequence[Experiment]
) -> tuple[Dimension, list[str]]:  # fmt: skip
    """The dimension, of numbers where the key takes whole ones only; and what is wrong with it."""
    key = dimension.key
    for kept, why in _KEPT.items():
        if key == kept or key.startswith(f"{kept}."):
            return dimension, [f"{key} cannot be searched: {why}."]
    slot = key.partition(".")[0]
    all_pieces = {piece for table in PIECES.values() for piece in table}
    if dimension.piece is not None and dimension.piece not in all_pieces:
        return dimension, [str(unknown_name("piece", dimension.piece, all_pieces))]
    suited = [base for base in bases if _is_for(dimension, _pieces_of(base))]
    if not suited:
        if dimension.piece is not None:
            return dimension, [f"{dimension.name}: no choice of pieces has {dimension.piece} and that setting."]
        if slot in PIECES:
            legal = {f"{slot}.{name}" for base in bases for name in type(getattr(base, slot)).model_fields}
            return dimension, [str(unknown_name("setting", key, legal - {f"{slot}.kind"}))]
        suited = list(bases)
    if key.endswith(".kind"):
        return dimension, [f"{key}: choose pieces by their slot: --try {slot}={dimension.values}."]
    dimension = _of_numbers(dimension, suited)
    wrong = {}
    for base in suited:
        for value in dimension.values.probes():
            try:
                override(base, sets=[f"{key}={as_text(value)}"])
            except UserError as error:
                wrong[_bare(error)] = None
    return dimension, list(wrong)


def _of_numbers(dimension: Dimension, bases: Sequence[Experiment]) -> Dimension:
    """A range whose ends are whole is one of whole numbers only where the key takes no others."""
    values = dimension.values
    if not isinstance(values, Range) or not values.is_int or values.step is not None:
        return dimension
    between = (values.low + values.high) / 2
    between += 0.25 if between == int(between) else 0.0
    try:
        for base in bases:
            override(base, sets=[f"{dimension.key}={between}"])
    except UserError:
        return dimension
    return replace(dimension, values=replace(values, is_int=False))


def _about_draws(space: Space) -> list[str]:
    """Corners of the space and draws from within, for values that are legal alone but not together."""
    names = [dimension.name for dimension in space.dimensions]
    chance = random.Random(0)
    corners = [dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0)]
    corners += [{name: float(chance.random() < 0.5) for name in names} for _ in range(_DRAWS // 2)]
    shares = corners + [{name: chance.random() for name in names} for _ in range(_DRAWS)]
    for share in shares:
        drawn = space.at(share)
        try:
            space.experiment(drawn)
        except UserError as error:
            values = ", ".join(f"{name}={value}" for name, value in drawn.items())
            return [f"Values that do not go together can be drawn, for example {values}: {_bare(error)}"]
    return []


def _without_effect(
    space: Space, dimension: Dimension, dataset: Dataset, weight_folders: Sequence[Path]
) -> list[str]:  # fmt: skip
    """What the data decide anyway is not to be searched: every trial would be the same."""
    for drawn in space.choices():
        if dimension not in space.active(space.pieces(drawn)):
            continue
        made = [
            prepare(space.experiment(drawn | {dimension.name: value}), dataset, weight_folders=weight_folders)
            for value in dimension.values.probes()
        ]
        values = [_setting(each.experiment, dimension.key) for each in made]
        if any(value != values[0] for value in values):
            return []
        told = [line for line in made[0].decisions if dimension.key in line]
        return [f"{dimension}: whatever is drawn, it becomes {values[0]} on these data. {' '.join(told)}"]
    return []


def _bare(error: UserError) -> str:
    """Without the option's name, and without a whole section's values in front of what is wrong with them."""
    return re.sub(r" = \{.*?\}: Value error,", ":", str(error).removeprefix("--use/--set: "))


def _refuse(mistakes: Sequence[str]) -> None:
    if mistakes:
        more = [f"And {len(mistakes) - _MOST_TOLD} more."] if len(mistakes) > _MOST_TOLD else []
        raise UserError("The space cannot be searched. " + " ".join([*mistakes[:_MOST_TOLD], *more]))
