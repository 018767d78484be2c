"""A ladder's training with its words and bars: what `compare --run` does before it compares."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.cli import console
from sightline.cli.choose import weight_folders
from sightline.cli.dataset import print_dataset
from sightline.cli.several_runs import means_of
from sightline.errors import UserError, unknown_name


def climb_and_tell(
    ladder: str,
    data: Path,
    *,
    seeds: int,
    out: Path | None,
    sets: Sequence[str],
    only: Sequence[str],
    rates: Sequence[float],
    images: int | None,
    format: str | None,
    skip_broken: bool,
    device: str,
    weights_dir: Path | None,
    as_json: bool,
) -> list[Path] | None:
    """Train what is missing of a ladder; the folders of its runs, or None where Ctrl-C ended it.

    Args:
        ladder: a name or a YAML file.
        data: the data set.
        seeds: of each rung, at least 1.
        out: the folder of all runs.
        sets: changes to all rungs.
        only: the rungs to train; all without.
        rates: learning rates to try.
        images: pictures to see in training.
        format: of the labels.
        skip_broken: leave broken samples out.
        device: auto, cpu or cuda.
        weights_dir: of pretrained weights.
        as_json: words go to standard error.
    """
    from sightline.compare.ladder import Interrupted, Plan, climb, read_ladder
    from sightline.prepare import load_data

    if seeds < 1 or (images is not None and images < 1) or any(rate <= 0 for rate in rates):
        raise UserError("--seeds and --images count from 1, and --rates are above 0.")
    rungs = read_ladder(ladder)
    names = [rung.recipe for rung in rungs]
    for name in only:
        if name not in names:
            raise unknown_name("rung", name, names)
    where = console.err if as_json else console.out
    folder = out or Path("runs") / Path(ladder).stem
    dataset = load_data(data, skip_broken=skip_broken, format=format, runs=folder)
    if not as_json:
        print_dataset(dataset, most=5)
    wanted = Plan(out=folder, seeds=seeds, sets=tuple(sets), rates=tuple(rates), images=images)
    means = means_of(device=device, weight_folders=weight_folders(weights_dir, data), on=where)
    try:
        chosen = [rung for rung in rungs if not only or rung.recipe in only]
        return climb(chosen, dataset, wanted, means)
    except Interrupted as stopped:
        means.say(f"Stopped and saved in {stopped}. The same command goes on.")
        return None
