from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.files import (
    CannotWrite,
    atomic_path,
    encoded,
    free_name,
    new_folder,
    read_object,
    remove_halves,
    require_folder,
    require_place,
    write_atomically,
)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def write_half_and_raise(path: Path, error: BaseException) -> None:
    with atomic_path(path) as aside:
        aside.write_text("half")
        raise error


def write_half_of_a_folder(folder: Path, error: BaseException) -> None:
    with new_folder(folder) as aside:
        write_atomically(aside / "a.txt", "half")
        raise error


def test_text_and_bytes_are_written_whole_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", "Gr\u00fc\u00dfe\n")
    write_atomically(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "Gr\u00fc\u00dfe\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt", "b.bin"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x" / "y" / "a.txt", "1")
    assert (tmp_path / "x" / "y" / "a.txt").read_text() == "1"


def test_an_existing_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.txt", "1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_the_temporary_path_has_the_same_folder_and_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.png") as aside:
        assert aside.parent == tmp_path
        assert aside.suffix == ".png"
        assert not (tmp_path / "a.png").exists()
        aside.write_bytes(b"1")
    assert names(tmp_path) == ["a.png"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_an_error_in_the_block_leaves_the_old_file_and_no_rest(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)):
        write_half_and_raise(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EACCES, "permission"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "input/output"),
    ],
)
def test_an_os_error_while_writing_becomes_a_user_error(tmp_path: Path, number: int, word: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UserError, match=word) as caught:
        write_half_and_raise(path, OSError(number, os.strerror(number)))
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_at_the_last_step_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_may_not_be_made_is_told_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CannotWrite, match=r"Cannot write \S*/a\.txt: read-only file system") as caught:
        write_atomically(tmp_path / "a.txt", "new")
    assert ".writing" not in str(caught.value)
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1")
    with pytest.raises(UserError, match="a file, not a folder"):
        write_atomically(tmp_path / "file" / "a.txt", "1")
    with pytest.raises(UserError, match="not a directory"):
        write_atomically(tmp_path / "file" / "deeper" / "a.txt", "1")
    assert (tmp_path / "file").read_text() == "1"


def test_a_folder_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UserError, match=r"a\.txt: there is a folder"):
        write_atomically(tmp_path / "a.txt", "1")


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(UserError, match="not a plain file"):
        write_atomically(Path("/dev/null"), "1")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real" / "a.txt")
    write_atomically(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "new"
    assert names(tmp_path / "real") == ["a.txt"]


def test_an_error_about_some_other_file_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        (tmp_path / "other.txt").read_text()
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="permission"):
            write_atomically(tmp_path / "a.txt", "1")
    finally:
        tmp_path.chmod(0o700)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB; only root can make one."""
    library = ctypes.util.find_library("c")
    if library is None or os.name != "posix" or os.geteuid() != 0:
        pytest.skip("a file system can only be mounted by root on Linux")
    libc = ctypes.CDLL(library, use_errno=True)
    disk = tmp_path / "disk"
    disk.mkdir()
    if not hasattr(libc, "mount") or libc.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, b"size=64k") != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield disk
    finally:
        libc.umount2(bytes(disk), 2)


def test_a_really_full_disk_leaves_the_old_file_and_no_rest(tiny_disk: Path) -> None:
    path = tiny_disk / "a.bin"
    write_atomically(path, b"old" * 1000)
    with pytest.raises(UserError, match="no space left on device"):
        write_atomically(path, bytes(200_000))
    assert path.read_bytes() == b"old" * 1000
    assert names(tiny_disk) == ["a.bin"]


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (None, r"a\.json is missing\. Train again\."),
        (b"", r"a\.json is damaged \(line 1: Expecting value\)\. Train again\."),
        (b'{"a": {', r"a\.json is damaged \(line 1: .*Train again\."),
        (b"[1]", r"a\.json is damaged \(it holds a list, not an object\)\. Train again\."),
        (b'{"a": "\xff"}', r"a\.json is damaged \(not UTF-8 at byte 7\)\. Train again\."),
    ],
)
def test_an_object_that_is_gone_or_damaged_is_told_with_what_to_do(
    tmp_path: Path, held: bytes | None, said: str
) -> None:
    if held is not None:
        (tmp_path / "a.json").write_bytes(held)
    with pytest.raises(UserError, match=said):
        read_object(tmp_path / "a.json", advice="Train again.")


def test_an_object_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", '{"a": "Gr\u00fc\u00dfe", "b": [1, null]}')
    assert read_object(tmp_path / "a.json", advice="") == {"a": "Gr\u00fc\u00dfe", "b": [1, None]}


def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("precious")
    for path, said in (
        (tmp_path / "folder", "there is a folder of this name"),
        (tmp_path / "file" / "x" / "a.html", "not a directory"),
        (tmp_path / ("a" * 300), "too long"),
    ):
        with pytest.raises(UserError, match=f"Cannot write .*{said}"):
            require_place(path)
    require_place(tmp_path / "file")
    require_place(tmp_path / "new" / "deeper" / "a.html")
    assert names(tmp_path) == ["file", "folder"]


def test_a_new_folder_is_whole_or_not_there_and_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    write_atomically(tmp_path / "old" / "a.txt", "precious")
    for taken in (tmp_path / "old", tmp_path / "old" / "a.txt"):
        with pytest.raises(UserError, match=r"exists already .* Nothing is overwritten"), new_folder(taken):
            raise AssertionError("the block must not run")
    for error in (ValueError("ours"), OSError(errno.ENOSPC, "No space left on device")):
        with pytest.raises((ValueError, UserError)):
            write_half_of_a_folder(tmp_path / "new", error)
        assert names(tmp_path) == ["old"]
    with new_folder(tmp_path / "new") as aside:
        write_atomically(aside / "a.txt", "whole")
    assert names(tmp_path / "new") == ["a.txt"] and names(tmp_path) == ["new", "old"]


def test_what_cannot_be_written_in_a_new_folder_is_told_by_the_name_it_would_have_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match=f"Cannot write {tmp_path}/new/a.txt: no space left"):
        write_half_of_a_folder(tmp_path / "new", AssertionError("the file must fail first"))
    with pytest.raises(CannotWrite, match=f"Cannot write {tmp_path}/elsewhere.txt"), new_folder(tmp_path / "new"):
        write_atomically(tmp_path / "elsewhere.txt", "half")
    assert names(tmp_path) == []


def test_what_another_process_put_there_meanwhile_stays(tmp_path: Path) -> None:
    def make() -> None:
        with new_folder(tmp_path / "new") as aside:
            write_atomically(aside / "a.txt", "ours")
            write_atomically(tmp_path / "new" / "a.txt", "theirs")

    with pytest.raises(CannotWrite, match=f"{tmp_path}/new: .*put there meanwhile"):
        make()
    assert names(tmp_path) == ["new"]
    assert (tmp_path / "new" / "a.txt").read_text() == "theirs"


def test_a_picture_that_cannot_be_read_is_no_fault_of_the_new_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"), new_folder(tmp_path / "new"):
        (tmp_path / "gone.jpg").read_bytes()
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("precious")
    for path, said in (
        (tmp_path / "file", "a file, not a folder|not a directory"),
        (tmp_path / "file" / "x", "not a directory"),
        (tmp_path / ("a" * 300), "too long"),
    ):
        with pytest.raises(CannotWrite, match=f"Cannot write .*({said})"):
            require_folder(path)
    require_folder(tmp_path)
    require_folder(tmp_path / "new" / "deeper")
    assert names(tmp_path) == ["file"]
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(CannotWrite, match="permission denied"), new_folder(tmp_path / "new"):
        raise AssertionError("the block must not run")


def test_a_name_that_is_no_text_is_told_and_leaves_the_old_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.csv", "old")
    with pytest.raises(UserError, match=r"a\.csv: what ends with 'x\\udcff' is no UTF-8 text.*rename that file"):
        write_atomically(tmp_path / "a.csv", "file\nx\udcff.jpg,1\n")
    assert (tmp_path / "a.csv").read_text() == "old"
    assert encoded("\u00fc", path=tmp_path) == b"\xc3\xbc"


def test_what_a_kill_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".writing-0a1b.json").write_text("half")
    (tmp_path / ".writing-2c3d").mkdir()
    (tmp_path / ".writing-2c3d" / "a.txt").write_text("half")
    (tmp_path / "a.json").write_text("whole")
    remove_halves(tmp_path)
    assert names(tmp_path) == ["a.json"]
    remove_halves(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "taken", "ending", "free"),
    [
        ("a.jpg", [], ".jpg", "a.jpg"),
        ("a.jpg", ["a.jpg"], ".jpg", "a-2.jpg"),
        ("in/a.b.jpg", ["in/a.b.jpg", "in/a.b-2.jpg", "in/a.b-4.jpg"], ".jpg", "in/a.b-3.jpg"),
        ("clip.1", ["clip.1"], "", "clip.1-2"),
        (".jpg", [".jpg"], "", ".jpg-2"),
    ],
)
def test_a_taken_name_gets_the_first_free_number_behind_it(name: str, taken: list[str], ending: str, free: str) -> None:
    assert free_name(name, is_taken=taken.__contains__, ending=ending) == free
