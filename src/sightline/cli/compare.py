"""`sightline compare`: which of several runs is better, how sure that is, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.errors import UserError, unknown_name
from sightline.files import require_place

if TYPE_CHECKING:
    from sightline.compare.arms import Arm
    from sightline.compare.comparison import Comparison


def compare(
    *runs: Path,
    baseline: str | None = None,
    metric: str | None = None,
    difference: float | None = None,
    measure: Flag = False,
    html: Path | None = None,
    skip_broken: Flag = False,
    run: str | None = None,
    data: Path | None = None,
    seeds: int = 3,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    set: Many = None,
    rungs: Many = None,
    rates: Annotated[list[float] | None, Parameter(negative="", consume_multiple=True)] = None,
    images: int | None = None,
    format: str | None = None,
    device: str = "auto",
    weights_dir: Path | None = None,
    json: Flag = False,
) -> int:
    """Compare runs: paired differences with intervals, verdicts, costs; or train a ladder and compare its rungs.

    Runs that differ in train.seed alone are one arm. All must have been evaluated on the same pictures and labels.

    Args:
        runs: run folders, in the order of the versions; folders of `train --folds` count as runs on all pictures.
        baseline: the arm (its name or one of its folders) that others are compared with; the first without it.
        metric: what to compare by; the task's main metric without it.
        difference: the difference that plans are made for, as metrics.json has it; one standard error of a run else.
        measure: measure parameters, operations, latency and memory of every arm here and now.
        html: write the journey page: versions in order, what each changed, curves and pictures side by side.
        skip_broken: leave out runs (with --run, samples) that are broken, and go on with the others.
        run: train this ladder (a name of `sightline recipes`, or a YAML file) and compare its rungs.
        data: with --run, a label file or the folder that holds labels and pictures.
        seeds: with --run, how many runs of each rung.
        out_: with --run, the folder of all runs; below runs/ when not given. What is there already is kept.
        set: with --run, change settings of all rungs, KEY=VALUE.
        rungs: with --run, only these rungs.
        rates: with --run, learning rates to try with the first seed; each rung is judged at its best.
        images: with --run, how many pictures each rung sees in training, in whole epochs.
        format: with --run, the label format, where it cannot be found out.
        device: with --run, auto, cpu or cuda.
        weights_dir: with --run, folder with pretrained weights as NAME.safetensors.
        json: print the result as JSON.
    """
    if html is not None:
        require_place(html)
    only_run = {
        "--data": data, "--out": out_, "--set": set, "--rungs": rungs, "--rates": rates, "--images": images,
        "--format": format, "--weights-dir": weights_dir,
    }  # fmt: skip
    given = [name for name, value in only_run.items() if value is not None]
    if run is None and given:
        raise UserError(f"{given[0]} is for --run LADDER, which trains. To compare runs that are there, leave it out.")
    if run is None and not runs:
        raise UserError(
            "There is nothing to compare. Name run folders, or a ladder to train: --run LADDER --data DATA."
        )
    paths = list(runs)
    if run is not None:
        from sightline.cli.climbing import climb_and_tell

        if data is None:
            raise UserError("--run needs --data DATA: what the ladder is trained and validated on.")
        climbed = climb_and_tell(
            run, data, seeds=seeds, out=out_, sets=set or (), only=rungs or (), rates=rates or (), images=images,
            format=format, skip_broken=skip_broken, device=device, weights_dir=weights_dir, as_json=json,
        )  # fmt: skip
        if climbed is None:
            return 130
        paths = [*paths, *climbed]

    from sightline.compare.arms import arms_of
    from sightline.compare.comparison import compare_arms
    from sightline.compare.plain import to_json
    from sightline.compare.runs import read_runs, require_alike, with_repeats
    from sightline.compare.scores import chosen_metric
    from sightline.compare.table import print_comparison

    found, left_out = read_runs(with_repeats(paths), skip_broken=skip_broken)
    for line in left_out:
        console.say(f"left out: {line}", on=console.err)
    require_alike(found)
    if difference is not None and difference <= 0:
        raise UserError(f"--difference is {difference:g}; it is a size, above 0.")
    arms = arms_of(found)
    made = compare_arms(
        arms, baseline=_place(arms, baseline), metric=chosen_metric(found, metric), size=difference
    )  # fmt: skip
    if measure:
        made = _measured(made)
    if html is not None:
        from sightline.compare.journey import write_journey

        write_journey(made, html)
    if json:
        console.print_json(to_json(made) | {"left_out": left_out})
        return 0
    print_comparison(made, to=console.out)
    if html is not None:
        console.say(f"page    {html}")
    return 0


def _place(arms: list[Arm], baseline: str | None) -> int:
    """The baseline's position: an arm's name, or one of its folders."""
    if baseline is None:
        return 0
    for place, arm in enumerate(arms):
        if baseline == arm.name or Path(baseline).resolve() in [run.path.resolve() for run in arm.runs]:
            return place
    raise unknown_name("arm", baseline, [arm.name for arm in arms])


def _measured(made: Comparison) -> Comparison:
    """With the cost of each arm, and which are on the Pareto front."""
    from dataclasses import replace

    from sightline.compare.cost import front, measure

    costs = measure([line.arm for line in made.lines])
    on_front = front([line.found.value for line in made.lines], costs, less_is_better=made.less_is_better)
    lines = [
        replace(line, cost=cost, on_front=is_on)
        for line, cost, is_on in zip(made.lines, costs, on_front, strict=True)
    ]  # fmt: skip
    return replace(made, lines=tuple(lines))
