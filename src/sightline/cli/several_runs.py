"""What commands share that train several runs: what the user asked for, and the means to train.

Next: folds.py, learning_curve.py, climbing.py
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.choose import chosen, command_line, weight_folders
from sightline.cli.dataset import print_dataset
from sightline.cli.watching import watching
from sightline.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from sightline.compare.ladder import Means
    from sightline.config import Experiment
    from sightline.records import Dataset


def means_of(*, device: str, weight_folders: Sequence[Path], on: Console) -> Means:
    """What trainings are done with that are told on a console: `device` is auto, cpu or cuda."""
    from sightline.compare.ladder import Means
    from sightline.devices import pick_device

    return Means(
        device=pick_device(device),
        command=command_line(),
        weight_folders=tuple(weight_folders),
        say=lambda text: console.say(text, on=on),
        watching=partial(watching, on=on),
    )


@dataclass(frozen=True, kw_only=True)
class SeveralRuns:
    """What the user asked of a command that trains one recipe several times.

    Attributes:
        recipe: a name or a YAML file.
        data: a label file or a folder.
        out: the folder of all runs, or None.
        use: swaps of pieces.
        sets: changed settings.
        start_from: a run whose weights each begins with, or None.
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
    start_from: Path | None = None

    @property
    def on(self) -> Console:
        """Where words go."""
        return console.err if self.as_json else console.out

    def weight_folders(self) -> list[Path]:
        """Where pretrained weights are looked for."""
        return weight_folders(self.weights_dir, self.data)

    def means(self) -> Means:
        """What the trainings are done with."""
        return means_of(device=self.device, weight_folders=self.weight_folders(), on=self.on)

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
        return chosen(self.recipe, self.use, self.sets, start_from=self.start_from)

    def dataset(self, folder: Path) -> Dataset:
        """The data, told to the user; frames of videos are unpacked inside the folder of all runs."""
        from sightline.prepare import load_data

        dataset = load_data(self.data, skip_broken=self.skip_broken, format=self.format, runs=folder)
        if not self.as_json:
            print_dataset(dataset, most=5)
        return dataset
