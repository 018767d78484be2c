"""Everything in order: look at pictures, find copies, divide, run the checks that are wanted. Next: page.py, fix.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sightline.doctor import balance, boxes, copies, names, parts, pictures, points, shapes, tracks
from sightline.doctor.case import Case, Copies, suspect
from sightline.doctor.checks import CHECKS
from sightline.doctor.look import look_at_pictures
from sightline.errors import UserError
from sightline.readers import check_flip_order
from sightline.records import Dataset, Problem
from sightline.splits import Split, SplitBy, split_dataset

if TYPE_CHECKING:
    from sightline.config import Experiment

FAMILIES: dict[str, Callable[[Case], Iterable[Problem]]] = {
    "pictures": pictures.check,
    "copies": copies.check,
    "shapes": shapes.check,
    "points": points.check,
    "boxes": boxes.check,
    "names": names.check,
    "tracks": tracks.check,
    "balance": balance.check,
    "parts": parts.check,
}
VAL_FRACTION = 0.1  # of recipes
_RANK = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class Examination:
    """What the doctor found.

    Attributes:
        case: the data set, its pictures and split.
        problems: the wanted ones, the worst first.
        ran: the ids that were looked for, in the table's order.
    """

    case: Case
    problems: tuple[Problem, ...]
    ran: tuple[str, ...]

    def count(self, severity: str) -> int:
        """How many problems are of a severity."""
        return sum(problem.severity == severity for problem in self.problems)


def examine(
    dataset: Dataset,
    *,
    wanted: frozenset[str] = frozenset(CHECKS),
    split_by: SplitBy = "auto",
    recipe: Experiment | None = None,
    look: bool = True,
    workers: int | None = None,
) -> Examination:
    """Run the checks over a data set.

    Args:
        dataset: read, and scanned where pictures are to be looked at.
        wanted: ids of checks.
        split_by: how to divide, where the recipe does not say.
        recipe: also check the fit to this experiment; imports torch.
        look: look at pictures; without, only labels and what readers found are judged.
        workers: as of `scan`.

    Raises:
        UserError: a way to split that there is not.
    """
    problems = list(dataset.problems)
    if "points-swapped" in wanted:
        problems += check_flip_order(dataset)
    dataset = replace(dataset, problems=tuple(problems))
    if not dataset.records and not dataset.errors:
        problems.append(suspect("records-none", dataset, "there is no record in it"))
    families = {CHECKS[id].family for id in wanted}
    looks = look_at_pictures(dataset.records, workers=workers) if look and _needs_pictures(families) else {}
    found = copies.find_copies(looks) if families & {"copies", "parts"} else Copies()
    split, why = _divided(dataset, split_by)
    case = Case(dataset=dataset, looks=looks, copies=found, split=split, no_split=why)
    if recipe is not None and dataset.records:
        from sightline.doctor import fit

        case, of_fit = fit.check(case, recipe)
        problems += of_fit
    for family, check in FAMILIES.items():
        if family in families and dataset.records:
            problems += check(case)
    kept = sorted((one for one in problems if one.id in wanted), key=lambda one: _RANK[one.severity])
    ran = tuple(id for id, check in CHECKS.items() if id in wanted and (recipe is not None or check.family != "fit"))
    return Examination(case=case, problems=tuple(kept), ran=ran)


def _needs_pictures(families: set[str]) -> bool:
    return bool(families & {"pictures", "copies", "parts", "points", "boxes"})


def _divided(dataset: Dataset, by: SplitBy) -> tuple[Split | None, str]:
    if len(dataset.records) < 2:
        return None, ""
    try:
        return split_dataset(dataset, val_fraction=VAL_FRACTION, seed=0, by=by), ""
    except UserError as error:
        if by not in ("auto", "given", "group", "random", "order"):
            raise
        return None, str(error)
