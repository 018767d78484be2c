"""What a merge made of two data sets, and what it refuses to decide by itself. Next: join.py, merge_clips.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sightline.errors import UserError
from sightline.records import Dataset
from sightline.writers import Clip

OnConflict = Literal["refuse", "newer", "older"]
Unit = Literal["picture", "frame"]
_SHOWN = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Merged:
    """The union, and what was done.

    Attributes:
        dataset: the old records in their order, then the new ones; of clips, each clip's in the order of its frames.
        added: pictures that the new data set brings; frames of clips that it brings.
        filled: pictures (frames of clips) of the old data set that it labels, or labels further.
        same: pictures (labelled frames) that both label alike.
        conflicts: pictures (frames) that both label differently; decided as the user said.
        unlabelled: pictures (frames) of the new data set without a label by a person, left out.
        renamed: new pictures (clips) that got another name, since another one has theirs: id -> new id.
        matched_by_name: pictures (clips) known by name and look, whose files differ.
        not_known: points or classes of the old data set that the new one does not speak of.
        unit: what is counted.
        clips: of data sets of clips, the same records with all frames that either has, also those without a label.
    """

    dataset: Dataset
    added: int
    filled: int
    same: int
    conflicts: tuple[str, ...]
    unlabelled: int
    renamed: Mapping[str, str] = field(default_factory=dict)
    matched_by_name: int = 0
    not_known: tuple[str, ...] = ()
    unit: Unit = "picture"
    clips: tuple[Clip, ...] = ()


def require_decided(conflicts: Sequence[str], on_conflict: OnConflict, *, unit: Unit = "picture") -> None:
    """Refuse conflicts that nobody has decided.

    Raises:
        UserError: there are some, and `on_conflict` is "refuse".
    """
    if not conflicts or on_conflict != "refuse":
        return
    shown = "\n  ".join(conflicts[:_SHOWN])
    more = f"\n  and {len(conflicts) - _SHOWN:,} more" if len(conflicts) > _SHOWN else ""
    count = f"1 {unit} is" if len(conflicts) == 1 else f"{len(conflicts):,} {unit}s are"
    raise UserError(
        f"{count} labelled differently by both:\n  {shown}{more}\nSay which labels of such a {unit} hold: "
        "--on-conflict newer or older. Nothing was written."
    )
