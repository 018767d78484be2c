"""What commands share that train several runs: what the user asked for, and a bar for each training in turn.

Next: folds.py, learning_curve.py, climbing.py
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.choose import chosen, weight_folders
from sightline.cli.dataset import print_dataset
from sightline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from sightline.config import Experiment
    from sightline.prepare import Prepared
    from sightline.records import Dataset
    from sightline.train import Watcher


@dataclass(frozen=True, kw_only=True)
class SeveralRuns:
    """What the user asked of a command that trains one recipe several times.

    Attributes:
        recipe: a name or a YAML file.
        data: a label file or a folder.
        out: the folder of all runs, or None.
        use: swaps of pieces.
        sets: changed settings.
        skip_broken: leave broken samples out.
        format: of the labels, or None to find it out.
        device: auto, cpu or cuda.
        weights_dir: of pretrained weights, or None.
        as_json: words go to standard error.
    """

    recipe: str
    data: Path
    out: Path | None
    use: Sequence[str]
    sets: Sequence[str]
    skip_broken: bool
    format: str | None
    device: str
    weights_dir: Path | None
    as_json: bool

    @property
    def on(self) -> Console:
        """Where words go."""
        return console.err if self.as_json else console.out

    def weight_folders(self) -> list[Path]:
        """Where pretrained weights are looked for."""
        return weight_folders(self.weights_dir, self.data)

    def say(self, text: str) -> None:
        """A line for people."""
        console.say(text, on=self.on)

    def experiment(self, *, what: str) -> Experiment:
        """The recipe with the user's changes.

        Args:
            what: is to be done with it, for messages.

        Raises:
            UserError: no such recipe, a tracker of several stages, or several processes.
        """
        from sightline.recipes.trackers import TRACKERS

        if self.recipe in TRACKERS:
            stages = ", ".join(TRACKERS[self.recipe].stages().values())
            raise UserError(
                f"{self.recipe} is a tracker of several recipes, which are trained one after another. {what} is for "
                f"one recipe: name one of its stages ({stages})."
            )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UserError(
                f"{what} trains run after run in one process, and torchrun has started several. Start it without "
                "torchrun."
            )
        return chosen(self.recipe, self.use, self.sets)

    def dataset(self, folder: Path) -> Dataset:
        """The data, told to the user; frames of videos are unpacked inside the folder of all runs."""
        from sightline.prepare import load_data

        dataset = load_data(self.data, skip_broken=self.skip_broken, format=self.format, runs=folder)
        if not self.as_json:
            print_dataset(dataset, most=5)
        return dataset


def command_line() -> str:
    """The command as it was typed, for run.json."""
    return "sightline " + shlex.join(sys.argv[1:])


@contextmanager
def bars(on: Console, *, in_logs: bool = True) -> Iterator[Callable[[Prepared], Sequence[Watcher]]]:
    """A progress bar for each training in turn; the one before is closed.

    Args:
        on: where it is shown.
        in_logs: tell the validations where that is no terminal; else nothing.
    """
    from sightline.evaluate import scoring_for
    from sightline.loader import EpochSampler
    from sightline.terminal import training_progress

    with ExitStack() as open_bars:

        def watchers(prepared: Prepared) -> Sequence[Watcher]:
            open_bars.close()
            if not (in_logs or on.is_terminal):
                return ()
            train = prepared.experiment.train
            steps = EpochSampler(count=len(prepared.split.train), batch=train.batch, seed=0).steps
            metric = scoring_for(prepared.experiment).metric
            return [open_bars.enter_context(training_progress(on, total_steps=steps * train.epochs, metric=metric))]

        yield watchers
