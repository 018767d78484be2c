"""Who watches a training: a progress bar on the terminal, and the sinks. Next: training.py, several_runs.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.sinks import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from sightline.prepare import Prepared
    from sightline.train import Watcher


@contextmanager
def watching(
    prepared: Prepared, folder: Path, *, on: Console, sinks: Sequence[Target] = (), in_logs: bool = True
) -> Iterator[list[Watcher]]:
    """The watchers of one training; at its end the bar closes, then the sinks get what is left.

    Args:
        prepared: data and experiment, which tell how long it will be.
        folder: the run's.
        on: where the bar is shown.
        sinks: where else the run is shown.
        in_logs: tell the validations where that is no terminal; else nothing.
    """
    from sightline.evaluate import scoring_for
    from sightline.loader import EpochSampler
    from sightline.sinks.live import shown_elsewhere
    from sightline.terminal import training_progress

    train = prepared.experiment.train
    with ExitStack() as stack:
        watchers = list(stack.enter_context(shown_elsewhere(folder, sinks)))
        if in_logs or on.is_terminal:
            steps = EpochSampler(count=len(prepared.split.train), batch=train.batch, seed=0).steps
            metric = scoring_for(prepared.experiment).metric
            bar = training_progress(on, total_steps=steps * train.epochs, metric=metric)
            watchers.insert(0, stack.enter_context(bar))
        yield watchers
