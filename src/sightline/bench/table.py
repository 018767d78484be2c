"""Benchmark results for people. Next: cli/."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sightline.bench.result import BenchResult


def print_results(results: Sequence[BenchResult], *, console: Console | None = None) -> None:
    """One table a benchmark, its notes below it."""
    console = console or Console()
    for result in results:
        table = Table(title=result.name, title_justify="left")
        for name in ("what", "ours", "other", "ratio", "unit", "more", "bar", "met"):
            table.add_column(name, justify="right" if name in ("ours", "other", "ratio") else "left")
        for line in result.rows:
            met = {None: "", True: "yes", False: "NO"}[line["met"]]
            more = ", ".join(f"{name} {value:.3g}" for name, value in line["extra"].items())
            ratio = "" if line["ratio"] is None else f"{line['ratio']:.1f}x"
            numbers = (_number(line["ours"]), _number(line["other"]), ratio)
            table.add_row(line["what"], *numbers, line["unit"], more, line["bar"], met)
        console.print(table)
        for note in result.notes:
            console.print(f"  {note}", highlight=False)
        console.print()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
