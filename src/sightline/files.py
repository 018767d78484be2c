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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EISDIR, ENOSPC, ENOTDIR, EROFS
from pathlib import Path
from typing import Any

from sightline.errors import UserError

_ADVICE = {
    ENOSPC: "Free some space or choose another folder.",
    EDQUOT: "Your disk quota is used up: free some space or choose another folder.",
    EFBIG: "The file is larger than this file system or limit allows: choose another folder.",
    EROFS: "The file system is read-only: choose another folder.",
    EEXIST: "A part of this path is a file, not a folder: choose another name.",
    ENOTDIR: "A part of this path is a file, not a folder: choose another name.",
    EISDIR: "There is a folder of this name: choose another name.",
}


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a whole file, or leave what was there untouched.

    Args:
        path: the file; folders on the way to it are made. A link is followed.
        data: bytes, or text that is written as UTF-8 with its line ends as they are.

    Raises:
        UserError: the file cannot be written; names the path and the reason.
    """
    with atomic_path(path) as aside:
        aside.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)


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
        aside = _create_aside(target)
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
        raise _cannot_write(path, error) from error
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
        nearest = next(folder for folder in target.parents if folder.exists())
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise _cannot_write(path, error) from error
    reason = ENOTDIR if not nearest.is_dir() else None if os.access(nearest, os.W_OK | os.X_OK) else EACCES
    if reason is not None:
        raise _cannot_write(path, OSError(reason, os.strerror(reason)))


def is_vacant(folder: Path) -> bool:
    """Whether a new folder may be written there: there is nothing, or an empty folder."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """A free name beside a vacant folder's; what is made there becomes `folder` when the block ends without an error.

    Otherwise nothing is left of it. An `OSError` passes through.
    """
    target = Path(os.path.realpath(folder))
    aside = target.with_name(f".writing-{secrets.token_hex(6)}")
    try:
        yield aside
        if target.exists():
            target.rmdir()  # empty
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """As `folder_aside`, for a command that was given the folder to write.

    Raises:
        UserError: something lies there, or it cannot be written.
    """
    if not is_vacant(folder):
        raise UserError(f"{folder} exists already and is not empty. Nothing is overwritten: give a new folder.")
    try:
        with folder_aside(folder) as aside:
            yield aside
    except OSError as error:
        raise UserError(f"Cannot write {folder}: {error.strerror or error}. Choose another folder.") from error


def _create_aside(target: Path) -> Path:
    """An empty new file beside the target; created by `os.open` so that the umask holds."""
    aside = target.with_name(f".writing-{secrets.token_hex(6)}{target.suffix}")
    os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return aside


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
    """Whether an error concerns our file: it names it, or a folder above it, or no file at all."""
    if error.filename is None:
        return True
    target = Path(os.path.realpath(path))
    ours = {path, target, *target.parents, *path.parents} | ({aside} if aside is not None else set())
    both = (error.filename, error.filename2)  # of a copy: from where, to where
    return any(Path(os.fsdecode(name)) in ours for name in both if name is not None)


def _cannot_write(path: Path, error: OSError) -> UserError:
    reason = (error.strerror or str(error)).lower()
    advice = _ADVICE.get(error.errno or 0, "Check the permissions or choose another folder.")
    return UserError(f"Cannot write {path}: {reason}. {advice} What was there before is untouched.")
