"""A comparison as plain values with stable keys, for other programs.

Next: cost.py
"""

from __future__ import annotations

from typing import Any

from sightline.compare.comparison import Comparison, Line
from sightline.compare.components import LEVEL
from sightline.compare.words import notes, sentence


def to_json(made: Comparison) -> dict[str, Any]:
    """With stable keys."""
    return {
        "task": made.first_run.task,
        "metric": made.metric,
        "less_is_better": made.less_is_better,
        "level": LEVEL,
        "pictures": made.pictures,
        "units": made.units,
        "data_fingerprint": made.first_run.fingerprint,
        "baseline": made.lines[made.baseline].arm.name,
        "arms": [_line_to_json(line, made) for line in made.lines],
        "notes": notes(made),
    }


def _line_to_json(line: Line, made: Comparison) -> dict[str, Any]:
    found = line.difference
    told = None
    if found is not None:
        wanted = found.plan
        told = {
            "value": found.found.value, "low": found.low, "high": found.high,
            "covers": "pictures" if found.found.seeds is None else "pictures and seeds",
            "p": found.p, "p_corrected": found.p_corrected, "identical": found.is_identical,
            "plan": None if wanted is None else {
                "size": wanted.size, "enough": wanted.is_enough, "least": wanted.least,
                "options": [{"seeds": seeds, "units": units} for seeds, units in wanted.options],
            },
        }  # fmt: skip
    return {
        "name": line.arm.name,
        "runs": [str(run.path) for run in line.arm.runs],
        "seeds": list(line.arm.seeds),
        "value": line.found.value,
        "low": line.low,
        "high": line.high,
        "covers": "pictures" if line.found.seeds is None else "pictures and seeds",
        "seed_spread": line.spread,
        "difference": told,
        "verdict": None if found is None else found.verdict,
        "on_these_runs": None if found is None else found.on_these_runs,
        "words": sentence(line, made),
        "changes": [{"key": one.key, "before": one.before, "after": one.after} for one in line.changes],
        "cost": None if line.cost is None else line.cost.to_json(),
        "pareto": line.on_front,
    }
