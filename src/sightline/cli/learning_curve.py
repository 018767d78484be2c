"""`sightline learning-curve`: what more labels would give."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.cli.several_runs import SeveralRuns

SHARES = (10.0, 20.0, 40.0, 80.0, 100.0)


def learning_curve(
    recipe: str,
    *,
    data: Path,
    shares: Annotated[list[float] | None, Parameter(negative="", consume_multiple=True)] = None,
    seeds: int = 3,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    use: Many = None,
    set: Many = None,
    skip_broken: Flag = False,
    format: str | None = None,
    device: str = "auto",
    weights_dir: Path | None = None,
    json: Flag = False,
) -> int:
    """Train a recipe on growing shares of the labels, and forecast what twice the labels would give.

    The validation part is the recipe's own and stays the same. The same command goes on with what broke off.

    Args:
        recipe: a name (see `sightline recipes`) or a YAML file.
        data: a label file or the folder that holds labels and pictures.
        shares: of the training part, in per cent: 10 20 40 80 100 when not given.
        seeds: how many runs of each share, each with its own subset.
        out_: the folder of all runs; below runs/ when not given. What is there already is kept.
        use: swap pieces, SLOT=NAME.
        set: change settings, KEY=VALUE; train.min_steps=N trains small shares as long as large ones.
        skip_broken: leave broken samples out instead of stopping.
        format: the label format, where it cannot be found out.
        device: auto, cpu or cuda.
        weights_dir: folder with pretrained weights as NAME.safetensors.
        json: print the result as JSON.
    """
    from sightline.compare.ladder import Interrupted
    from sightline.small_data.curve import PLAN, plan_curve, train_curve
    from sightline.small_data.curve_page import write_curve_page
    from sightline.small_data.curve_words import print_curve
    from sightline.small_data.folder import require_own

    asked = SeveralRuns(
        recipe=recipe, data=data, out=out_, use=use or (), sets=set or (), skip_broken=skip_broken, format=format,
        device=device, weights_dir=weights_dir, as_json=json,
    )  # fmt: skip
    means = asked.means()
    experiment = asked.experiment(what="learning-curve")
    out = out_ or Path("runs") / f"{experiment.recipe}-learning-curve"
    require_own(out, file=PLAN)
    dataset = asked.dataset(out)
    plan = plan_curve(
        experiment, dataset, shares=shares or SHARES, seeds=seeds, weight_folders=means.weight_folders
    )  # fmt: skip
    for line in plan.told:
        asked.say(f"  {line}")
    try:
        found = train_curve(plan, out, means)
    except Interrupted as stopped:
        asked.say(f"Stopped and saved in {stopped}. The same command goes on: --out {out}")
        return 130
    page = write_curve_page(found)
    if json:
        console.print_json(found.to_json() | {"page": str(page)})
        return 0
    print_curve(found, to=console.out)
    console.say(f"runs    {out}\npage    {page}")
    return 0
