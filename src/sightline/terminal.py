"""What the terminal shows: progress of a training, tables of numbers. Next: cli/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from sightline.train import Event, Watcher

PERCENT = ("nme_", "pck_", "auc_", "failure_rate_")


def number(name: str, value: float | None) -> str:
    """A metric as people read it: shares in per cent, the rest with three digits."""
    if value is None:
        return "-"
    return f"{100 * value:.2f} %" if name.startswith(PERCENT) else f"{value:.3g}"


def metrics_table(metrics: Mapping[str, Mapping[str, float | None]], *, title: str) -> Table:
    """Value and 95 % interval of every metric."""
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, found in metrics.items():
        low, high = found["low"], found["high"]
        span = "-" if low is None or high is None else f"{number(name, low)} .. {number(name, high)}"
        table.add_row(name, number(name, found["value"]), span)
    return table


@contextmanager
def training_progress(console: Console, *, total_steps: int, metric: str) -> Iterator[Watcher]:
    """A bar with time left, loss and the last validation; plain lines where there is no terminal."""
    if not console.is_terminal:
        yield _Lines(console, metric=metric)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}  {task.fields[score]}"),
        console=console,
    )
    with bar:
        task = bar.add_task("training", total=total_steps, loss="", score="")

        def watch(event: Event) -> None:
            values = event.values
            shown: dict[str, Any] = {"completed": values["step"]}
            if event.kind == "train":
                shown["loss"] = f"loss {values['loss']:.4f}"
            else:
                shown["score"] = f"{metric} {number(metric, values.get(metric))}"
            bar.update(task, **shown)

        yield watch


class _Lines:
    """One line a validation, for logs and pipes."""

    def __init__(self, console: Console, *, metric: str) -> None:
        self.console, self.metric, self.loss = console, metric, float("nan")

    def __call__(self, event: Event) -> None:
        values = event.values
        if event.kind == "train":
            self.loss = values["loss"]
            return
        score = number(self.metric, values.get(self.metric))
        self.console.print(
            f"epoch {values['epoch']:g}  step {values['step']}  {values['seconds']:.0f} s  "
            f"loss {self.loss:.4f}  val loss {values['loss']:.4f}  {self.metric} {score}",
            highlight=False,
            soft_wrap=True,
        )
