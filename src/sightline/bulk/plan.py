"""What a folder of bulk predictions is for: the inputs in their order, the parts, the model. Fixed when it is begun.

    inputs.jsonl    a line for each input
    plan.json       parts as ranges of these lines; checksums of inputs and model
    parts/          part-00000.jsonl (or .parquet) with the rows, and part-00000.json, which says that it is whole
    manifest.json   at the end: counts, and the checksum of every part

In: units and a model. Out: a `Plan`, new or the same as before. Next: model.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from sightline.bulk.inputs import Unit, parts_of
from sightline.errors import UserError
from sightline.files import encoded, write_atomically

RowFormat = Literal["jsonl", "parquet"]
INPUTS, PLAN, MANIFEST, PARTS = "inputs.jsonl", "plan.json", "manifest.json", "parts"
VERSION = 1

# What decides a run's or a tracker's answers; not its logs and reports.
_OF_MODELS = ("config.yaml", "tracker.yaml", "best.safetensors", "thresholds.json", "radius.json", "calibration.json")
_TOLD = {
    "inputs": "other inputs",
    "model": "another model",
    "score": "another --score",
    "format": "another --format",
    "part": "another --part",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A range of inputs.

    Attributes:
        number: from 0.
        first: position of its first input.
        count: of inputs.
        offset: of its first line in the list of inputs, in bytes.
        bytes: of its lines.
    """

    number: int
    first: int
    count: int
    offset: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done in a folder.

    Attributes:
        folder: of the results.
        identity: a hash of everything that decides the results.
        format: of the rows.
        parts: all of them.
    """

    folder: Path
    identity: str
    format: RowFormat
    parts: tuple[Part, ...]

    def rows_path(self, part: Part) -> Path:
        """Where the rows of a part belong."""
        return self.folder / PARTS / f"part-{part.number:05d}.{self.format}"

    def done_path(self, part: Part) -> Path:
        """The file that says that a part is whole; it is written behind the rows."""
        return self.folder / PARTS / f"part-{part.number:05d}.json"

    def units(self, part: Part) -> list[Unit]:
        """The inputs of a part."""
        with (self.folder / INPUTS).open("rb") as file:
            file.seek(part.offset)
            lines = file.read(part.bytes).splitlines()  # of bytes: a name may hold what ends a line of text
        return [_unit(line) for line in lines]


def make_plan(
    out: Path, units: Sequence[Unit], *, model: Path, score: float | None, format: RowFormat, part: int
) -> Plan:
    """Begin a folder, or go on with it.

    Args:
        out: new, empty, or begun by the same call.
        units: the inputs in order.
        model: a run, a tracker's folder, or an exported file.
        score: as asked for.
        format: of the rows.
        part: pictures in a part.

    Raises:
        UserError: the folder holds something else, or results of other inputs, another model or other options.
    """
    rows = [json.dumps(asdict(unit), ensure_ascii=False) + "\n" for unit in units]
    lines = [encoded(row, path=out / INPUTS) for row in rows]
    identity = {
        "inputs": hashlib.sha256(b"".join(lines)).hexdigest(),
        "model": digest_of_model(model),
        "score": score,
        "format": format,
        "part": part,
    }
    before = _begun(out)
    if before is not None:
        differs = [told for name, told in _TOLD.items() if before["identity"].get(name) != identity[name]]
        if differs:
            raise UserError(
                f"{out} holds results for {' and '.join(differs)} (it was begun with {before['model']}). Choose "
                "another folder, or repeat the call that began it."
            )
    else:
        write_atomically(out / INPUTS, b"".join(lines))
        values = {"version": VERSION, "identity": identity, "model": str(model), "inputs": len(units)}
        ranges = [asdict(each) for each in _ranges(units, lines, size=part)]
        write_atomically(out / PLAN, json.dumps(values | {"parts": ranges}) + "\n")
    return read_plan(out)


def read_plan(folder: Path) -> Plan:
    """The plan of a folder.

    Raises:
        UserError: there is none, or plan or inputs are damaged.
    """
    values = _begun(folder)
    if values is None:
        raise UserError(f"{folder} holds no bulk predictions.")
    inputs = (folder / INPUTS).read_bytes() if (folder / INPUTS).is_file() else b""
    if hashlib.sha256(inputs).hexdigest() != values["identity"]["inputs"]:
        raise UserError(f"{folder / INPUTS} is missing or changed, so nothing can go on. Begin in another folder.")
    identity = json.dumps(values["identity"], sort_keys=True).encode()
    return Plan(
        folder=folder,
        identity=hashlib.sha256(identity).hexdigest(),
        format=row_format(values["identity"]["format"]),
        parts=tuple(Part(**each) for each in values["parts"]),
    )


def row_format(name: str) -> RowFormat:
    """A format of rows by its name."""
    if name not in get_args(RowFormat):
        raise UserError(f"There is no format of rows '{name}'. Known: {', '.join(get_args(RowFormat))}.")
    return cast(RowFormat, name)


def digest_of_model(model: Path) -> str:
    """A hash of what decides a model's answers.

    Raises:
        UserError: there is no such model.
    """
    if model.is_file():
        with model.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(path for name in _OF_MODELS for path in model.rglob(name))
    if not files:
        raise UserError(f"There is no model at {model}. Give a run folder, or a file that `sightline export` wrote.")
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(f"{path.relative_to(model)}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _begun(out: Path) -> dict[str, Any] | None:
    """The values of a plan; None where the folder is free, or was left before there was one."""
    if (out / PLAN).is_file():
        try:
            values = json.loads((out / PLAN).read_bytes())
        except ValueError as error:
            raise UserError(f"{out / PLAN} is damaged ({error}). Begin in another folder.") from error
        if not isinstance(values, dict) or values.get("version") != VERSION:
            raise UserError(f"{out / PLAN} is no plan of this version. Begin in another folder.")
        return values
    others = [path.name for path in out.iterdir()] if out.is_dir() else []
    others = [name for name in others if name != INPUTS and not name.startswith(".writing-")]
    if others:
        raise UserError(f"{out} is not empty ({others[0]}), and holds no bulk predictions. Choose another folder.")
    return None


def _ranges(units: Sequence[Unit], lines: Sequence[bytes], *, size: int) -> list[Part]:
    ranges: list[Part] = []
    first = offset = 0
    for number, part in enumerate(parts_of(units, size=size)):
        length = sum(map(len, lines[first : first + len(part)]))
        ranges.append(Part(number=number, first=first, count=len(part), offset=offset, bytes=length))
        first, offset = first + len(part), offset + length
    return ranges


def _unit(line: bytes) -> Unit:
    values = json.loads(line)
    box = values["box"]
    return Unit(**values | {"box": None if box is None else tuple(box)})
