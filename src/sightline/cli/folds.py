"""`sightline train --folds`: a cross-validation with its words, bars and page. Next: learning_curve.py."""

from __future__ import annotations

from pathlib import Path

from sightline.cli import console
from sightline.cli.several_runs import SeveralRuns
from sightline.errors import UserError


def fold_and_tell(asked: SeveralRuns, *, folds: int, repeats: int, resume: bool) -> int:
    """Train the folds, print what came out, write the page; the exit code.

    Args:
        asked: recipe, data and the like.
        folds: at least 2.
        repeats: at least 1.
        resume: the folder must have been begun.

    Raises:
        UserError: numbers out of range, a folder that holds something else, or data that cannot be folded so.
    """
    from sightline.compare.ladder import Interrupted
    from sightline.compare.runs import FOLDS
    from sightline.small_data.folder import require_own
    from sightline.small_data.folds import plan_folds, train_folds
    from sightline.small_data.folds_page import write_folds_page
    from sightline.small_data.folds_summary import summarise_folds
    from sightline.small_data.folds_words import print_folds

    if folds < 2 or repeats < 1:
        raise UserError(f"--folds {folds} --repeats {repeats}: expected at least 2 folds and 1 repeat.")
    means = asked.means()
    experiment = asked.experiment(what="--folds")
    out = asked.out or Path("runs") / f"{experiment.recipe}-{folds}-folds"
    if resume and not (out / FOLDS).is_file():
        raise UserError(f"{out} holds no cross-validation to resume (no {FOLDS}). Start one without --resume.")
    require_own(out, file=FOLDS)
    dataset = asked.dataset(out)
    plan = plan_folds(experiment, dataset, folds=folds, repeats=repeats, weight_folders=means.weight_folders)
    for line in plan.told:
        asked.say(f"  {line}")
    try:
        train_folds(plan, out, means)
    except Interrupted as stopped:
        asked.say(f"Stopped and saved in {stopped}. The same command goes on: --out {out}")
        return 130
    found = summarise_folds(out)
    page = write_folds_page(found)
    if asked.as_json:
        console.print_json(found.to_json() | {"report": str(page)})
        return 0
    print_folds(found, to=console.out)
    console.say(f"folds   {out}\nreport  {page}")
    return 0
