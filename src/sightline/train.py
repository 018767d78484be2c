"""The one explicit training loop, on Lightning Fabric (device, precision, several processes).

Build, check one batch end to end, loop, validate, save. Every random draw is keyed by
(seed, step), so a run killed at any moment goes on from its last checkpoint with the very
numbers the unbroken run would have had. Next: predict.py, report/
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.checkpoint import Progress, RunFolder, State, read_state, restore, save_state, save_weights
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.devices import check_precision, cpu_flags
from sightline.donor import plan_takeover, read_donor
from sightline.errors import UserError
from sightline.evaluate import scoring_for
from sightline.evaluate.run import validate
from sightline.features import CachedFeatures, FromFeatures, check_cacheable
from sightline.files import read_text, write_atomically
from sightline.loader import (
    EpochSampler,
    Pictures,
    PlainSamples,
    Position,
    TrainingSamples,
    plain_loader,
    shared_batches,
    training_loader,
    worker_count,
)
from sightline.model import build, codec_for, without_pretrained
from sightline.optim import AveragedWeights, build_optimizer, rate_factor, set_rates
from sightline.processes import ALONE, Group, strategy
from sightline.records import Record
from sightline.shard_order import ShardWindows
from sightline.splits import Split
from sightline.start import prepare_start
from sightline.transforms import Framing
from sightline.types import Batch, Truth

PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
_log = logging.getLogger("sightline")
FEATURES_FOLDER = ".features"  # beside the run folders, which share it
TRUTHS = len(fields(Truth))
LOG_EVERY = 10  # steps between lines of metrics.jsonl


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the loop tells whoever watches it: a training step or a validation."""

    kind: str
    values: dict[str, float]


Watcher = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a training ended."""

    progress: Progress
    interrupted: bool
    stopped_early: bool


def train(
    experiment: Experiment,
    split: Split,
    out: Path,
    *,
    device: str = "cpu",
    group: Group = ALONE,
    resume: bool = False,
    weight_folders: Sequence[Path] = (),
    watchers: Sequence[Watcher] = (),
) -> Outcome:
    """Train until the last epoch, patience, or Ctrl-C.

    Args:
        experiment: resolved: its skeleton is the data's, its crop is not "auto".
        split: scanned records.
        out: the run folder, with its config already written.
        device: "cpu" or "cuda".
        group: the processes that train together; all call this, with the same experiment and split.
        resume: go on from last.safetensors, which only the first process reads.
        weight_folders: where pretrained weights lie.
        watchers: called on the first process with every event.

    Raises:
        UserError: precision, pieces, weights or the checkpoint do not fit; or the loss is not finite.
    """
    _check_processes(experiment, split, world=group.place.world)
    if experiment.train.cache_features:
        check_cacheable(experiment)
    check_precision(experiment.train.precision, device=device, flags=cpu_flags())
    fabric = Fabric(
        accelerator=device,
        devices=group.place.local_world,
        num_nodes=group.place.machines,
        strategy=strategy() if group.place.world > 1 else "auto",
        precision=PRECISIONS[experiment.train.precision],  # type: ignore[arg-type]
    )
    fabric.launch()
    folder = RunFolder(out)
    # A run killed before its first checkpoint starts anew. Only the first process needs to see the folder.
    state = group.from_leader(lambda: read_state(folder.last) if resume and folder.last.exists() else None)
    return _Training(experiment, split, folder, fabric, group, weight_folders, watchers, state=state).run()


def _check_processes(experiment: Experiment, split: Split, *, world: int) -> None:
    """Every process needs the same number of samples of every batch."""
    if experiment.train.batch % world:
        raise UserError(
            f"train.batch={experiment.train.batch} cannot be shared by {world} processes. It counts the samples of all "
            f"processes together: choose a multiple of {world}."
        )
    if len(split.train) < world:
        raise UserError(f"{len(split.train)} training records are too few for {world} processes. Start fewer.")


class _Training:
    """The state of one run: built once, then looped."""

    def __init__(
        self,
        experiment: Experiment,
        split: Split,
        folder: RunFolder,
        fabric: Fabric,
        group: Group,
        weight_folders: Sequence[Path],
        watchers: Sequence[Watcher],
        *,
        state: State | None,
    ) -> None:
        config = experiment.train
        self.experiment, self.folder, self.fabric, self.split = experiment, folder, fabric, split
        self.group = group
        self.watchers = watchers if group.leads else ()
        donor = group.from_leader(lambda: read_donor(config)) if config.start_from is not None and not state else None
        takeover = plan_takeover(experiment, donor) if donor is not None else None
        torch.manual_seed(config.seed)
        # Pretrained weights need not be there where all of them would be replaced.
        is_replaced = state is not None or (takeover is not None and takeover.has_whole("backbone"))
        fresh = without_pretrained(experiment) if is_replaced else experiment
        self.model, self.codec = build(fresh, weight_folders=weight_folders)
        prepare_start(self.model, experiment, split.train)
        if donor is not None and takeover is not None:
            takeover.copy_to(self.model, donor)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = build_optimizer(self.model, config)
        if group.place.world > 1 and group.leads and _has_batch_statistics(self.model):
            _log.warning(
                "Each process normalises by the statistics of its own part of a batch, so the result differs from that "
                "of one process. Group normalisation, or backbone.frozen=norm without normalisation elsewhere, agrees."
            )
        # Parts of the input are trained on in their own units, and the whole input is validated.
        self.val_codec = self.codec
        part_hw = experiment.augment.part_within(experiment.data.input_hw)
        if part_hw is not None:
            part = experiment.data.model_copy(update={"input_hw": part_hw})
            self.codec = codec_for(experiment.model_copy(update={"data": part}), self.model)
        # What the loop runs: the model, or behind a frozen backbone only what comes after it.
        self.network = FromFeatures(self.model) if config.cache_features else self.model
        self.wrapped, self.optimizer = fabric.setup(_WithLoss(self.network, self.codec), optimizer)
        self.averaged = AveragedWeights(self.model, decay=config.ema) if config.ema else None
        self.framing = Framing.of(experiment)
        self.scoring = scoring_for(experiment)
        self.progress = Progress()
        if state is not None:  # before the loaders, which may compute features with these weights
            averaged = self.averaged.tensors if self.averaged else None
            self.progress = restore(state, model=self.model, averaged=averaged, optimizer=self.optimizer)
        self._make_loaders(worker_count(experiment.data.workers, sharing=group.place.local_world))

    def _make_loaders(self, workers: int) -> None:
        config, place = self.experiment.train, self.group.place
        self.sampler = EpochSampler(
            count=len(self.split.train),
            batch=config.batch,
            seed=config.seed,
            rank=place.rank,
            world=place.world,
            windows=ShardWindows.of(self.split.train, self.experiment.data.shard_window),
        )
        if isinstance(self.network, FromFeatures):
            cached = CachedFeatures(
                self.network,
                self.experiment,
                self.split,
                folder=self.folder.path.parent / FEATURES_FOLDER,
                group=self.group,
            )
            self.loader, self.val_loader = cached.training_loader(self.sampler), cached.plain_loader()
            return
        pictures = self._pictures(self.split.train)
        samples = TrainingSamples(
            pictures,
            framing=self.framing,
            augment=self.experiment.augment,
            seed=config.seed,
            epochs=config.epochs,
        )
        self.loader = training_loader(samples, self.sampler, workers=workers)
        batch = self.experiment.evaluate.batch
        shares = shared_batches(len(self.split.val), batch=batch, rank=place.rank, world=place.world)
        validated = self._pictures(self.split.val, only=[index for share in shares for index in share])
        plain = PlainSamples(validated, framing=self.framing, evaluate=self.experiment.evaluate)
        self.val_loader = plain_loader(plain, batch=batch, workers=0, rank=place.rank, world=place.world)

    def _pictures(self, records: Sequence[Record], *, only: Sequence[int] | None = None) -> Pictures:
        sharing = self.group.place.local_world
        return Pictures(records, self.experiment.data, past_frames=self.framing.past_frames, sharing=sharing, only=only)

    def run(self) -> Outcome:
        """The loop over epochs."""
        config = self.experiment.train
        if self.group.leads:
            forget_later(self.folder.metrics, self.progress)
        interrupted = stopped = False
        with _ctrl_c() as pressed:
            while self.progress.epoch < config.epochs and not self.progress.done:
                if self._epoch(pressed):
                    interrupted = True
                    break
                self._finish_epoch()
                stopped = config.patience is not None and self.progress.validations_since_best >= config.patience
                self.progress.done = stopped or self.progress.epoch >= config.epochs
                self._save()
                if self.progress.done:
                    break
        return Outcome(
            progress=self.progress, interrupted=interrupted and not self.progress.done, stopped_early=stopped
        )

    def _epoch(self, pressed: Callable[[], bool]) -> bool:
        """The rest of the current epoch; True when Ctrl-C ended it."""
        config, progress = self.experiment.train, self.progress
        self.sampler.position = Position(epoch=progress.epoch, step=progress.step)
        self.wrapped.train()
        started = saved = time.monotonic()
        seconds_before = progress.seconds
        for batch in self.loader:
            factor = rate_factor(config, step=progress.global_step, steps_per_epoch=self.sampler.steps)
            set_rates(self.optimizer, factor)
            self.codec.set_progress(progress.global_step / (config.epochs * self.sampler.steps))
            torch.manual_seed(_key(config.seed, progress.global_step, self.group.place.rank))
            loss = self._step(batch.to(self.fabric.device))
            progress.step += 1
            progress.global_step += 1
            now = time.monotonic()
            progress.seconds = seconds_before + now - started
            self._tell_step(loss, factor)
            due = config.save_minutes == 0 or now - saved > 60 * config.save_minutes
            stop, due = self._agreed(pressed(), due)
            if stop or due:
                self._save()
                saved = now
            if stop:
                return True
        return False

    def _agreed(self, *wishes: bool) -> list[bool]:
        """What any process wants, all do: clocks and signals differ, and a lone barrier would wait for ever."""
        if self.group.place.world == 1:
            return list(wishes)
        most = self.fabric.all_reduce(torch.tensor(wishes, dtype=torch.float32), reduce_op="max")
        assert isinstance(most, Tensor)
        return [bool(wish) for wish in most.tolist()]

    def _step(self, batch: Batch) -> float:
        """One optimiser step over a batch, in `accumulate` parts. Returns the batch's loss."""
        config = self.experiment.train
        parts = _split(batch, config.accumulate)
        # Each part's loss is a mean over its own visible points (or pictures); weighted by their share of those of
        # the whole batch, over all processes, the sum is the mean that one process would compute.
        everywhere = self.fabric.all_reduce(self.codec.weight(batch.truth).float(), reduce_op="sum")
        assert isinstance(everywhere, Tensor)
        total = 0.0
        for position, part in enumerate(parts):
            share = self.codec.weight(part.truth) / everywhere.clamp_min(1.0)
            with self.fabric.no_backward_sync(self.wrapped, enabled=position + 1 < len(parts)):
                loss = self._loss(part) * share
                # DDP divides gradients by the number of processes; the share has already done so.
                self.fabric.backward(loss * self.group.place.world)
            total += loss.item()
        if self.group.place.world > 1:
            summed = self.fabric.all_reduce(torch.tensor(total), reduce_op="sum")
            assert isinstance(summed, Tensor)
            total = summed.item()
        self._require_finite(total, batch)
        if config.clip_norm is not None:
            self.fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=config.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.averaged is not None:
            self.averaged.update(self.model, step=self.progress.global_step)
        return total

    def _loss(self, part: Batch) -> Tensor:
        """The scalar loss of one part of a batch.

        Raises:
            UserError: a single picture, and a batch normalisation that has nothing else to take statistics of.
        """
        try:
            return self.wrapped(*part.truth.tensors(), *part.seen)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "A batch of a single picture cannot be normalised by its own statistics. Give more training pictures, "
                "raise train.batch, lower train.accumulate, or choose pieces without batch normalisation."
            ) from error

    def _require_finite(self, loss: float, batch: Batch) -> None:
        if loss == loss and abs(loss) != float("inf"):
            return
        files = [self.split.train[int(i)].image_id for i in batch.index[:8]]
        kept = f"The last good checkpoint stays in {self.folder.last}." if self.folder.last.exists() else ""
        raise UserError(
            f"The loss became {loss} in epoch {self.progress.epoch + 1}, step {self.progress.step + 1}, on "
            f"{', '.join(files)}{' ...' if len(batch) > 8 else ''}. {kept} Lower train.lr, or set train.clip_norm=1."
        )

    def _finish_epoch(self) -> None:
        """Validate, keep the best weights, and step to the next epoch."""
        config, progress = self.experiment.train, self.progress
        progress.epoch += 1
        progress.step = 0
        if progress.epoch % config.validate_every and progress.epoch < config.epochs:
            return
        with self._averaged_weights():
            # Batch statistics differ between processes; the first one's decide for all.
            norms = [module for module in self.model.modules() if isinstance(module, _BatchNorm)]
            self.group.same_tensors([buffer for norm in norms for buffer in norm.buffers()])
            values = validate(
                self.network,
                self.val_codec,
                self.val_loader,
                self.split.val,
                scoring=self.scoring,
                experiment=self.experiment,
                device=str(self.fabric.device),
                group=self.group,
            )
            metric = self.scoring.choose(values)
            sign = 1 if self.scoring.less_is_better else -1
            if not progress.best or sign * values[metric] < sign * progress.best["value"]:
                progress.best = {
                    "metric": metric,
                    "value": values[metric],
                    "epoch": progress.epoch,
                    "step": progress.global_step,
                }
                progress.validations_since_best = 0
                if self.group.leads:
                    save_weights(self.folder.best, self.model.state_dict())
            else:
                progress.validations_since_best += 1
        self._tell("val", values)

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """The averaged weights in the model's place for a while."""
        if self.averaged is None:
            yield
            return
        own = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.averaged.tensors)
        yield
        self.model.load_state_dict(own)

    def _save(self) -> None:
        if self.group.leads:
            averaged = self.averaged.tensors if self.averaged else None
            save_state(
                self.folder.last, model=self.model, averaged=averaged, optimizer=self.optimizer, progress=self.progress
            )
        self.group.wait()

    def _tell_step(self, loss: float, factor: float) -> None:
        if self.progress.global_step % LOG_EVERY == 0 or self.progress.global_step == 1:
            self._tell("train", {"loss": loss, "lr": self.experiment.train.lr * factor})

    def _tell(self, kind: str, values: dict[str, float]) -> None:
        if not self.group.leads:
            return
        progress = self.progress
        place = {
            "step": progress.global_step,
            "epoch": round(progress.epoch + progress.step / max(1, self.sampler.steps), 4),
            "seconds": round(progress.seconds, 2),
        }
        try:
            with self.folder.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **place, **values}) + "\n")
        except OSError as error:
            raise UserError(
                f"Cannot write {self.folder.metrics}: {error.strerror}. Free some space or mend the folder's "
                "permissions, then go on by --resume."
            ) from error
        for watcher in self.watchers:
            watcher(Event(kind=kind, values={**place, **values}))


class _WithLoss(nn.Module):
    """Pictures and truth -> loss: engines hook into a module's output, and a lone tensor is what all of them take."""

    def __init__(self, model: nn.Module, codec: Codec) -> None:
        super().__init__()
        self.model, self.codec = model, codec

    def forward(self, *tensors: Tensor) -> Tensor:
        """The scalar loss of one part of a batch, given its truth's tensors and what the network sees."""
        truth, seen = tensors[:TRUTHS], tensors[TRUTHS:]
        return self.codec.loss(self.model(*seen), self.codec.encode(Truth.of(*truth)))


def forget_later(metrics: Path, progress: Progress) -> None:
    """Cut from metrics.jsonl what was logged after a checkpoint: a resumed run will log it again."""
    if not metrics.exists():
        return
    kept = []
    lines = read_text(metrics, advice="Delete it to go on without what was logged.").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break  # a kill in the middle of a line
            raise UserError(f"{metrics}, line {number}, is damaged ({error.msg}). Delete it and go on.") from error
        try:
            # The last step of an epoch may be saved before its validation is.
            is_val = entry["kind"] == "val"
            is_later = entry["epoch"] > progress.epoch if is_val else entry["step"] > progress.global_step
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{metrics}, line {number}, is damaged (it is no entry of a training). Delete it and go on."
            ) from error
        if not is_later:
            kept.append(line + "\n")
    write_atomically(metrics, "".join(kept))


def _key(*numbers: int) -> int:
    """One seed from several numbers, spread over 63 bits."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little") >> 1


def _has_batch_statistics(model: nn.Module) -> bool:
    """Whether any batch normalisation would use the statistics of the batch."""
    return any(isinstance(module, _BatchNorm) and module.training for module in model.modules())


def _split(batch: Batch, parts: int) -> list[Batch]:
    """A batch in parts of (nearly) equal size; fewer where there are fewer samples."""
    if parts == 1:
        return [batch]
    cuts = torch.arange(len(batch)).tensor_split(min(parts, len(batch)))
    return [
        Batch(
            images=batch.images[cut],
            past=batch.past[cut],
            truth=batch.truth[cut],
            to_input=batch.to_input[cut],
            index=batch.index[cut],
        )
        for cut in cuts
    ]


@contextmanager
def _ctrl_c() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C (or SIGTERM) is remembered and ends the loop after its step; a second one ends at once."""
    state = {"pressed": False}

    def remember(number: int, _: FrameType | None) -> None:
        if state["pressed"]:
            raise KeyboardInterrupt
        state["pressed"] = True

    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: state["pressed"]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
