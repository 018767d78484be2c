"""Parts on Ray Data: actors hold the model, on this machine or on all of a cluster.

The results do not pass through Ray: each part is written by the actor that did it, so the folder must be one that all
machines see. A part whose actor dies is given to another. In: the numbers of parts. Out: what was done. Next: run.py
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from sightline.bulk.local import PATIENCE, died
from sightline.bulk.part import Done, Work
from sightline.errors import MissingExtra, UserError

OBJECT_STORE_BYTES = 96 * 2**20  # numbers of parts and what was done pass through it, no pictures


class _Actor:
    """Holds the work, and with it the model, for as long as it lives."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """A batch of one part. The user's mistakes are told as values: Ray would wrap and repeat them."""
        told: list[dict[str, Any]] = []
        for number in batch["part"]:
            try:
                told.append(asdict(self.work(int(number))) | {"failed": ""})
            except UserError as error:
                nothing = Done(part=int(number), inputs=0, rows=0, errors=0, bytes=0, sha256="")
                told.append(asdict(nothing) | {"failed": str(error)})
        return {name: [each[name] for each in told] for name in told[0]}


def run_on_ray(
    work: Work, numbers: Sequence[int], *, workers: int, address: str | None = None, cpus: float = 1, gpus: float = 0
) -> Iterator[Done]:
    """Do parts, and give each when it is whole, in any order.

    Args:
        work: does one part; its folder is seen by all machines.
        numbers: of the parts.
        workers: actors in all.
        address: of a cluster that runs ("auto" finds the one of this machine); None begins one here and ends it.
        cpus: cores that an actor takes.
        gpus: GPUs that an actor takes.

    Raises:
        MissingExtra: Ray is not installed.
        UserError: as the work; there is no cluster; or actors die again and again.
    """
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra(feature="The engine ray", extra="scale") from error
    if not numbers:
        return
    _begin(ray, address=address, workers=workers, cpus=cpus)
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # plans and progress; what fails is raised
    context = ray.data.DataContext.get_current()
    left = set(numbers)
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        items = ray.data.from_items([{"part": number} for number in numbers], override_num_blocks=len(numbers))
        with warnings.catch_warnings():
            # The limits of restarts are deprecated in 2.60 and without a successor there; without a limit, a part
            # that always kills its actor would be tried for ever.
            warnings.simplefilter("ignore")
            done = items.map_batches(
                _Actor,
                fn_constructor_args=(work,),
                compute=ray.data.ActorPoolStrategy(size=min(workers, len(numbers))),
                batch_size=1,
                num_cpus=cpus,
                num_gpus=gpus or None,
                max_restarts=PATIENCE,
                max_task_retries=PATIENCE,
            )
        for row in done.iter_rows():
            if row["failed"]:
                raise UserError(row["failed"])
            left.discard(row["part"])
            yield Done(**{name: row[name] for name in Done.__dataclass_fields__})
    except (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError) as error:
        raise died(sorted(left)) from error
    finally:
        context.enable_progress_bars = shown
        ray.shutdown()


def _begin(ray: Any, *, address: str | None, workers: int, cpus: float) -> None:  # noqa: ANN401 (an optional library)
    quiet = {"log_to_driver": False, "logging_level": "error", "ignore_reinit_error": False}
    if address is None:
        # Without a dashboard nothing listens but Ray's own ports on this machine.
        room = {"num_cpus": max(1, round(workers * cpus)), "object_store_memory": OBJECT_STORE_BYTES}
        ray.init(include_dashboard=False, **room, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except ConnectionError as error:
        raise UserError(
            f"There is no Ray cluster at {address}: {error}. Start one by `ray start --head`, or leave out --address."
        ) from error
