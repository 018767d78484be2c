"""Writing files so that a reader never meets half of one, and reading back what others may have damaged since.

Everything the program writes goes aside first, into a temporary file of the same folder,
and takes its final name only when it is whole and on the disk. A full disk, a folder
without write permission and the like become a `UserError`, and the old file stays whole.
Next: images.py
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EISDIR, ENOSPC, ENOTDIR, ENOTEMPTY, EROFS
from pathlib import Path
from typing import Any

from sightline.errors import UserError

_ASIDE = ".writing-"
_ADVICE = {
    ENOSPC: "Free some space or choose another folder.",
    EDQUOT: "Your disk quota is used up: free some space or choose another folder.",
    EFBIG: "The file is larger than this file system or limit allows: choose another folder.",
    EROFS: "The file system is read-only: choose another folder.",
    EEXIST: "A part of this path is a file, not a folder: choose another name.",
    ENOTDIR: "A part of this path is a file, not a folder: choose another name.",
    ENOTEMPTY: "Something was put there meanwhile: choose a new folder.",
    EISDIR: "There is a folder of this name: choose another name.",
}


class CannotWrite(UserError):
    """A file or folder that the machine would not let be written."""

    def __init__(self, path: Path, error: OSError) -> None:
        """Name the path, the reason, and what helps against it."""
        reason = (error.strerror or str(error)).lower()
        advice = _ADVICE.get(error.errno or 0, "Check the permissions or choose another folder.")
        super().__init__(f"Cannot write {path}: {reason}. {advice} What was there before is untouched.")
        self.path, self.error = path, error


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a whole file, or leave what was there untouched.

    Args:
        path: the file; folders on the way to it are made. A link is followed.
        data: bytes, or text that is written as UTF-8 with its line ends as they are.

    Raises:
        UserError: the file cannot be written; names the path and the reason.
    """
    held = encoded(data, path=path) if isinstance(data, str) else data
    with atomic_path(path) as aside:
        aside.write_bytes(held)


def encoded(text: str, *, path: Path) -> bytes:
    """Text as UTF-8, for a file of this path.

    Raises:
        UserError: it holds bytes of a file's name that are no text, as Python keeps them.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        before = text[text.rfind("\n", 0, error.start) + 1 : error.end]
        raise UserError(
            f"Cannot write {path}: what ends with {before[-60:]!r} is no UTF-8 text. Most likely a file's name holds "
            "other bytes: rename that file."
        ) from error


def read_text(path: Path, *, advice: str) -> str:
    """The text of a file that the program wrote.

    Args:
        path: the file.
        advice: what to do where it is gone or damaged; the end of the message.

    Raises:
        UserError: it is missing, may not be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing. {advice}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}. {advice}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged (not UTF-8 at byte {error.start}). {advice}") from error


def read_object(path: Path, *, advice: str) -> dict[str, Any]:
    """The JSON object in a file that the program wrote; arguments and errors as for `read_text`."""
    try:
        value = json.loads(read_text(path, advice=advice))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is damaged (line {error.lineno}: {error.msg}). {advice}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} is damaged (it holds a {type(value).__name__}, not an object). {advice}")
    return value


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which becomes `path` when the block ends without an error.

    The temporary file lies in the same folder, exists and is empty, and has the same suffix
    (some libraries choose the format by it). When the block raises, it is removed and
    `path` stays as it was.

    Args:
        path: the file; folders on the way to it are made. A link is followed.

    Raises:
        UserError: the file cannot be written. An `OSError` that names some other file
            is not about `path` and passes through.
    """
    path = Path(path)
    aside: Path | None = None
    try:
        # A link is followed, so that writing through it does not turn it into a file.
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = _mode_of(target, name=path)
        aside = _hidden_name(target.parent, suffix=target.suffix)
        os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # so that the umask holds
        yield aside
        if mode is not None:
            aside.chmod(mode)
        with aside.open("r+b") as file:
            os.fsync(file.fileno())
        aside.replace(target)
        aside = None
    except OSError as error:
        if error.errno is None or not _is_about(error, path=path, aside=aside):
            raise
        raise CannotWrite(path, error) from error
    finally:
        if aside is not None:
            with suppress(OSError):  # the error that brought us here is the one to tell
                aside.unlink(missing_ok=True)


def require_place(path: Path) -> None:
    """Refuse before the work what could not be written behind it; makes nothing.

    Raises:
        UserError: there is a folder of this name, a file on the way to it, or a folder that may not be written to.
    """
    target = Path(os.path.realpath(path))
    try:
        _mode_of(target, name=path)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise CannotWrite(path, error) from error
    _require_open(path, target.parents)


def require_folder(folder: Path) -> None:
    """As `require_place`, for a folder that files are to be put into, which may be there already."""
    target = Path(os.path.realpath(folder))
    _require_open(folder, (target, *target.parents))


def _require_open(path: Path, folders: Sequence[Path]) -> None:
    """Refuse where the first of the folders that exists may not be written to."""
    try:
        nearest = next(folder for folder in folders if folder.exists())
    except OSError as error:
        raise CannotWrite(path, error) from error
    reason = ENOTDIR if not nearest.is_dir() else None if os.access(nearest, os.W_OK | os.X_OK) else EACCES
    if reason is not None:
        raise CannotWrite(path, OSError(reason, os.strerror(reason)))


def is_vacant(folder: Path) -> bool:
    """Whether a new folder may be written there: there is nothing, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """A free name beside a vacant folder's; what is made there becomes `folder` when the block ends without an error.

    Otherwise nothing is left of it. An `OSError` passes through; a file in it that cannot be written is told by the
    name that it would have had.
    """
    target = Path(os.path.realpath(folder))
    aside = _hidden_name(target.parent)
    try:
        yield aside
        if target.exists():
            target.rmdir()  # empty
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    except CannotWrite as error:
        if aside not in error.path.parents:
            raise
        raise CannotWrite(folder / error.path.relative_to(aside), error.error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """As `folder_aside`, for a command that was given the folder to write.

    Raises:
        UserError: something lies there, or it cannot be written. An `OSError` that names another file passes through.
    """
    if not is_vacant(folder):
        raise UserError(f"{folder} exists already and is not empty. Nothing is overwritten: give a new folder.")
    require_folder(folder)
    aside: Path | None = None
    try:
        with folder_aside(folder) as aside:
            yield aside
    except OSError as error:
        if error.errno is None or not _is_about(error, path=folder, aside=aside):
            raise
        raise CannotWrite(folder, error) from error


def free_name(name: str, *, is_taken: Callable[[str], bool], ending: str = "") -> str:
    """The name, or where it is taken the first of `name-2`, `name-3`, ... that is not.

    Args:
        name: of a picture, a clip, a file.
        is_taken: whether something else is called so.
        ending: of the name; the number stands before it.
    """
    stem, free, number = name.removesuffix(ending), name, 1
    while is_taken(free):
        number += 1
        free = f"{stem}-{number}{ending}"
    return free


def remove_halves(folder: Path) -> None:
    """Remove what a kill left half written directly in a folder; for its only writer."""
    for left in folder.glob(f"{_ASIDE}*"):
        left.unlink() if left.is_file() else shutil.rmtree(left)


def _hidden_name(folder: Path, *, suffix: str = "") -> Path:
    """A name in a folder that nothing has, for what is being written."""
    return folder / f"{_ASIDE}{secrets.token_hex(6)}{suffix}"


def _mode_of(target: Path, *, name: Path) -> int | None:
    """Permissions of the file to be replaced, None where there is none; refuses what is no plain file."""
    if not target.exists():
        return None
    mode = target.stat().st_mode
    if stat.S_ISDIR(mode):
        raise UserError(f"Cannot write {name}: there is a folder of this name. Choose another name.")
    if not stat.S_ISREG(mode):
        raise UserError(f"Cannot write {name}: it is a device or a pipe, not a plain file. Choose another name.")
    return stat.S_IMODE(mode)


def _is_about(error: OSError, *, path: Path, aside: Path | None) -> bool:
    """Whether an error concerns what we write: it names it, what is in it or a folder above it, or nothing at all."""
    if error.filename is None:
        return True
    target = Path(os.path.realpath(path))
    above = {path, target, *target.parents, *path.parents}
    both = (error.filename, error.filename2)  # of a copy: from where, to where
    named = [Path(os.fsdecode(name)) for name in both if name is not None]
    return any(name in above or aside in (name, *name.parents) for name in named)
