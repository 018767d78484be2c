"""Opening label files that people made: byte-order marks, tables, and mistakes of encoding.

In: a path. Out: text, or the rows of a table with their line numbers.
Next: pictures.py
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sightline.errors import UserError
from sightline.settings import load_yaml

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d+)$")
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def encoding_of(start: bytes) -> str:
    """How to decode a label file, from its first bytes on: UTF-16 where these are its mark, else UTF-8."""
    return "utf-16" if start[:2] in _UTF_16 else "utf-8-sig"


def encoding_within(start: bytes) -> str:
    """How text further on in a label file with these first bytes is encoded, where there is no mark."""
    return _UTF_16.get(start[:2], "utf-8")


def read_text(path: Path) -> str:
    """The text of a label file: UTF-8 with or without a mark, or UTF-16 with one.

    Raises:
        UserError: it cannot be opened, or is in another encoding.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    try:
        return data.decode(encoding_of(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}:{line} holds bytes that are not UTF-8 text. Label files are read as UTF-8: save it again as UTF-8."
        ) from error


def read_start(path: Path, *, characters: int = 4096) -> str:
    """The first characters of a file, whatever it holds; for telling formats apart."""
    try:
        with path.open("rb") as stream:
            data = stream.read(characters)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    return data.decode(encoding_of(data), errors="ignore")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table, with blanks around cells removed, and the line it ends on."""

    cells: tuple[str, ...]
    line: int


def read_table(path: Path) -> list[Row]:
    """The rows of a CSV file that hold anything; the delimiter (, ; or tab) is the first line's.

    Spreadsheets that part cells with semicolons write 1,5 for one and a half; it becomes 1.5.

    Raises:
        UserError: it cannot be read, or a quote is never closed.
    """
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if delimiter == ";":
                stripped = tuple(_DECIMAL_COMMA.sub(r"\1.\2", cell) for cell in stripped)
            if any(stripped):
                rows.append(Row(cells=stripped, line=reader.line_num))
    except csv.Error as error:
        raise UserError(
            f"{path}:{reader.line_num} is not a CSV row: {error}. Check the quotes on that line."
        ) from error
    return rows


def read_header(path: Path) -> tuple[str, ...]:
    """The cells of a table's first line, for telling formats apart; empty where there are none."""
    first = read_start(path, characters=65536).splitlines()[:1]
    if not first:
        return ()
    delimiter = max(",;\t", key=first[0].count)
    return tuple(cell.strip().strip('"') for cell in first[0].split(delimiter))


def read_yaml(path: Path) -> dict[str, object]:
    """The mapping that a YAML file holds.

    Raises:
        UserError: it cannot be read, is not YAML, or is not a mapping.
    """
    try:
        data = load_yaml(read_text(path))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line} is not YAML that can be read: {error}. Mend that line.") from error
    if not isinstance(data, dict):
        raise UserError(f"{path} should hold names with values (`key: value`), but holds {type(data).__name__}.")
    return {str(key): value for key, value in data.items()}


def number(text: str) -> float:
    """A number from text, NaN and infinities included.

    Raises:
        ValueError: it is not a number. `1_000` is not one either, though Python thinks so.
    """
    if "_" in text:
        raise ValueError(f"could not convert string to float: {text!r}")
    return float(text)


def is_finite(values: Sequence[float]) -> bool:
    """Whether none of the values is NaN or infinite."""
    return all(math.isfinite(value) for value in values)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts img2 before img10."""
    parts = re.split(r"(\d+)", path.as_posix())
    return [(int(part), part) if part.isdigit() else (-1, part) for part in parts]


def split_of_name(stem: str) -> str | None:
    """The part that a label file's name speaks of: `labels_ibug_300W_train` -> "train"."""
    words = [word.rstrip("0123456789") for word in re.split(r"[^a-z0-9]+", stem.lower())]
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    return found.pop() if len(found) == 1 else None


def split_named(name: str) -> str | None:
    """The part that a name is, and not only speaks of: "Training" -> "train", "valid" -> "val", "train_2" -> None."""
    return _SPLIT_WORDS.get(name.lower())


def part_of_name(name: str) -> str:
    """A part of the data as `split` calls it: "valid" and "validation" are "val"; other names stay as they are."""
    return split_named(name) or name


def choose_label_files(files: Sequence[Path], *, what: str) -> list[tuple[Path, str | None]]:
    """Which of a folder's label files to read, and the part of the data set each one is.

    One file is read as it is. Of several, those whose names speak of different parts (train, val,
    test) are read together; a file that names no part is then taken for their union and left out.

    Raises:
        UserError: several files, and their names do not tell the parts apart.
    """
    if len(files) == 1:
        return [(files[0], None)]
    parts = [(path, split_of_name(path.stem)) for path in files]
    named = [(path, split) for path, split in parts if split is not None]
    if not named or len({split for _, split in named}) < len(named):
        names = ", ".join(path.name for path in files[:8])
        raise UserError(
            f"{files[0].parent} holds {len(files)} {what} files ({names}) and their names do not say which part of the "
            "data each one is (train, val, test). Give the path of one file instead of the folder."
        )
    return [*named]


def files_with_parts(files: Sequence[Path], *, folder: Path, what: str) -> list[tuple[Path, str | None]]:
    """As `choose_label_files`, where files may lie in folders that name the parts (`train/labels.csv`).

    Raises:
        UserError: several files, and neither their folders nor their names tell the parts apart.
    """
    by_folder = {split_of_name(file.parent.name): file for file in files if file.parent != folder}
    if len(by_folder) == len(files) and None not in by_folder:
        return [(file, split) for split, file in by_folder.items()]
    return choose_label_files(files, what=what)


def part_folders(path: Path) -> list[Path]:
    """The folders directly in a folder whose names speak of a part of the data."""
    return [sub for sub in sorted(path.iterdir()) if sub.is_dir() and split_of_name(sub.name)] if path.is_dir() else []
