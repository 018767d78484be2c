"""`sightline evaluate`: a run's score on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many


def evaluate(
    run: Path,
    *,
    data: Path,
    split: str | None = None,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    set: Many = None,
    format: str | None = None,
    skip_broken: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Score a run on a data set: all metrics with intervals, per-image table, report.

    Args:
        run: a run folder, or a file that `sightline export` wrote.
        data: a label file or the folder that holds labels and pictures.
        split: only the part that the data set itself calls so; "run-val" takes a run folder's own validation records.
        out_: write tables, predictions and a report there.
        set: change evaluate.* or data.crop, KEY=VALUE.
        format: the label format, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
        device: auto, cpu or cuda.
        json: print the result as JSON.
    """
    chosen = {"split": split, "out": out_, "sets": set or (), "format": format, "skip_broken": skip_broken}
    if run.is_file():
        from sightline.runtime.evaluation import evaluate_artefact  # without torch

        evaluation, context = evaluate_artefact(run, data, **chosen)
    else:
        from sightline.devices import pick_device
        from sightline.pipeline import evaluate_run

        evaluation, context = evaluate_run(run, data, **chosen, device=pick_device(device))
    found = evaluation.to_json()
    if json:
        console.print_json({**found, **context})
        return 0
    from sightline.terminal import metrics_table

    title = f"{context['data']}: {evaluation.images} pictures, crop: {evaluation.crop}"
    if "normaliser" in found:
        title += f", normaliser: {found['normaliser']}"
    console.out.print(metrics_table(found["metrics"], title=title))
    for name, pixels in found.get("budget", {}).items():
        console.say(f"  {name:<18} {pixels:.3f}")
    if "calibrated" in found:
        from sightline.calibration.told import line_of

        console.say(line_of(found["calibrated"]))
        if found["calibrated"]["note"]:
            console.say(found["calibrated"]["note"])
    if out_ is not None:
        console.say(f"tables and report in {out_}")
    return 0
