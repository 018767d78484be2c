"""Shards that lie elsewhere: fetched once an epoch, checked, bounded; and training from shards as from files."""

from __future__ import annotations

import functools
import http.server
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sightline import shard_cache
from sightline import train as loop
from sightline.config import AugmentConfig, DataConfig
from sightline.drawn.faces import write_drawn_faces
from sightline.errors import UserError
from sightline.loader import EpochSampler, Pictures, Position, TrainingSamples, training_loader
from sightline.members import member_of, read_file
from sightline.prepare import load_data
from sightline.readers import read_dataset
from sightline.records import Dataset
from sightline.shard_cache import Remote, write_remote
from sightline.shard_order import ShardWindows, fitting_window
from sightline.shards.remote import stand_for
from sightline.shards.write import write_shards
from sightline.transforms import Framing
from sightline.types import Batch


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of noise with the labels of drawn faces, 1.8 MB in 8 shards. Read only."""
    folder = tmp_path_factory.mktemp("bucket")
    data = load_data(write_drawn_faces(folder / "faces", count=24, seed=3, size=160), skip_broken=False)
    rng = np.random.default_rng(0)
    for record in data.records:
        _, png = cv2.imencode(".png", rng.integers(0, 256, (160, 160, 3), dtype=np.uint8))
        record.path.write_bytes(png.tobytes())  # does not become smaller
    made = write_shards(data, folder / "shards", shard_mb=0.25)
    assert len(made.shards) == 8 and sum(shard.bytes for shard in made.shards) > 1.5 * 2**20
    return folder / "shards"


@pytest.fixture
def here(bucket: Path, tmp_path: Path) -> Path:
    """A folder that stands for the bucket, with room for a part of it."""
    stand_for(f"file://{bucket}", tmp_path / "here", cache_mb=1)
    return tmp_path / "here"


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that were fetched."""
    names: list[str] = []
    fetch = shard_cache._download

    def noted(remote: Remote, shard: Path, known: shard_cache.ShardFile) -> None:
        names.append(shard.name)
        fetch(remote, shard, known)

    monkeypatch.setattr(shard_cache, "_download", noted)
    return names


def test_a_folder_stands_for_shards_and_reads_the_same(here: Path, bucket: Path, fetched: list[str]) -> None:
    there, found = load_data(bucket, skip_broken=False), load_data(here, skip_broken=False)
    assert not fetched and not list(here.glob("*.tar"))  # labels alone
    assert found.fingerprint() == there.fingerprint()
    for one, other in zip(found.records, there.records, strict=True):
        assert read_file(one.path) == read_file(other.path)
        assert sum(tar.stat().st_size for tar in here.glob("*.tar")) <= 2**20
    assert fetched == [tar.name for tar in sorted(bucket.glob("*.tar"))]  # each once, in order


def epoch_of(data: Dataset, *, window: int, epoch: int = 1, step: int = 0, mosaic: float = 0.0) -> Iterator[Batch]:
    config = DataConfig(input_hw=(32, 32), crop="points", cache_mb=0, shard_window=window)
    samples = TrainingSamples(
        Pictures(data.records, config),
        framing=Framing(data=config, skeleton=data.skeleton),
        augment=AugmentConfig(rotate_deg=20, flip=0.5, mosaic=mosaic),
        seed=3,
        epochs=4,
    )
    sampler = EpochSampler(count=len(data), batch=4, seed=3, windows=ShardWindows.of(data.records, window))
    sampler.position = Position(epoch=epoch, step=step)
    return iter(training_loader(samples, sampler, workers=0))


def test_an_epoch_fetches_each_shard_once_and_sees_what_shards_on_the_disk_give(
    here: Path, bucket: Path, fetched: list[str]
) -> None:
    from_here = list(epoch_of(load_data(here, skip_broken=False), window=1))
    assert sorted(fetched) == sorted(set(fetched)) and len(fetched) == len(list(bucket.glob("*.tar")))
    on_disk = list(epoch_of(load_data(bucket, skip_broken=False), window=1))
    assert len(from_here) == len(on_disk) == 6
    assert all(torch.equal(a.images, b.images) for a, b in zip(from_here, on_disk, strict=True))
    rest = list(epoch_of(load_data(here, skip_broken=False), window=1, step=2))
    assert all(torch.equal(a.images, b.images) for a, b in zip(from_here[2:], rest, strict=True))


def numbers(data: Dataset) -> np.ndarray:
    return np.array([int(member.shard.stem[-5:]) for r in data.records if (member := member_of(r.path))])


@pytest.mark.parametrize("window", [1, 2, 3, 99])
def test_an_order_takes_windows_of_shards_one_after_the_other(bucket: Path, window: int) -> None:
    data = load_data(bucket, skip_broken=False)
    shard = numbers(data)
    windows = ShardWindows.of(data.records, window)
    assert windows is not None
    orders = [windows.order(np.random.default_rng([7, epoch])) for epoch in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(len(data)))
        met = shard[order]
        spans = [np.flatnonzero(met == number) for number in range(shard.max() + 1)]
        begins = sorted((int(span.min()), int(span.max())) for span in spans)
        # At any place no more shards are open than the window has.
        open_at = [sum(first <= place <= last for first, last in begins) for place in range(len(order))]
        assert max(open_at) <= window
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert np.array_equal(orders[1], windows.order(np.random.default_rng([7, 1])))


def test_a_mosaic_takes_its_parts_from_one_shard(bucket: Path) -> None:
    data = load_data(bucket, skip_broken=False)
    windows, shard = ShardWindows.of(data.records, 2), numbers(data)
    assert windows is not None
    assert all(set(shard[windows.near(index)]) == {shard[index]} for index in range(len(data)))


def test_a_window_is_for_shards(faces: Path, here: Path, bucket: Path) -> None:
    with pytest.raises(UserError, match="is for shards"):
        fitting_window(2, load_data(faces, skip_broken=False).records)
    assert fitting_window(None, load_data(bucket, skip_broken=False).records) == (None, "")
    records = load_data(here, skip_broken=False).records
    with pytest.raises(UserError, match=r"data.shard_window"):
        fitting_window(None, records)  # two windows of 8 are more than 1 MB
    assert fitting_window(1, records) == (1, "")


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        first, second = (load_file(out / f"{name}.safetensors") for out in (one, other))
        assert [key for key in first if not torch.equal(first[key], second[key])] == []


def test_training_from_shards_ends_with_the_bits_of_training_from_files(
    train_tiny: Any, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    write_shards(load_data(faces, skip_broken=False), tmp_path / "shards", shard_mb=0.03)
    train_tiny(tmp_path / "files_run")
    type(train_tiny)(recipe_file, tmp_path / "shards")(tmp_path / "shards_run")
    assert_same_run(tmp_path / "files_run", tmp_path / "shards_run")


def test_a_killed_run_on_fetched_shards_goes_on_to_the_same_bits(
    train_tiny: Any, recipe_file: Path, here: Path, bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the killed process is forked
    train = type(train_tiny)(recipe_file, here)
    sets = ["data.shard_window=1", "data.cache_mb=0", "train.save_minutes=0"]

    def until_killed() -> None:
        steps = iter(range(8))
        train(
            tmp_path / "run", sets=sets, watchers=[lambda _: next(steps) == 6 and os.kill(os.getpid(), signal.SIGKILL)]
        )

    process = multiprocessing.get_context("fork").Process(target=until_killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    train(tmp_path / "run", sets=sets, resume=True)
    type(train_tiny)(recipe_file, bucket)(tmp_path / "whole", sets=sets)  # never killed, never fetched
    torch.set_num_threads(threads)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def fetch_in_a_process(path: Path, sizes: Any) -> None:
    sizes.put(len(read_file(path)))


def test_processes_that_want_one_shard_fetch_it_once(here: Path) -> None:
    record = load_data(here, skip_broken=False).records[0]
    context = multiprocessing.get_context("fork")
    sizes = context.Queue()
    processes = [context.Process(target=fetch_in_a_process, args=(record.path, sizes)) for _ in range(4)]
    for process in processes:
        process.start()
    member = member_of(record.path)
    assert member is not None and [sizes.get(timeout=30) for _ in processes] == [member.size] * 4
    for process in processes:
        process.join(30)
    assert [tar.name for tar in here.glob("*.tar")] == ["part-00000.tar"] and not list(here.glob(".writing*"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset fetches http by curl")
def test_shards_come_from_a_web_server(bucket: Path, tmp_path: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(bucket)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        stand_for(url, tmp_path / "here", cache_mb=1)
        record = read_dataset(tmp_path / "here").records[-1]
        there = read_dataset(bucket).records[-1]
        assert read_file(record.path) == read_file(there.path)
        with pytest.raises(UserError, match="cannot be fetched"):
            stand_for(f"{url}/nothing", tmp_path / "nothing", cache_mb=1)
    finally:
        server.shutdown()
        server.server_close()


def test_shards_come_from_a_bucket_by_the_program_that_knows_it(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "aws"
    program.write_text(
        f'#!/bin/sh\ntest "$1 $2 $3 $5" = "s3 cp --only-show-errors -" && cat "{bucket}/${{4#s3://mine/}}"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    stand_for("s3://mine", tmp_path / "here", cache_mb=1)
    record, there = (read_dataset(folder).records[5] for folder in (tmp_path / "here", bucket))
    assert read_file(record.path) == read_file(there.path)
    with pytest.raises(UserError, match=r"s3://mine/nothing/index.json cannot be fetched"):
        stand_for("s3://mine/nothing", tmp_path / "nothing", cache_mb=1)


def test_a_shard_that_is_not_the_one_of_the_index_is_not_used(bucket: Path, tmp_path: Path) -> None:
    shutil.copytree(bucket, tmp_path / "bucket")
    stand_for(f"file://{tmp_path}/bucket", tmp_path / "here", cache_mb=1)
    tar = tmp_path / "bucket" / "part-00000.tar"
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    record = load_data(tmp_path / "here", skip_broken=False).records[0]
    with pytest.raises(UserError, match="not the file that the index means"):
        read_file(record.path)
    assert not list((tmp_path / "here").glob("*.tar"))
    tar.unlink()
    with pytest.raises(UserError, match="cannot be fetched"):
        read_file(record.path)


@pytest.mark.parametrize(
    "url", ["pipe:touch /tmp/x", "pipe://touch /tmp/x", "shards", "ftp://there/x", "http://", "s3://a b"]
)
def test_addresses_of_other_kinds_are_refused_also_where_they_come_with_the_data(
    url: str, here: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="Expected an address"):
        stand_for(url, tmp_path / "new", cache_mb=1)
    write_remote(here, Remote(url=url, cache_mb=1))
    record = read_dataset(here).records[0]
    with pytest.raises(UserError, match="Expected an address"):
        read_file(record.path)


def test_what_does_not_fit_is_told_before_anything_is_fetched(bucket: Path, here: Path, tmp_path: Path) -> None:
    write_shards(load_data(bucket, skip_broken=False), tmp_path / "large", shard_mb=100)
    with pytest.raises(UserError, match="largest shard"):
        stand_for(f"file://{tmp_path}/large", tmp_path / "new", cache_mb=1)
    with pytest.raises(UserError, match="MB free"):
        stand_for(f"file://{bucket}", tmp_path / "new", cache_mb=2**40)
    with pytest.raises(UserError, match="stands for no shards"):
        stand_for(f"file://{bucket}", bucket, cache_mb=1)
    assert not (tmp_path / "new").exists()


def test_a_half_written_shard_of_a_killed_process_is_cleared_away(here: Path) -> None:
    (here / ".writing-abc.tar").write_bytes(b"half")
    read_file(read_dataset(here).records[0].path)
    assert not list(here.glob(".writing*"))


def test_the_command_makes_such_a_folder_and_training_says_what_it_decides(
    cli: Callable[..., Any], bucket: Path, tmp_path: Path, recipe_file: Path
) -> None:
    made = cli("remote", f"file://{bucket}", tmp_path / "here", "--cache-mb", 4)
    assert made.code == 0 and "24 records" in made.out and "at most 4 MB" in made.out
    out = tmp_path / "runs" / "one"
    sets = ["--set", "train.epochs=1", "--set", "data.cache_mb=0"]
    done = cli("train", recipe_file, "--data", tmp_path / "here", "--out", out, *sets)
    assert done.code == 0, done.err
    assert "data.shard_window became 8" in done.out
    assert "shard_window: 8" in (out / "config.yaml").read_text()
    assert json.loads((out / "evaluation" / "metrics.json").read_text())
