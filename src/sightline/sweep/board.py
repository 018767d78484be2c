"""Who gets which trial: new ones, those that a killed process left, those of machines that fell silent.

In: the study, this folder's locks. Out: an Optuna trial that this process alone works on. Next: run.py
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sightline.checkpoint import write_json
from sightline.locks import Claim, alone, claim
from sightline.sweep.claims import Silence, here
from sightline.sweep.storage import open_storage, open_study, shown
from sightline.sweep.trial import Ended, Search
from sightline.sweep.tried import FILE, Tried

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

SETTINGS = "sweep.json"
STARTS = 3  # of one trial whose process is killed again and again
STARTUP = 5  # whole trials before one is pruned
_LOCK = ".lock"  # of the folder, while trials are handed out
_RUNNING = "running.lock"  # of a trial, while it runs
_LOOK_AGAIN = 5.0  # seconds, where another machine's trial may be dead


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """A trial, and the lock that says who works on it."""

    trial: Trial
    held: Claim


class Board:
    """The trials of a study, handed out one at a time; the processes of a folder take turns."""

    def __init__(self, search: Search, *, url: str | None, study_name: str) -> None:
        """Open the study, or make it with the untouched recipe as its first trial.

        Raises:
            UserError: the storage is of another study, or fails.
        """
        self.search, self._url = search, url
        self._here = here(search.out)
        self._silence = Silence()
        self._is_unsure = False  # whether another machine's trial may be dead
        self.storage = open_storage(url, search.out)
        with alone(search.out / _LOCK):
            self.study, is_new = open_study(
                self.storage, search.settings, name=study_name, where=shown(url, search.out)
            )  # fmt: skip
            if is_new:
                self._enqueue_own()
            if not (search.out / SETTINGS).is_file():
                at = None if url is None else shown(url, search.out)
                write_json(search.out / SETTINGS, search.settings.to_json() | {"study": study_name, "storage": at})
        self.study.pruner = _pruner(search.settings.pruner)

    def next(self, total: int) -> Job | float | None:
        """A trial to work on; or seconds to wait; or None where nothing is left to begin."""
        with alone(self.search.out / _LOCK):
            return self._left_behind() or self._new(total)

    def tried(self) -> list[Tried]:
        """All trials that were begun, in their order."""
        from optuna.trial import TrialState

        trials = self.study.get_trials(deepcopy=False)
        return [Tried.of(trial) for trial in trials if trial.state != TrialState.WAITING]

    def end(self, trial: Trial, ended: Ended) -> None:
        """A trial has come to its end."""
        from optuna.trial import TrialState

        state = TrialState.COMPLETE if ended.state == "complete" else TrialState.PRUNED
        self.study.tell(trial, list(ended.values) or None, state=state)
        self._write(trial.number)

    def fail(self, number: int, reason: str) -> None:
        """A trial has failed."""
        from optuna.trial import TrialState

        self.storage.set_trial_user_attr(self._id(number), "error", reason)
        self.study.tell(number, state=TrialState.FAIL)
        self.search.say(f"trial {number} failed: {reason}")
        self._write(number)

    def beat(self, number: int, count: int) -> None:
        """A sign of life; one that does not come through is no matter: the trial's next word tells what is wrong."""
        import optuna

        with suppress(optuna.exceptions.OptunaError, OSError):
            self.storage.set_trial_user_attr(self._id(number), "beat", count)

    def _left_behind(self) -> Job | None:
        """A trial of this folder whose process is gone; trials of silent machines are put up anew on the way."""
        from optuna.trial import Trial, TrialState

        self._is_unsure = False
        for frozen in self.study.get_trials(deepcopy=False):
            if frozen.state != TrialState.RUNNING:
                continue
            owner, number = frozen.user_attrs.get("owner"), frozen.number
            # A journal is written under this folder's lock, so what has no owner yet was left by a kill.
            if owner == self._here or (owner is None and self._url is None):
                held = claim(self.search.folder(number) / _RUNNING)
                if held is None:
                    continue
                starts = int(frozen.user_attrs.get("starts", 0))
                if starts < STARTS:
                    self.search.say(f"trial {number}: its process is gone; it goes on here")
                    return self._begun(Trial(self.study, self._id(number)), held, starts=starts)
                held.release()
                self.fail(number, f"its process was killed {STARTS} times. Is there enough memory for it?")
                continue
            verdict = self._silence.judge(number, int(frozen.user_attrs.get("beat", 0)))
            if verdict == "silent":
                self._lose(frozen)
            self._is_unsure |= verdict == "unknown"
        return None

    def _new(self, total: int) -> Job | float | None:
        from optuna.trial import TrialState

        trials = self.study.get_trials(deepcopy=False)
        counted = [t for t in trials if t.state != TrialState.WAITING and not t.user_attrs.get("lost")]
        if len(counted) >= total:
            return _LOOK_AGAIN if self._is_unsure else None
        self.study.sampler = self._sampler(len(trials))
        trial = self.study.ask()
        held = claim(self.search.folder(trial.number) / _RUNNING)
        assert held is not None, "a new trial is of no other process"
        return self._begun(trial, held, starts=0)

    def _begun(self, trial: Trial, held: Claim, *, starts: int) -> Job:
        folder = self.search.folder(trial.number)
        trial.set_user_attr("owner", self._here)
        trial.set_user_attr("starts", starts + 1)
        trial.set_user_attr("folder", str(folder.relative_to(self.search.out)))
        return Job(trial=trial, held=held)

    def _lose(self, frozen: FrozenTrial) -> None:
        """A trial of a machine that fell silent: its values are tried once more, by whoever comes first."""
        import optuna
        from optuna.trial import TrialState

        try:
            self.storage.set_trial_user_attr(self._id(frozen.number), "lost", True)
            self.study.tell(frozen.number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return  # another machine was quicker
        self.study.enqueue_trial(frozen.params)
        owner = frozen.user_attrs.get("owner", "its process")
        self.search.say(f"trial {frozen.number}: {owner} has fallen silent; its values are tried anew")

    def _enqueue_own(self) -> None:
        own, outside = self.search.space.own_values()
        if outside:
            named = ", ".join(f"{name}={own[name]}" for name in outside)
            self.search.say(f"The untouched recipe is not among the trials: {named} lies outside what is searched.")
            return
        self.study.enqueue_trial(own, skip_if_exists=True)

    def _sampler(self, count: int) -> optuna.samplers.BaseSampler:
        """Draws follow from the study and the trial's place in it; on a shared storage each process has its own."""
        import optuna

        own = () if self._url is None else (platform.node(), os.getpid())
        digest = hashlib.blake2b(repr((self.study.study_name, count, *own)).encode(), digest_size=4).digest()
        return optuna.samplers.TPESampler(seed=int.from_bytes(digest, "little"))

    def _id(self, number: int) -> int:
        study = self.storage.get_study_id_from_name(self.study.study_name)
        return self.storage.get_trial_id_from_study_id_trial_number(study, number)

    def _write(self, number: int) -> None:
        """The trial's own file, from which the study can be made again."""
        found = next(each for each in self.tried() if each.number == number)
        write_json(self.search.folder(number) / FILE, found.to_json())


def _pruner(name: str) -> optuna.pruners.BasePruner:
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_min_trials=STARTUP - 1)
    if name == "wilcoxon":
        return optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
    return optuna.pruners.NopPruner()
