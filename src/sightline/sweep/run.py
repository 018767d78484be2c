"""The search: trial after trial until there are enough, beside other processes, and on after a kill.

In: a `Search`, a storage. Out: all trials as `Tried`. Next: recheck.py
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sightline.errors import UserError
from sightline.sweep.board import Board, Job
from sightline.sweep.claims import Beats
from sightline.sweep.storage import is_of_journal, told
from sightline.sweep.trial import Search, run_trial
from sightline.sweep.tried import Tried

if TYPE_CHECKING:
    from optuna.trial import Trial

FAILS_AT_FIRST = 3  # in a row before anything came to an end
FAILS_IN_A_ROW = 10


def search_all(
    search: Search, *, url: str | None, study_name: str, trials: int, hours: float | None = None,
    after: Callable[[Sequence[Tried], Tried], None] = lambda _, __: None,
) -> list[Tried]:  # fmt: skip
    """Run trials until there are `trials` in all, or no new one may begin.

    Args:
        search: what is searched, on what.
        url: a database; the folder's journal without it.
        study_name: in the storage.
        trials: in all, with those of other processes and those that failed.
        hours: after which this process begins no new trial.
        after: told all trials, and the one that this process has just ended.

    Raises:
        UserError: the storage fails or is of another study; or one trial after another fails.
        Interrupted: Ctrl-C; the same call goes on.
    """
    deadline = None if hours is None else time.monotonic() + 3600 * hours
    fails: list[str] = []
    has_ended_one = False
    with told(url, search.out):
        board = Board(search, url=url, study_name=study_name)
        while deadline is None or time.monotonic() < deadline:
            job = board.next(trials)
            if job is None:
                break
            if not isinstance(job, Job):
                time.sleep(job)
                continue
            try:
                error = _worked(board, job.trial)
            finally:
                job.held.release()
            fails = [*fails, error] if error is not None else []
            has_ended_one |= error is None
            tried = board.tried()
            after(tried, next(each for each in tried if each.number == job.trial.number))
            _require_hope(fails, most=FAILS_IN_A_ROW if has_ended_one else FAILS_AT_FIRST, search=search)
        found = board.tried()
    ended = [each for each in found if each.state not in ("running", "lost")]
    if ended and all(each.state == "failed" for each in ended):
        _require_hope([each.error for each in ended], most=len(ended), search=search)
    return found


def _worked(board: Board, trial: Trial) -> str | None:
    """Run a trial to its end and tell the study; why it failed, or None."""
    import optuna

    board.search.say(f"trial {trial.number} begins")
    beats = Beats(lambda count: board.beat(trial.number, count))
    try:
        ended = run_trial(trial, board.search)
    # A trial may draw what cannot be trained (too large for the memory, a loss that grows without end). That ends the
    # trial and not the night's study; whatever is wrong with all of them stops the study after a few.
    except (ValueError, RuntimeError, ArithmeticError, MemoryError, AssertionError, OSError) as error:
        if isinstance(error, optuna.exceptions.OptunaError) or is_of_journal(error):
            raise
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        beats.stop()
        board.fail(trial.number, reason[:2000])
        return reason
    finally:
        beats.stop()
    board.end(trial, ended)
    return None


def _require_hope(fails: Sequence[str], *, most: int, search: Search) -> None:
    """Stop where one trial after another fails."""
    if len(fails) < most:
        return
    reasons = " ".join(list(dict.fromkeys(fails[-most:]))[-3:])
    raise UserError(
        f"{most} trials in a row have failed and the sweep stops. {reasons} Mend that, then the same command goes on; "
        f"or choose another space and another --out. The trials are in {search.out}."
    )
