"""All parts of a plan by an engine, and the manifest behind the last one. In: a plan. Out: a `Manifest`. Next: cli/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sightline.bulk.part import Done, Work, check_format, read_done
from sightline.bulk.plan import MANIFEST, Plan
from sightline.errors import UserError
from sightline.files import write_atomically

Engine = Callable[[Work, Sequence[int]], Iterator[Done]]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a folder of bulk predictions holds.

    Attributes:
        inputs: all of them.
        rows: as many, and more where there are videos.
        errors: inputs that could not be read, or not to their end.
        kept: parts that were whole before.
        parts: by number.
        path: of the file.
    """

    inputs: int
    rows: int
    errors: int
    kept: int
    parts: tuple[Done, ...]
    path: Path


def run_plan(
    plan: Plan, work: Work, *, engine: Engine, tell: Callable[[int, int], None] = lambda done, of: None
) -> Manifest:
    """Do what is not whole, and write the manifest.

    Args:
        plan: the parts.
        work: does one of them.
        engine: hands them to processes.
        tell: told how many parts are whole, and of how many.

    Raises:
        UserError: as the engine; what is whole by then stays, and the next call goes on.
    """
    check_format(plan)
    found = {part.number: done for part in plan.parts if (done := read_done(plan, part)) is not None}
    kept = len(found)
    tell(len(found), len(plan.parts))
    for done in engine(work, [part.number for part in plan.parts if part.number not in found]):
        found[done.part] = done
        tell(len(found), len(plan.parts))
    missing = [part.number for part in plan.parts if part.number not in found]
    if missing:
        raise UserError(
            f"{len(missing):,} parts were not done, the first is part {missing[0]}. Run the same call again."
        )
    parts = tuple(found[part.number] for part in plan.parts)
    manifest = Manifest(
        inputs=sum(done.inputs for done in parts),
        rows=sum(done.rows for done in parts),
        errors=sum(done.errors for done in parts),
        kept=kept,
        parts=parts,
        path=plan.folder / MANIFEST,
    )
    files = [{"file": str(plan.rows_path(p).relative_to(plan.folder)), **asdict(found[p.number])} for p in plan.parts]
    values = {"inputs": manifest.inputs, "rows": manifest.rows, "errors": manifest.errors, "plan": plan.identity}
    write_atomically(manifest.path, json.dumps(values | {"parts": files}, indent=1) + "\n")
    return manifest
