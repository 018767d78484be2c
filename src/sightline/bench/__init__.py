"""Speed, memory and exactness, side by side in one run: only ratios travel between machines.

`sightline bench` prints what `run` returns. Next: cli/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sightline.bench.anchor_matching import run_anchor_matching
from sightline.bench.average_precision import run_average_precision
from sightline.bench.decode import run_decode
from sightline.bench.loader import run_loader
from sightline.bench.result import BenchResult
from sightline.bench.step import run_step
from sightline.bench.suppression import run_suppression
from sightline.bench.targets import run_targets
from sightline.errors import unknown_name

BENCHMARKS: dict[str, Callable[..., BenchResult]] = {
    "targets": run_targets,
    "decode": run_decode,
    "loader": run_loader,
    "step": run_step,
    "anchor-matching": run_anchor_matching,
    "average-precision": run_average_precision,
    "suppression": run_suppression,
}


def run(names: Sequence[str], *, quick: bool) -> list[BenchResult]:
    """Run benchmarks by name, all of them where no name is given.

    Args:
        names: keys of BENCHMARKS.
        quick: smaller sizes and fewer repeats, each within half a minute.

    Raises:
        UserError: an unknown name.
    """
    for name in names:
        if name not in BENCHMARKS:
            raise unknown_name("benchmark", name, BENCHMARKS)
    return [BENCHMARKS[name](quick=quick) for name in (names or BENCHMARKS)]
