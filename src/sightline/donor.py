"""Another run's weights to start a training from: `train.start_from`.

A layer is taken as a whole where each of its tensors is there by name and shape, running statistics of normalisation
included, and starts fresh where one is not. The last layers, whose rows belong to points or classes (`named_rows` of a
head), are mapped row by row by these names: other names start fresh, whatever the shapes. The weights are those that
the run is used with: of its best validation, and averaged where it averages.

In: an experiment fitted to its data. Out: `Takeover`, found without computing, and its copying. Next: feature_store.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.backbones import BackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.checkpoint import RunFolder
from sightline.config import Experiment, TrainConfig
from sightline.errors import UserError
from sightline.model import PARTS, Locator, without_pretrained

BACKGROUND = ""  # the first name of a softmax; no class is called so
# Settings of a backbone that do not change what its weights mean.
FREE = {"weights", "init", "frozen", "frozen_to_stride"}
_MOST = 3  # fresh layers of a part that are named


@dataclass(frozen=True, kw_only=True, eq=False)
class Donor:
    """A run, its weights by name, and the checksum of their file."""

    run: str
    experiment: Experiment
    tensors: dict[str, Tensor]
    sha256: str


def read_donor(train: TrainConfig) -> Donor:
    """The run that `train.start_from` names.

    Raises:
        UserError: no run lies there, it has no weights yet, they are damaged, or others than `train.start_sha256` says.
    """
    assert train.start_from is not None
    path = Path(train.start_from).expanduser()
    if path.is_file():
        raise UserError(
            f"train.start_from names {path}, which is a file. Give the folder of a run, such as {path.parent}; weights "
            "of a backbone alone go by backbone.weights=FILE."
        )
    if not path.is_dir():
        raise UserError(f"train.start_from names {path}, and there is no such folder. Give the folder of a run.")
    stages = sorted(child.name for child in path.iterdir() if (child / "config.yaml").is_file())
    if stages and not (path / "config.yaml").is_file():
        raise UserError(f"train.start_from names {path}, which holds several runs. Name one: {', '.join(stages[:6])}.")
    folder = RunFolder(path)
    experiment = folder.experiment()
    tensors, checksum = folder.read_best()
    if train.start_sha256 not in (None, checksum):
        raise UserError(
            f"{folder.best} holds other weights than train.start_sha256 says ({checksum[:12]}, not "
            f"{str(train.start_sha256)[:12]}). Bring those back, or take what is there by --set "
            "train.start_sha256=null, into another run folder."
        )
    return Donor(run=train.start_from, experiment=experiment, tensors=tensors, sha256=checksum)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one tensor that are taken: own row `to[i]` is the donor's row `of[i]`."""

    to: Tensor
    of: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Takeover:
    """What a training takes of a donor.

    Attributes:
        run: as the settings name it.
        recipe: of that run.
        sha256: of its weights' file.
        whole: tensors that are taken as they are.
        rows: tensors of which some rows are.
        named: the layers of these, each with how many of its names the donor has.
        fresh: layers of which nothing is taken.
        tensors: how many are taken, wholly or in part, and how many there are.
        parameters: likewise, numbers that are learned.
    """

    run: str
    recipe: str
    sha256: str
    whole: tuple[str, ...]
    rows: Mapping[str, Rows]
    named: Mapping[str, tuple[int, int]]
    fresh: tuple[str, ...]
    tensors: tuple[int, int]
    parameters: tuple[int, int]

    def has_whole(self, part: str) -> bool:
        """Whether nothing of a part of the model starts fresh."""
        return not any(_part(layer) == part for layer in (*self.fresh, *self.named))

    def copy_to(self, model: nn.Module, donor: Donor) -> None:
        """Copy into the model that the plan was made for."""
        state = model.state_dict()
        with torch.no_grad():
            for key in self.whole:
                state[key].copy_(donor.tensors[key])
            for key, rows in self.rows.items():
                state[key][rows.to] = donor.tensors[key][rows.of].to(state[key])

    def __str__(self) -> str:
        """One line for the user."""
        taken, of = self.tensors
        numbers, of_numbers = self.parameters
        told = f"{taken} of {of} tensors ({numbers:,} of {of_numbers:,} parameters) are those of {self.run}"
        told += f" ({self.recipe}, sha256 {self.sha256[:12]})"
        if self.named:
            told += f"; by name: {', '.join(f'{layer} ({n} of {m})' for layer, (n, m) in self.named.items())}"
        fresh = self._fresh_in_short()
        return told + (f"; fresh: {', '.join(fresh)}" if fresh else "; nothing starts fresh")

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "run": self.run,
            "recipe": self.recipe,
            "sha256": self.sha256,
            "tensors": list(self.tensors),
            "parameters": list(self.parameters),
            "by_name": {layer: list(counts) for layer, counts in self.named.items()},
            "fresh": list(self.fresh),
            "told": str(self),
        }

    def _fresh_in_short(self) -> list[str]:
        """Whole parts by their name, else some layers of each."""
        begun = {_part(key) for key in (*self.whole, *self.rows)}
        told = []
        for part in PARTS:
            layers = [layer for layer in self.fresh if _part(layer) == part]
            if layers and part not in begun:
                told.append(part)
            elif len(layers) > _MOST:
                told.append(f"{len(layers)} layers of the {part}")
            else:
                told += layers
        return told + [f"the rest of {layer}" for layer, (taken, of) in self.named.items() if taken < of]


def plan_takeover(experiment: Experiment, donor: Donor) -> Takeover:
    """What fits, found on a model without memory.

    Raises:
        UserError: nothing does.
    """
    with torch.device("meta"):
        model = Locator(without_pretrained(experiment))
    own, given = model.state_dict(), donor.tensors
    per_name: Callable[[], dict[str, int]] = getattr(model.head, "named_rows", dict)
    last = {f"head.{layer}": per for layer, per in per_name().items()}
    names, theirs = _names(experiment), _names(donor.experiment)
    whole: list[str] = []
    rows: dict[str, Rows] = {}
    named: dict[str, tuple[int, int]] = {}
    fresh: list[str] = []
    for layer, keys in _by_layer(own).items():
        if layer in last and names != theirs:
            found = {key: _rows(own[key], given.get(key), names, theirs, per=last[layer]) for key in keys}
            known = {key: some for key, some in found.items() if some is not None}
            if len(known) == len(keys):
                rows |= known
                named[layer] = (sum(name in theirs for name in names if name), sum(bool(name) for name in names))
                continue
        elif all(key in given and given[key].shape == own[key].shape for key in keys):
            whole += keys
            continue
        fresh.append(layer)
    parameters = {key for key, _ in model.named_parameters()}
    taken = sum(own[key].numel() for key in whole if key in parameters)
    taken += sum(len(some.to) * own[key][0].numel() for key, some in rows.items())
    if not taken:
        raise UserError(
            f"Nothing of {donor.run} ({_pieces(donor.experiment)}) fits into {_pieces(experiment)}: no layer has the "
            "same name and shape. Start from a run of this recipe, or train the recipe of that run."
        )
    return Takeover(
        run=donor.run,
        recipe=donor.experiment.recipe,
        sha256=donor.sha256,
        whole=tuple(whole),
        rows=rows,
        named=named,
        fresh=tuple(fresh),
        tensors=(len(whole) + len(rows), len(own)),
        parameters=(taken, sum(p.numel() for p in model.parameters())),
    )


def with_padding_of(backbone: BackboneConfig, other: BackboneConfig) -> BackboneConfig:
    """A backbone padded as another run's of the same name, whose weights have learned with that padding."""
    if isinstance(backbone, TimmBackboneConfig) and isinstance(other, TimmBackboneConfig):
        same = {"padding": other.padding, "linear_stem_block": other.linear_stem_block}
        return backbone.model_copy(update=same) if backbone.name == other.name else backbone
    return backbone


def doubts(
    experiment: Experiment, donor: Donor, taken: Takeover, *, known: set[str], validating: Sequence[str]
) -> list[str]:
    """What the user should know of a donor, as warnings.

    Args:
        experiment: fitted to its data.
        donor: the run.
        taken: what it gives.
        known: names of the records of the same data set that the donor was trained on.
        validating: names of the records that validate now.
    """
    told = []
    if not any(_part(key) == "backbone" for key in taken.whole):
        told.append(f"warning: the backbone of {donor.run} does not fit: what is taken stands behind other features")
    elif experiment.backbone.kind == donor.experiment.backbone.kind:
        before = donor.experiment.backbone.model_dump(mode="json")
        now = experiment.backbone.model_dump(mode="json")
        changed = [f"{key}={before[key]}" for key in now if key not in FREE and before.get(key) != now[key]]
        if changed:
            told.append(f"warning: the backbone of {donor.run} learned with {', '.join(changed)}, this one has others")
    seen = sum(name in known for name in validating)
    if seen:
        told.append(
            f"warning: {donor.run} was trained on {seen:,} of the {len(validating):,} records that validate now, so "
            "scores are too good; divide the data as it did, or score the result on other data"
        )
    return told


def _names(experiment: Experiment) -> tuple[str, ...]:
    """What the rows of the last layers are called, in order; none for tracks, where there is one point."""
    if experiment.codec.finds == "points":
        return experiment.skeleton.names
    if experiment.codec.finds == "track":
        return ()
    count = len(experiment.classes)
    return (*[BACKGROUND] * (experiment.codec.num_logits(count) - count), *experiment.classes)


def _pieces(experiment: Experiment) -> str:
    slots = {part: getattr(experiment, part) for part in PARTS}
    named = [f"{part} {getattr(piece, 'name', piece.kind)}" for part, piece in slots.items() if piece.kind != "none"]
    return f"{experiment.recipe}: {', '.join(named)}"


def _rows(own: Tensor, given: Tensor | None, names: Sequence[str], theirs: Sequence[str], *, per: int) -> Rows | None:
    """Rows of the names that both have; None where none are shared, or where the layers are of other forms."""
    shared = [name for name in names if name in theirs]
    groups = len(own) // (len(names) * per)
    if given is None or not any(shared) or len(own) != groups * len(names) * per:
        return None
    if len(given) != groups * len(theirs) * per or given.shape[1:] != own.shape[1:]:
        return None

    def places(order: Sequence[str]) -> Tensor:
        at = torch.arange(groups * len(order) * per).view(groups, len(order), per)
        return at[:, [order.index(name) for name in shared]].flatten()

    return Rows(to=places(names), of=places(theirs))


def _by_layer(state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    layers: dict[str, list[str]] = {}
    for key in state:
        layers.setdefault(key.rpartition(".")[0], []).append(key)
    return layers


def _part(name: str) -> str:
    return name.partition(".")[0]
