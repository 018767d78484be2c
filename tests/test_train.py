"""The loop learns, repeats itself, keeps still what is frozen, and stops when it must."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sightline import devices
from sightline import train as loop
from sightline.checkpoint import RunFolder
from sightline.codecs import CODECS
from sightline.errors import UserError
from sightline.heads import HEADS
from sightline.pipeline import load_run
from sightline.train import Event, Outcome

GOLDEN = Path(__file__).parent / "golden"
TrainTiny = Callable[..., Outcome]
STILL = ["augment.rotate_deg=0", "augment.scale_min=1", "augment.scale_max=1", "augment.flip=0", "augment.noise_std=0",
         "augment.brightness=0"]  # fmt: skip
# Each cell of its 8 x 8 map sees most of the picture.
SEES_ALL = "[" + ", ".join(
    f"{{channels: {c}, kernel: {k}, stride: {s}, padding: {k // 2}, norm: true}}"
    for c, k, s in ((16, 3, 2), (32, 3, 2), (32, 5, 1), (32, 5, 1))
) + "]"  # fmt: skip


@pytest.fixture(autouse=True)
def every_step_is_told_and_the_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Told:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: str, key: str) -> list[float]:
        return [event.values[key] for event in self.events if event.kind == kind]


def pieces(codec: str) -> list[str]:
    """A head that the codec can take."""
    head = next(name for name, head in HEADS.items() if head.emits is CODECS[codec].takes)
    return [f"codec={codec}", f"head={head}"]


def losses(train: TrainTiny, out: Path, *, sets: Sequence[str] = (), **more: object) -> list[float]:
    told = Told()
    train(out, sets=sets, watchers=[told], **more)
    return told.of("train", "loss")


def weights(out: Path, name: str = "last") -> dict[str, torch.Tensor]:
    found = load_file(out / f"{name}.safetensors")
    return {k.removeprefix("model."): v for k, v in found.items() if name == "best" or k.startswith("model.")}


# ---- learning


@pytest.mark.parametrize("codec", [key for key in CODECS if CODECS[key].finds == "points"])
def test_eight_pictures_are_learnt_by_heart(train_tiny: TrainTiny, tmp_path: Path, codec: str) -> None:
    told = Told()
    sets = [*STILL, "train.batch=4", "train.epochs=25", "train.validate_every=25", "train.lr=0.01"]
    sets += ["evaluate.jitter=0", "train.schedule=one-cycle", "train.weight_decay=0", f"backbone.layers={SEES_ALL}"]
    train_tiny(tmp_path, sets=sets, use=pieces(codec), keep=8, watchers=[told])
    loss = told.of("train", "loss")
    assert len(loss) == 50
    assert np.isfinite(loss).all()
    # Divergences from a Gaussian have a floor well above zero, so the pixels count too. One map for all points can
    # only tell where any point lies.
    assert np.mean(loss[-5:]) < 0.85 * loss[0]
    assert told.of("val", "mean_error_px")[-1] < (25 if codec == "summed-heatmap" else 5)


@pytest.mark.parametrize("codec", ["coords", "integral"])
def test_the_first_losses_are_the_recorded_ones(train_tiny: TrainTiny, tmp_path: Path, codec: str) -> None:
    found = losses(train_tiny, tmp_path, use=pieces(codec))
    path = GOLDEN / f"{codec}.json"
    if not path.exists():
        path.write_text(json.dumps(found, indent=1) + "\n")
        pytest.fail(f"{path} was not there and has been written: look at it and keep it")
    # Processors add up in different orders; on one machine the numbers are equal.
    assert found == pytest.approx(json.loads(path.read_text()), rel=1e-4)


def test_one_seed_gives_one_result_and_another_another(train_tiny: TrainTiny, tmp_path: Path) -> None:
    one, same = losses(train_tiny, tmp_path / "a"), losses(train_tiny, tmp_path / "b")
    assert one == same
    assert one != losses(train_tiny, tmp_path / "c", sets=["train.seed=1"])
    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_workers_change_no_number(train_tiny: TrainTiny, tmp_path: Path) -> None:
    assert losses(train_tiny, tmp_path / "a") == losses(train_tiny, tmp_path / "b", sets=["data.workers=1"])


def test_a_batch_in_parts_gives_the_gradient_of_the_whole(train_tiny: TrainTiny, tmp_path: Path) -> None:
    whole = losses(train_tiny, tmp_path / "a", sets=["augment.scale_max=1.8"])  # points leave: unequal counts
    for parts in (2, 3, 9):
        sets = ["augment.scale_max=1.8", f"train.accumulate={parts}"]
        assert losses(train_tiny, tmp_path / str(parts), sets=sets) == pytest.approx(whole, rel=1e-4)


def test_accumulating_in_one_process_says_nothing(
    train_tiny: TrainTiny, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    train_tiny(tmp_path, sets=["train.accumulate=2"])
    assert not [str(w.message) for w in recwarn if "sync" in str(w.message).lower()]


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("clip", ["null", "0.5"])
def test_every_optimiser_takes_steps(train_tiny: TrainTiny, tmp_path: Path, optimizer: str, clip: str) -> None:
    found = losses(train_tiny, tmp_path, sets=[f"train.optimizer={optimizer}", f"train.clip_norm={clip}"])
    assert len(set(found)) == len(found) == 6


def test_rates_follow_the_schedule(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    sets = ["train.schedule=step", "train.step_epochs=1", "train.step_factor=0.5", "train.epochs=3"]
    train_tiny(tmp_path, sets=sets, watchers=[told])
    assert told.of("train", "lr") == pytest.approx([0.003] * 3 + [0.0015] * 3 + [0.00075] * 3)


# ---- frozen


def test_a_frozen_backbone_keeps_every_bit_buffers_included(train_tiny: TrainTiny, tmp_path: Path) -> None:
    normed = "backbone.layers=[{channels: 8, stride: 4, padding: 1, norm: true}]"
    train_tiny(tmp_path / "one", sets=[normed, "backbone.frozen=all", "train.epochs=1"])
    train_tiny(tmp_path / "three", sets=[normed, "backbone.frozen=all", "train.epochs=3"])
    one, three = weights(tmp_path / "one"), weights(tmp_path / "three")
    frozen = [key for key in one if key.startswith("backbone.")]
    assert any("running_mean" in key for key in frozen)
    assert all(torch.equal(one[key], three[key]) for key in frozen)
    assert (one["backbone.chain.1.running_mean"] == 0).all()
    assert not any(torch.equal(one[key], three[key]) for key in one.keys() - set(frozen))


def test_frozen_normalisation_keeps_its_statistics_while_filters_learn(train_tiny: TrainTiny, tmp_path: Path) -> None:
    normed = "backbone.layers=[{channels: 8, stride: 4, padding: 1, norm: true}]"
    train_tiny(tmp_path, sets=[normed, "backbone.frozen=norm"])
    found = weights(tmp_path)
    assert (found["backbone.chain.1.running_mean"] == 0).all()
    assert (found["backbone.chain.1.num_batches_tracked"] == 0).all()
    assert (found["backbone.chain.1.weight"] == 1).all()
    train_tiny(tmp_path, sets=[normed, "backbone.frozen=norm", "train.epochs=3"])
    assert not torch.equal(found["backbone.chain.0.weight"], weights(tmp_path)["backbone.chain.0.weight"])


# ---- averages, patience, best


def test_averaged_weights_are_the_ones_kept_as_best(train_tiny: TrainTiny, tmp_path: Path) -> None:
    train_tiny(tmp_path, sets=["train.ema=0.9", "train.lr=0.02", "train.schedule=constant", "train.epochs=3"])
    state = load_file(tmp_path / "last.safetensors")
    best = weights(tmp_path, "best")
    outcome_best = weights(tmp_path)
    assert all(not torch.equal(state[f"averaged.{key}"], outcome_best[key]) for key in best)
    # The last epoch's average is the best one unless it was overtaken; either way best is no raw weight.
    assert all(not torch.equal(best[key], outcome_best[key]) for key in best)


def test_training_goes_on_from_its_own_weights_not_from_the_average(train_tiny: TrainTiny, tmp_path: Path) -> None:
    with_average = losses(train_tiny, tmp_path / "a", sets=["train.ema=0.9"])
    assert with_average == losses(train_tiny, tmp_path / "b")


def test_patience_stops_after_so_many_validations_without_a_better_one(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    sets = ["train.patience=2", "train.epochs=30", "train.lr=1e-12", "train.schedule=constant"]
    outcome = train_tiny(tmp_path, sets=sets, watchers=[told])
    scores = told.of("val", "nme_interocular")
    best = int(np.argmin(scores))
    assert outcome.stopped_early
    assert not outcome.interrupted
    assert len(scores) == best + 3 < 30
    assert outcome.progress.best is not None
    assert outcome.progress.best["epoch"] == best + 1


def test_the_best_weights_are_those_of_the_best_validation(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    outcome = train_tiny(tmp_path, sets=["train.epochs=6", "train.lr=0.05"], watchers=[told])
    scores = told.of("val", "nme_interocular")
    assert outcome.progress.best is not None
    assert outcome.progress.best["value"] == min(scores)
    assert not outcome.stopped_early


def test_validation_can_be_rare_but_the_last_epoch_has_one(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    train_tiny(tmp_path, sets=["train.epochs=5", "train.validate_every=2"], watchers=[told])
    assert told.of("val", "epoch") == [2, 4, 5]


# ---- starts and ends


def test_a_regression_starts_at_the_mean_shape(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    sets = ["head.start_at=mean-shape", "train.lr=1e-12", "train.epochs=1"]
    train_tiny(tmp_path, sets=sets, watchers=[told])
    centre = Told()
    train_tiny(tmp_path / "c", sets=["head.start_at=centre", *sets[1:]], watchers=[centre])
    assert told.of("val", "mean_error_px")[0] < 0.6 * centre.of("val", "mean_error_px")[0]


def test_new_layers_can_start_from_kaimings_draw(train_tiny: TrainTiny, tmp_path: Path) -> None:
    assert losses(train_tiny, tmp_path / "a") != losses(train_tiny, tmp_path / "b", sets=["train.init=kaiming"])


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_is_not_finite_stops_names_the_files_and_leaves_the_checkpoint(
    train_tiny: TrainTiny, tmp_path: Path
) -> None:
    sets = ["train.optimizer=sgd", "train.lr=1e30", "train.schedule=constant", "train.save_minutes=0"]
    with pytest.raises(UserError, match=r"loss became (nan|inf).*epoch 1.*pictures/000\d\d.jpg.*train.lr") as caught:
        train_tiny(tmp_path, sets=sets)
    assert "last.safetensors" in str(caught.value)
    assert weights(tmp_path)


def test_bf16_on_a_processor_without_it_is_refused_before_anything_is_written(
    train_tiny: TrainTiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "cpu_flags", lambda: frozenset({"avx2"}))
    with pytest.raises(UserError, match="no bf16 instructions"):
        train_tiny(tmp_path, sets=["train.precision=bf16"])
    assert not (tmp_path / "last.safetensors").exists()


@pytest.mark.skipif(not devices.cpu_flags() & devices.BF16_FLAGS, reason="this processor has no bf16")
def test_bf16_trains_where_the_processor_has_it(train_tiny: TrainTiny, tmp_path: Path) -> None:
    half = losses(train_tiny, tmp_path / "half", sets=["train.precision=bf16"])
    full = losses(train_tiny, tmp_path / "full")
    assert np.isfinite(half).all()
    assert half != full
    # bf16 keeps 8 bits, so a sum of many such products is right to a per cent or so.
    assert half == pytest.approx(full, rel=0.03)
    assert all(value.dtype == torch.float32 for value in weights(tmp_path / "half").values())


def test_a_batch_larger_than_the_data_is_all_of_the_data(train_tiny: TrainTiny, tmp_path: Path) -> None:
    assert len(losses(train_tiny, tmp_path, sets=["train.batch=64"])) == 2


def test_small_data_get_as_many_epochs_as_the_least_steps_need(train_tiny: TrainTiny, tmp_path: Path) -> None:
    told = Told()
    train_tiny(tmp_path, sets=["train.min_steps=20"], watchers=[told])
    assert len(told.of("train", "loss")) == 21  # 7 epochs of 3 steps
    assert len(told.of("val", "loss")) == 2  # as many validations as were asked for


def test_one_labelled_point_of_many_can_be_chosen(train_tiny: TrainTiny, tmp_path: Path) -> None:
    train_tiny(tmp_path, sets=["data.points=[30]", "data.crop=image"])
    model, _ = load_run(RunFolder(tmp_path))
    assert model.head.last.out_features == 2  # type: ignore[union-attr]


def test_metrics_are_one_json_object_a_line(train_tiny: TrainTiny, tmp_path: Path) -> None:
    train_tiny(tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(e["kind"], e["step"]) for e in entries] == [
        *[("train", 1), ("train", 2), ("train", 3), ("val", 3)],
        *[("train", 4), ("train", 5), ("train", 6), ("val", 6)],
    ]
    assert entries[3]["epoch"] == 1
    assert {"loss", "nme_interocular", "mean_error_px"} <= entries[3].keys()


def test_a_full_disk_under_the_log_is_told_with_its_path(train_tiny: TrainTiny, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def fill(_: Event) -> None:
        (tmp_path / "metrics.jsonl").unlink(missing_ok=True)
        (tmp_path / "metrics.jsonl").symlink_to("/dev/full")

    with pytest.raises(UserError, match=r"Cannot write .*metrics.jsonl"):
        train_tiny(tmp_path, watchers=[fill])
