"""Parts on the cores of this machine, in processes that may die.

In: the numbers of parts. Out: what was done. Next: on_ray.py
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from sightline.bulk.part import Done, Work
from sightline.errors import UserError

PATIENCE = 3  # times that workers may die in a row without having finished a part


def run_local(work: Work, numbers: Sequence[int], *, workers: int) -> Iterator[Done]:
    """Do parts, and give each when it is whole, in any order.

    When a worker dies (out of memory, killed), new ones do what is not whole yet.

    Args:
        work: does one part.
        numbers: of the parts.
        workers: processes; 1 does it in this one.

    Raises:
        UserError: as the work, or workers die again and again without finishing a part.
    """
    if workers == 1:
        yield from map(work, numbers)
        return
    left = list(numbers)
    deaths = 0
    while left:
        before = len(left)
        for done in _until_one_dies(work, left, workers=workers):
            left.remove(done.part)
            yield done
        deaths = deaths + 1 if len(left) == before else 0
        if left and deaths == PATIENCE:
            raise died(left)


def died(left: Sequence[int]) -> UserError:
    """The error of workers that come to nothing."""
    return UserError(
        f"Workers died {PATIENCE} times in a row without finishing a part; {len(left):,} are left, the first is part "
        f"{min(left)}. Most likely the memory does not suffice: use fewer --workers or a smaller --part in another "
        "folder. What is whole is kept."
    )


def _until_one_dies(work: Work, numbers: Sequence[int], *, workers: int) -> Iterator[Done]:
    context = multiprocessing.get_context("spawn")  # a forked process cannot use threads or a GPU that the parent used
    pool = ProcessPoolExecutor(max_workers=min(workers, len(numbers)), mp_context=context, initializer=_quiet)
    futures: list[Future[Done]] = []
    try:
        futures += [pool.submit(work, number) for number in numbers]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        # Parts that were finished while we heard of the death are whole, and their answers still count.
        return
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _quiet() -> None:
    """Ctrl-C is for the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
