"""Which process leads, and how they agree; without starting any."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.codecs.coords import CoordsCodecConfig
from sightline.errors import UserError
from sightline.evaluate.run import _put_together
from sightline.infer import Inferred
from sightline.loader import EpochSampler, shared_batches, worker_count
from sightline.pipeline import is_restart
from sightline.processes import ALONE, Group, Place, loss_told, place, require_torchrun
from sightline.records import FoundPoints
from sightline.train import train

TORCHRUN = {"TORCHELASTIC_RUN_ID": "job7", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}


# ---- torchrun's environment


def test_torchrun_tells_the_place() -> None:
    found = place(TORCHRUN)
    assert found == Place(rank=5, world=8, local_rank=1, local_world=2, launch="job7")
    assert found.machines == 4
    assert not Group(Place()).place.rank and Group(Place()).leads


def test_without_torchrun_a_process_is_alone() -> None:
    assert place({"RANK": "3", "WORLD_SIZE": "abc"}) == Place()  # left by something else
    assert place({}).launch is None


def test_a_torchrun_without_a_name_is_named_by_its_process() -> None:
    one, two = (place({**TORCHRUN, "TORCHELASTIC_RUN_ID": name}).launch for name in ("none", ""))
    assert one == two and one is not None and ":" in one


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"RANK": "one"}, "RANK='one' is not a whole number"),
        ({"RANK": "-1"}, "RANK='-1' is not a whole number"),
        ({"WORLD_SIZE": ""}, "WORLD_SIZE='' is not a whole number"),
        ({"RANK": "8"}, "RANK=8 of WORLD_SIZE=8"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "cannot be"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK=2 of LOCAL_WORLD_SIZE=2"),
        ({"LOCAL_WORLD_SIZE": "16", "LOCAL_RANK": "1"}, "cannot be"),
        ({"WORLD_SIZE": "9"}, "the same --nproc-per-node on every machine"),
    ],
)
def test_an_environment_that_cannot_be_is_told(change: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        place({**TORCHRUN, **change})


def test_a_missing_rank_is_told() -> None:
    with pytest.raises(UserError, match="RANK=''"):
        place({"TORCHELASTIC_RUN_ID": "x"})


@pytest.mark.parametrize(
    "environment",
    [
        {"WORLD_SIZE": "4", "RANK": "1"},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "3"},
        {"OMPI_COMM_WORLD_SIZE": "2"},
        {"PMI_SIZE": "2"},
    ],
)
def test_several_processes_without_torchrun_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UserError, match="not by torchrun"):
        require_torchrun(environment)
    require_torchrun({**environment, "TORCHELASTIC_RUN_ID": "x"})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "1"},
        {"SLURM_NTASKS": "8"},  # inside sbatch's script, before srun
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "interactive"},
    ],
)
def test_one_process_needs_no_torchrun(environment: dict[str, str]) -> None:
    require_torchrun(environment)


def test_a_wrong_rank_is_one_paragraph_on_the_command_line(
    cli: Callable, monkeypatch: pytest.MonkeyPatch, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    for name, value in {**TORCHRUN, "RANK": "x"}.items():
        monkeypatch.setenv(name, value)
    ran = cli("train", recipe_file, "--data", faces, "--out", tmp_path / "run")
    assert ran.code == 2
    assert "RANK='x' is not a whole number" in ran.err


def test_several_processes_need_a_folder(
    cli: Callable, monkeypatch: pytest.MonkeyPatch, recipe_file: Path, faces: Path
) -> None:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    ran = cli("train", recipe_file, "--data", faces)
    assert (ran.code, ran.out) == (2, "")
    assert "process 5: Several processes need --out RUN" in ran.err
    ran = cli("train", recipe_file, "--data", faces, "--out", "x", "--folds", 3)
    assert "--folds trains run after run" in ran.err


# ---- agreement


def test_alone_everything_is_free() -> None:
    assert ALONE.from_leader(lambda: 7) == 7
    assert ALONE.to_leader("a") == ["a"]
    assert ALONE.shares() == ((0, 1),)
    ALONE.require_same([1], what="x")
    ALONE.wait()


class Threads(Group):
    """Processes played by threads: barriers are real, and nothing is sent."""

    def __init__(self, place: Place, barrier: threading.Barrier) -> None:
        super().__init__(Place())
        self.place, self.barrier = place, barrier

    def wait(self) -> None:
        self.barrier.wait(60)


def test_work_on_disk_is_divided_over_all_and_then_over_each_machine() -> None:
    places = [Place(rank=rank, world=6, local_rank=rank % 2, local_world=2) for rank in range(6)]
    shares = [Threads(each, threading.Barrier(1)).shares() for each in places]
    work = list(range(11))
    shared_disk = [item for (rank, world), _ in shares for item in work[rank::world]]
    assert sorted(shared_disk) == work  # once in all
    for machine in range(3):  # machines with disks of their own: all of it on each, after the second round
        both = shares[2 * machine : 2 * machine + 2]
        assert sorted(item for _, (rank, world) in both for item in work[rank::world]) == work


def test_a_lost_process_is_told_and_other_errors_pass() -> None:
    two = Place(rank=1, world=2, local_world=2)
    gone = "[../third_party/gloo/gloo/transport/tcp/pair.cc:538] Connection closed by peer [127.0.0.1]:1"
    with pytest.raises(UserError, match="Process 1 of 2 has lost another one"), loss_told(two):
        raise RuntimeError(gone)
    for error in (RuntimeError("sizes of tensors must match"), UserError("gloo"), KeyError("gloo")):
        with pytest.raises(type(error)) as caught, loss_told(two):
            raise error
        assert caught.value is error
    with pytest.raises(RuntimeError, match="gloo"), loss_told(Place()):
        raise RuntimeError(gone)


def test_only_the_same_torchrun_goes_on_by_itself(trained: Path, tmp_path: Path) -> None:
    group = Group(Place(launch="job7"))
    assert not is_restart(None, group)
    assert not is_restart(tmp_path, group)
    assert not is_restart(trained, group)  # begun without torchrun
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text((trained / "config.yaml").read_text())
    (run / "run.json").write_text('{"processes": {"launch": "job7"}}')
    assert not is_restart(run, group)  # killed before its first step: nothing to go on with
    (run / "metrics.jsonl").write_text("")
    assert is_restart(run, group)
    assert not is_restart(run, Group(Place(launch="job8")))
    assert not is_restart(run, ALONE)


# ---- shares of a batch and of the validation


@given(count=st.integers(0, 60), batch=st.integers(1, 20), world=st.integers(1, 9))
def test_shared_batches_hold_every_picture_once_and_evenly(count: int, batch: int, world: int) -> None:
    shares = [shared_batches(count, batch=batch, rank=rank, world=world) for rank in range(world)]
    assert sorted(index for share in shares for part in share for index in part) == list(range(count))
    sizes = [sum(map(len, share)) for share in shares]
    assert max(sizes) - min(sizes) <= max(1, min(batch, -(-count // world)))
    assert all(0 < len(part) <= batch for share in shares for part in share)


def test_what_processes_found_comes_together_in_the_order_of_the_records() -> None:
    records = [None] * 11
    found = [FoundPoints(points_xy=np.full((1, 2), float(i)), scores=np.ones(1)) for i in range(11)]
    parts = []
    for rank in range(3):
        own = [index for part in shared_batches(11, batch=2, rank=rank, world=3) for index in part]
        parts.append(Inferred(found=[found[i] for i in own], loss=float(rank), weight=float(len(own))))
    whole = _put_together(parts, records, batch=2)
    assert [int(each.points_xy[0, 0]) for each in whole.found] == list(range(11))
    assert whole.loss == pytest.approx(sum(part.loss * part.weight for part in parts) / 11)
    assert whole.weight == 11
    nothing = Inferred(found=[], loss=0.0)
    assert _put_together([nothing, nothing], [], batch=2).loss == 0.0


def test_one_core_each_leaves_none_for_loader_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.loader.usable_cores", lambda: 2)
    assert (worker_count("auto"), worker_count("auto", sharing=2), worker_count(3, sharing=2)) == (1, 0, 3)
    monkeypatch.setattr("sightline.loader.usable_cores", lambda: 64)
    assert (worker_count("auto"), worker_count("auto", sharing=8)) == (8, 4)


@given(count=st.integers(1, 50), world=st.integers(1, 4), share=st.integers(1, 5))
def test_processes_divide_every_batch_without_rest(count: int, world: int, share: int) -> None:
    if count < world:
        return
    samplers = [EpochSampler(count=count, batch=world * share, seed=3, rank=r, world=world) for r in range(world)]
    alone = EpochSampler(count=count - (count % world if count < world * share else 0), batch=world * share, seed=3)
    assert {sampler.steps for sampler in samplers} == {alone.steps}
    for batches in zip(*samplers, strict=True):
        assert len({len(batch) for batch in batches}) == 1


@pytest.mark.parametrize(("world", "said"), [(3, "choose a multiple of 3"), (14, "choose a multiple of 14")])
def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_built(
    train_tiny: Callable, tmp_path: Path, world: int, said: str
) -> None:
    prepared = train_tiny.prepare()
    group = Threads(Place(world=world, local_world=world), threading.Barrier(1))
    with pytest.raises(UserError, match=said):
        train(prepared.experiment, prepared.split, tmp_path, group=group)
    prepared = train_tiny.prepare(sets=[f"train.batch={2 * world}"], keep=2)
    with pytest.raises(UserError, match="2 training records are too few"):
        train(prepared.experiment, prepared.split, tmp_path, group=group)


def test_the_mean_loss_does_not_depend_on_how_pictures_are_batched(train_tiny: Callable) -> None:
    from sightline.infer import infer
    from sightline.loader import Pictures, PlainSamples, plain_loader
    from sightline.model import build
    from sightline.transforms import Framing

    # Points that the crop cuts off are not visible: batches differ in how many they have.
    prepared = train_tiny.prepare(sets=["evaluate.jitter=0.9"])
    experiment, records = prepared.experiment, prepared.split.train
    torch.manual_seed(0)
    model, codec = build(experiment)
    assert isinstance(experiment.codec, CoordsCodecConfig)
    samples = PlainSamples(
        Pictures(records, experiment.data), framing=Framing.of(experiment), evaluate=experiment.evaluate
    )
    sizes = [record.size_hw or (0, 0) for record in records]
    found = [
        infer(model, codec, plain_loader(samples, batch=batch, workers=0), sizes_hw=sizes, device="cpu")
        for batch in (1, 5, len(records))
    ]
    assert found[0].weight < len(records) * 68
    assert [each.loss for each in found] == pytest.approx([found[-1].loss] * 3, rel=1e-5)


def test_a_process_keeps_the_pictures_it_asks_for_and_its_share_of_the_memory(train_tiny: Callable) -> None:
    from sightline.loader import Pictures

    prepared = train_tiny.prepare()
    records = prepared.split.train
    data = prepared.experiment.data.model_copy(update={"cache_mb": 1})
    whole, some = Pictures(records, data), Pictures(records, data, only=[0, 3])
    assert (len(whole.kept), len(some.kept)) == (len(records), 2)
    np.testing.assert_array_equal(some[1], whole[1])  # another one is decoded when it is asked for after all
    assert sum(picture.nbytes for picture in whole.kept.values()) * 100 > 2**20
    assert not Pictures(records, data, sharing=100).kept
