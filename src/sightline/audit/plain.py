"""An audit as plain values with stable keys, for other programs.

Next: chart.py
"""

from __future__ import annotations

from typing import Any

from sightline.audit.findings import CHECKS, plain_numbers
from sightline.audit.run import Audit
from sightline.audit.skew import Row


def to_json(made: Audit) -> dict[str, Any]:
    """With stable keys."""
    return {
        "run": str(made.run),
        "data": str(made.data),
        "task": made.task,
        "metric": made.metric.name,
        "less_is_better": made.metric.less_is_better,
        "main_part": made.main,
        "parts": [
            {
                "name": part.name,
                "pictures": len(part.records),
                "of": part.total,
                "metric": made.plain[part.name][0],
                "loss": made.plain[part.name][1],
            }
            for part in made.parts
        ],
        "rows": [_row(row) for row in made.rows],
        "findings": [
            {
                "id": finding.id,
                "severity": finding.severity,
                "part": finding.part,
                "text": finding.text,
                "todo": finding.todo,
                "numbers": finding.numbers,
            }
            for finding in made.findings
        ],
        "checks": dict(CHECKS),
        "notes": list(made.notes),
        "seconds": round(made.seconds, 1),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "condition": row.key,
        "axis": row.axis,
        "what": row.what,
        "level": row.level,
        "words": row.words,
        "part": row.part,
        "metric": None if row.metric is None else plain_numbers(row.metric),
        "loss": None if row.loss is None else plain_numbers(row.loss),
    }
