"""`sightline audit`: one checkpoint under many inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.files import require_place

if TYPE_CHECKING:
    from sightline.audit.run import Tell

IMAGES = 100


def audit(
    run: Path,
    *,
    data: Path,
    images: int = IMAGES,
    split: Many = None,
    crossed: Flag = False,
    html: Path | None = None,
    strict: Flag = False,
    format: str | None = None,
    skip_broken: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Evaluate a run on changed pictures, and say which change moves the score and what that gives away.

    Each augmentation of the training alone, on and doubled; then JPEG, blur, noise, light, size and place, mild and
    strong; each against the plain pictures, with intervals. Also: overfitting, answers that do not come from the
    picture, left and right confused, scores that are no probabilities, classes confused. Exit code 1 with --strict
    where a finding is an error.

    Args:
        run: a run folder.
        data: a label file or the folder that holds labels and pictures.
        images: pictures of each part, chosen at random; the time grows with it.
        split: only these parts: train and val as the run divided its data, data for records that it does not know.
        crossed: also every strong change on top of the training's whole augmentation.
        html: where to write the page; audit.html in the run folder without it.
        strict: exit code 1 where a finding is an error.
        format: the label format, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
        device: auto, cpu or cuda.
        json: print the result as JSON.
    """
    from sightline.audit.page import write_page
    from sightline.audit.plain import to_json
    from sightline.audit.run import audit_run
    from sightline.audit.table import print_audit
    from sightline.devices import pick_device

    out = html or run / "audit.html"
    if html is not None or run.is_dir():  # what else a run may be is told below
        require_place(out)
    with _progress() as tell:
        made = audit_run(
            run,
            data,
            images=images,
            only=split or (),
            is_crossed=crossed,
            format=format,
            skip_broken=skip_broken,
            device=pick_device(device),
            tell=tell,
        )
    page = write_page(made, out)
    if json:
        console.print_json(to_json(made) | {"page": str(page)})
    else:
        print_audit(made, to=console.out)
        console.say(f"page    {page}")
    return 1 if strict and made.has_errors else 0


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on standard error where it is a terminal; nothing in logs and pipes, where JSON may be wanted."""
    if not console.err.is_terminal:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console.err, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda words, done, total: bar.update(task, description=words, completed=done, total=total)
