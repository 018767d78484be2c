"""`sightline bench`: speed and memory against other ways of doing the same."""

from __future__ import annotations

from sightline.cli import console
from sightline.cli.options import Flag


def bench(names: list[str] | None = None, /, *, quick: Flag = False, json: Flag = False) -> int:
    """Measure speed and memory side by side, as ratios of one run. Exit code 1 where a bar is missed.

    Args:
        names: which benchmarks; all when not given.
        quick: small sizes, a minute or so.
        json: print the result as JSON.
    """
    from sightline.bench import run as run_benchmarks
    from sightline.bench.table import print_results

    results = run_benchmarks(names or [], quick=quick)
    if json:
        console.print_json([result.to_json() for result in results])
    else:
        print_results(results)
    return 0 if all(result.met for result in results) else 1
