"""`sightline check`: a data set read, every picture looked at, everything suspicious told, and perhaps mended."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.dataset import what_is_labelled
from sightline.cli.options import Flag
from sightline.errors import UserError
from sightline.files import require_place

if TYPE_CHECKING:
    from sightline.doctor import Examination
    from sightline.records import Dataset, Problem

EXAMPLES = 3
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}
_Ids = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]


def check(
    data: Path | None = None,
    *,
    recipe: str | None = None,
    split_by: str = "auto",
    only: _Ids = None,
    skip: _Ids = None,
    labels_only: Flag = False,
    html: Path | None = None,
    fix: Path | None = None,
    strict: Flag = False,
    format: str | None = None,
    list_: Annotated[bool, Parameter(name="--list", negative="")] = False,
    json: Flag = False,
) -> int:
    """Read a data set, look at every picture, and tell what is wrong. Exit code 1 on errors.

    Args:
        data: a label file or the folder that holds labels and pictures.
        recipe: also check how the data fit this recipe; a name or a YAML file.
        split_by: the parts to check for leaks: auto, given, group, random or order.
        only: ids of the checks to run, with commas or spaces between them.
        skip: ids of checks to leave out.
        labels_only: do not look at the pixels of pictures.
        html: write a page of pictures there, the suspects first.
        fix: write a corrected copy to this new folder, with fixes.csv; the data stay as they are.
        strict: exit code 1 on warnings too.
        format: the label format, where it cannot be found out.
        list_: list all checks instead.
        json: print everything as JSON.
    """
    from sightline.doctor import CHECKS, examine, wanted_checks

    wanted = wanted_checks(_ids(only), _ids(skip))
    if list_:
        return _list(wanted, json=json)
    if data is None:
        raise UserError("There is no data set to check. Expected: sightline check DATA, or --list for all checks.")
    from dataclasses import asdict
    from typing import cast

    from sightline.doctor.fix import require_new, write_fixed
    from sightline.doctor.page import write_page
    from sightline.readers import read_dataset, require_data
    from sightline.scan import scan
    from sightline.splits import SplitBy

    data = require_data(data)
    if fix is not None:  # both before minutes are spent on pictures
        require_new(fix, data)
    if html is not None:
        require_place(html)
    experiment = None
    if recipe is not None:
        from sightline.cli.choose import chosen

        experiment = chosen(recipe, (), () if split_by == "auto" else (f"data.split_by={split_by}",))
    dataset = scan(read_dataset(data, format=format), decode=not labels_only)
    found = examine(dataset, wanted=wanted, split_by=cast(SplitBy, split_by), recipe=experiment, look=not labels_only)
    assert set(found.ran) <= set(CHECKS)
    if json:
        rest = {"checks": list(found.ran), "problems": [asdict(problem) for problem in found.problems]}
        console.print_json(_summary(found) | rest)
    else:
        _print(found)
    said = console.err if json else None  # JSON stays alone on standard output
    if html is not None:
        console.say(f"page     {write_page(found, html)}", on=said)
    if fix is not None:
        done = write_fixed(found, fix)
        console.say(f"copy     {done.labels}: {done.records} records as {done.format}, {done.changes} changes", on=said)
        console.say(f"changes  {fix / 'fixes.csv'}", on=said)
        if done.to_decide:
            lines = "last line names" if done.to_decide == 1 else f"last {done.to_decide:,} lines name"
            console.say(f"         its {lines} what was not changed, since only a person can decide it", on=said)
    return 1 if found.count("error") or (strict and found.count("warning")) else 0


def _ids(given: list[str] | None) -> list[str]:
    return [id for text in given or () for id in text.replace(",", " ").split()]


def _list(wanted: frozenset[str], *, json: bool) -> int:
    """The table of checks."""
    from dataclasses import asdict

    from sightline.doctor import CHECKS

    chosen = [check for id, check in CHECKS.items() if id in wanted]
    if json:
        console.print_json([asdict(check) for check in chosen])
        return 0
    for check in chosen:
        fixed = f"  [--fix: {check.fix}]" if check.fix else ""
        console.say(f"{check.severity:8} {check.id:28} {check.meaning}{fixed}")
    return 0


def _print(found: Examination) -> None:
    """Numbers, then one paragraph for each kind of problem, the worst first."""
    from sightline.doctor import CHECKS

    dataset = found.case.dataset
    console.say(f"{dataset.root}: {dataset.format}, {len(dataset):,} records, {what_is_labelled(dataset)}")
    if sizes := _sizes(dataset):
        console.say(sizes)
    kinds: dict[str, list[Problem]] = {}
    for problem in found.problems:
        kinds.setdefault(problem.id, []).append(problem)
    for id, problems in kinds.items():
        check, severity = CHECKS[id], problems[0].severity
        count = f", {len(problems):,} times" if len(problems) > 1 else ""
        console.out.print(
            f"{severity}: [{id}]{count}: {check.meaning}", style=_STYLES[severity], highlight=False, markup=False,
            soft_wrap=True,
        )  # fmt: skip
        for problem in problems[:EXAMPLES]:
            console.say(f"    {problem.where}: {problem.message}")
        if len(problems) > EXAMPLES:
            console.say(f"    and {len(problems) - EXAMPLES:,} more (--html shows them, --json lists all)")
        if check.todo != "nothing":
            console.say(f"    -> {check.todo}" + (f" (--fix: {check.fix})" if check.fix else ""))
    number = {name: found.count(name) for name in _STYLES}
    told = ", ".join(f"{count:,} {name}{'s' if count != 1 else ''}" for name, count in number.items())
    console.say(f"{len(found.ran)} checks: {told if found.problems else 'nothing found'}")


def _sizes(dataset: Dataset) -> str:
    """A line about sizes of pictures and objects."""
    import numpy as np

    pictures = {record.path: record.size_hw for record in dataset.records if record.size_hw is not None}
    if not pictures:
        return ""
    sides = np.array(list(pictures.values()))
    (low_h, low_w), (high_h, high_w) = sides.min(axis=0), sides.max(axis=0)
    same = (low_h, low_w) == (high_h, high_w)
    text = f"{len(pictures):,} pictures of {low_w} x {low_h}" + ("" if same else f" to {high_w} x {high_h}")
    objects = [np.sqrt(np.prod(r.objects.boxes_xyxy[:, 2:] - r.objects.boxes_xyxy[:, :2], axis=1))
               for r in dataset.records if r.objects is not None]  # fmt: skip
    objects += [np.ptp(r.points_xy[r.visible], axis=0).max(keepdims=True)
                for r in dataset.records if r.visible.sum() > 1]  # fmt: skip
    joined = np.concatenate([np.zeros(0), *objects])
    if not len(joined):
        return f"{text} pixels"
    low, middle, high = np.quantile(joined, [0.05, 0.5, 0.95])
    return f"{text} pixels; objects of {middle:.0f} pixels (90 % within {low:.0f} .. {high:.0f})"


def _summary(found: Examination) -> dict[str, Any]:
    dataset = found.case.dataset
    return {
        "data": str(dataset.root),
        "format": dataset.format,
        "records": len(dataset),
        "points": list(dataset.skeleton.names),
        "classes": list(dataset.classes),
        "boxes": sum(len(record.objects) for record in dataset.records if record.objects is not None),
        "data_fingerprint": dataset.fingerprint(),
        "errors": found.count("error"),
        "warnings": found.count("warning"),
    }
