"""One part: its inputs through the model, its rows to one file, and behind it the word that the file is whole.

Doing a part twice gives the same bytes at the same place, so it does not matter who did it, or how often it was begun.
In: a `Plan` and a number. Out: what was done. Next: local.py
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from sightline.bulk.model import Model, ModelFile, Row
from sightline.bulk.plan import Part, Plan
from sightline.errors import MissingExtra
from sightline.files import atomic_path, write_atomically

COMMON = ("input", "name", "path", "frame", "time_s", "height", "width", "error")
OF_TASK = {
    "points": ("points",),
    "boxes": ("boxes",),
    "one-box": ("boxes",),
    "track": ("x", "y", "visible", "score", "radius_px", "step"),
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """What is in the file of a part.

    Attributes:
        part: its number.
        inputs: that it answers.
        rows: of these; more than inputs where there are videos.
        errors: inputs that could not be read, or not to their end.
        bytes: of the file.
        sha256: of the file.
    """

    part: int
    inputs: int
    rows: int
    errors: int
    bytes: int
    sha256: str


class Work(Protocol):
    """Does one part; what an engine hands to its processes."""

    def __call__(self, number: int) -> Done:
        """Do the part of this number."""
        ...


@dataclass(frozen=True, kw_only=True)
class DoPart:
    """The work itself; each process loads the model when it does its first part."""

    plan: Plan
    model: ModelFile

    def __call__(self, number: int) -> Done:
        """Do a part, unless it is whole.

        Raises:
            UserError: the model cannot be loaded, or the rows cannot be written.
        """
        part = self.plan.parts[number]
        done = read_done(self.plan, part)
        return done or _do(self.plan, part, _loaded(self.model))


def read_done(plan: Plan, part: Part) -> Done | None:
    """What a part holds, where it is whole and unchanged; None where it must be done."""
    try:
        values = json.loads(plan.done_path(part).read_bytes())
        if values.pop("plan") != plan.identity:
            return None
        done = Done(**values)
        with plan.rows_path(part).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return done if digest == done.sha256 else None


@functools.cache
def _loaded(model: ModelFile) -> Model:
    """The model, once a process."""
    return model.load()


def _do(plan: Plan, part: Part, model: Model) -> Done:
    names = (*COMMON, *OF_TASK[model.task])
    rows: list[Row] = []
    errors = 0
    for number, unit in enumerate(plan.units(part), start=part.first):
        said: Row = {"input": number, "name": unit.name, "path": unit.path}
        found = [said | row for row in model.rows(unit)]
        assert found, f"no row for {unit.path}"
        errors += any(row.get("error") for row in found)
        rows += [{name: row.get(name) for name in names} for row in found]
    path = plan.rows_path(part)
    with atomic_path(path) as aside:
        if plan.format == "parquet":
            _write_parquet(rows, aside, task=model.task)
        else:
            with aside.open("w", encoding="utf-8") as file:
                file.writelines(_lines(rows))
        with aside.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = aside.stat().st_size
    done = Done(part=part.number, inputs=part.count, rows=len(rows), errors=errors, bytes=size, sha256=digest)
    write_atomically(plan.done_path(part), json.dumps(asdict(done) | {"plan": plan.identity}) + "\n")
    return done


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def check_format(plan: Plan) -> None:
    """Tell what is missing before the first part is done.

    Raises:
        MissingExtra: of the format of the rows.
    """
    if plan.format == "parquet":
        _arrow()


def _write_parquet(rows: Sequence[Row], path: Path, *, task: str) -> None:
    arrow, parquet = _arrow()
    table = arrow.Table.from_pylist(list(rows), schema=_schema(arrow, task=task))
    parquet.write_table(table, path, compression="zstd")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(feature="Rows as Parquet (--format jsonl needs nothing)", extra="scale") from error
    return pyarrow, pyarrow.parquet


def _schema(arrow: Any, *, task: str) -> Any:  # noqa: ANN401 (of an optional library)
    """The same columns in every part, whatever was found in it."""
    number, text, whole, yes = arrow.float64(), arrow.string(), arrow.int64(), arrow.bool_()
    point = arrow.struct(
        [("name", text), *((name, number) for name in ("x", "y", "score", "probability", "radius_px"))]
    )
    sides = ("score", "x0", "y0", "x1", "y1", "probability", "margin_px")
    box = arrow.struct([("class", text), *((name, number) for name in sides)])
    kinds = {
        **dict.fromkeys(("input", "frame", "height", "width"), whole),
        **dict.fromkeys(("name", "path", "error", "step"), text),
        **dict.fromkeys(("time_s", "x", "y", "score", "radius_px"), number),
        "visible": yes,
        "points": arrow.list_(point),
        "boxes": arrow.list_(box),
    }
    return arrow.schema([(name, kinds[name]) for name in (*COMMON, *OF_TASK[task])])
