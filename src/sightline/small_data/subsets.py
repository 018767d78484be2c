"""Parts of a training part, each within the next: a tenth of the labels, a fifth, and so on.

Nested, so that from one share to the next nothing changes but the labels that are added; stratified and by whole
groups or clips, as folds are.
In: the records that train. Out: the records of each share.
Next: forecast.py
"""

from __future__ import annotations

from collections.abc import Sequence

from sightline.errors import UserError
from sightline.records import Dataset, Record
from sightline.splits import units_of
from sightline.stratify import deal, traits


def nested_subsets(dataset: Dataset, *, shares: Sequence[float], seed: int) -> list[tuple[Record, ...]]:
    """The records of each share, in the data set's order; each holds those of the share before.

    Where groups are large a share has as many records as whole groups allow.

    Args:
        dataset: of the records that train, none that validates.
        shares: in per cent, rising, above 0 and at most 100.
        seed: equal seeds choose equally.

    Raises:
        UserError: fewer groups or pictures than shares.
    """
    assert list(shares) == sorted(set(shares)) and shares[0] > 0 and shares[-1] <= 100, shares
    units, by = units_of(dataset)
    steps = [share - before for share, before in zip(shares, (0.0, *shares), strict=False)]
    rest = 100 - shares[-1]
    parts = [*steps, *([rest] if rest > 0 else [])]
    if len(units) < len(parts):
        what = "groups (persons, clips)" if by == "group" else "pictures"
        raise UserError(
            f"The training part of {dataset.root} has {len(units)} {what}, too few for {len(shares)} different shares "
            f"of it: {len(parts)} are needed. Name fewer --shares, or add labelled pictures."
        )
    part = deal(units, traits(dataset.records), shares=[step / 100 for step in parts], seed=seed)
    chosen: set[int] = set()
    found = []
    for step in range(len(shares)):
        chosen |= {position for unit, place in zip(units, part, strict=True) if place == step for position in unit}
        found.append(tuple(record for position, record in enumerate(dataset.records) if position in chosen))
    return found
