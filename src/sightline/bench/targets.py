"""(a) Target encoding and loss of 68 points: factors and closed forms against dense targets.

Time and peak memory at 56 x 56 and 224 x 224 maps, forward alone and with the gradient.
Next: decode.py
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from sightline.bench.clock import interleaved, median_ratio, torch_threads
from sightline.bench.dense import LOSS_KINDS
from sightline.bench.peak_memory import peak_bytes
from sightline.bench.result import BenchResult, row
from sightline.bench.ways import Case, make_inputs, make_ways

MIB = 2**20
BAR_SIDE = 224
FASTER, SMALLER = 5.0, 10.0


def run_targets(*, quick: bool) -> BenchResult:
    """The sizes of the bar; `quick` takes a batch of 4 and 16, and one thread."""
    threads = (1,) if quick or torch.get_num_threads() == 1 else (1, torch.get_num_threads())
    return measure(sizes=((56, 16), (BAR_SIDE, 4)) if quick else ((56, 64), (BAR_SIDE, 64)), threads=threads)


def measure(
    *, sizes: tuple[tuple[int, int], ...], threads: tuple[int, ...] = (1,), num_points: int = 68, repeats: int = 5
) -> BenchResult:
    """Time and memory for pairs of (side of the map, batch)."""
    rows: list[dict[str, Any]] = []
    cases = [
        Case(batch=batch, num_points=num_points, side=side, loss=loss, backward=backward)
        for side, batch in sizes
        for loss in LOSS_KINDS
        for backward in (False, True)
    ]
    for count in threads:
        with torch_threads(count):
            rows += [line for case in cases for line in _time_rows(case, repeats=repeats, threads=count)]
    rows += _memory_rows(cases)
    notes = (
        f"{num_points} points, batch {', '.join(f'{batch} at {side} x {side}' for side, batch in sizes)}; float32; "
        f"median of {repeats} rounds, the ways in turn; with one thread its processor time, else wall time.",
        "other = dense: exp((dx^2 + dy^2) / ..) for every cell, then torch's mse_loss, l1_loss, "
        "binary_cross_entropy_with_logits or cross_entropy; outer = dense too, but as a product of factors.",
        "memory: highest resident size over that with the logits in place, one process a measurement, one thread; "
        "'with gradient' counts the logits' gradient, which any way must hand over, the line below leaves it out. "
        "Less than 1 MiB counts as 1 in the ratio.",
    )
    return BenchResult(name="targets", rows=rows, notes=notes)


def _name(case: Case) -> str:
    return f"{case.loss} {case.side} x {case.side} {'forward + backward' if case.backward else 'forward'}"


def _time_rows(case: Case, *, repeats: int, threads: int) -> list[dict[str, Any]]:
    ways = make_ways(case, make_inputs(case))
    if not case.backward:
        del ways["outer"]  # the kinder rival is timed once for each loss: it is slow too
    clock = time.thread_time if threads == 1 else time.perf_counter
    seconds = interleaved(ways, repeats=repeats, clock=clock)  # type: ignore[arg-type]
    ratio = median_ratio(seconds["dense"], seconds["ours"])
    barred = case.side == BAR_SIDE
    extra = {"against_outer": median_ratio(seconds["outer"], seconds["ours"])} if case.backward else {}
    return [
        row(
            f"time: {_name(case)}, {threads} thread{'s' * (threads > 1)}",
            ours=1e3 * statistics.median(seconds["ours"]),
            other=1e3 * statistics.median(seconds["dense"]),
            ratio=ratio,
            unit="ms",
            bar=f">= {FASTER:g}x faster" if barred else "",
            met=ratio >= FASTER if barred else None,
            extra=extra,
        )
    ]


def _memory_rows(cases: list[Case]) -> list[dict[str, Any]]:
    asked = [Case(**{**case.to_json(), "way": way}) for case in cases for way in ("ours", "dense")]
    found = iter(peak_bytes(asked))
    rows = []
    for case in cases:
        ours, dense = next(found), next(found)
        if case.backward:
            rows.append(_memory_row(f"{_name(case)}, with gradient", ours, dense, barred=False))
            ours, dense = ours - case.logit_bytes, dense - case.logit_bytes
        rows.append(_memory_row(_name(case), ours, dense, barred=case.side == BAR_SIDE))
    return rows


def _memory_row(name: str, ours: int, dense: int, *, barred: bool) -> dict[str, Any]:
    ratio = dense / max(ours, MIB)  # the resident size is not known to less
    return row(
        f"memory: {name}",
        ours=max(0, ours) / MIB,
        other=dense / MIB,
        ratio=ratio,
        unit="MiB",
        bar=f">= {SMALLER:g}x less" if barred else "",
        met=ratio >= SMALLER if barred else None,
    )
