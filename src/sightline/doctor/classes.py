"""Which similar class names are clearly one, so that they may be merged without asking. Next: fix.py."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sightline.readers.class_names import is_slip, letters_of
from sightline.records import Dataset

_RARER = 10  # so much rarer than the other, a name that is one slip away is a slip
_MOST = 5  # objects: a class that many were drawn for may be meant


def clear_slips(dataset: Dataset) -> dict[int, int]:
    """Positions of classes that are slips of others: wrong -> right.

    Names that differ only in case or spacing are one, whatever their numbers; the more frequent spelling stays. Others
    only where one has at most 5 objects and the other 10 times as many.
    """
    names = dataset.classes
    counts = np.zeros(len(names), dtype=np.int64)
    for record in dataset.records:
        if record.objects is not None:
            counts += np.bincount(record.objects.labels, minlength=len(names))
    found: dict[int, int] = {}
    used = np.flatnonzero(counts).tolist()
    for pair in combinations(used, 2):
        rare, often = sorted(pair, key=lambda label: (counts[label], -label))
        alike = letters_of(names[rare]) == letters_of(names[often])
        slip = counts[rare] <= _MOST and counts[rare] * _RARER <= counts[often] and is_slip(names[rare], names[often])
        if (alike or slip) and counts[found.get(rare, rare)] <= counts[often]:
            found[rare] = often
    for label in found:  # of three spellings all become the most frequent
        while found[label] in found:
            found[label] = found[found[label]]
    return found
