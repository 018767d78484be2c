"""What each arm costs: parameters, operations, latency and memory, measured in one go on this machine.

Torch is loaded only when something is measured.
Next: table.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightline.compare.arms import Arm
from sightline.compare.runs import Run
from sightline.errors import UserError
from sightline.report.prediction_rows import check_rows
from sightline.report.values import section

PICTURES = 32
ROUNDS = 3  # of all arms in turn, so that a machine that slows down does so for all


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one prediction, on this machine.

    Attributes:
        parameters: of the whole model.
        flops: of one picture, two for a multiply-add.
        latency_ms: median of one picture, from decoded pixels to the answer; the least of the rounds.
        memory_mb: at the peak of one training step of one picture, in 2**20 bytes.
        threads: of the processor.
    """

    parameters: int
    flops: int
    latency_ms: float
    memory_mb: float
    threads: int

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)


def measure(arms: Sequence[Arm], *, forwards: int = 20) -> list[Cost]:
    """Measure the first run of each arm, all in turn.

    Args:
        arms: of runs whose weights are there.
        forwards: pictures of each round.

    Raises:
        UserError: weights are missing, or none of the evaluated pictures is where it was.
    """
    from sightline.checkpoint import RunFolder
    from sightline.inspect import inspect, measured_peak
    from sightline.predict import Predictor
    from sightline.speed import measure_speed

    runs = [arm.runs[0] for arm in arms]
    predictors = [Predictor.load(run.weights) for run in runs]
    pictures = pictures_of(runs[0])
    speeds = [[measure_speed(one, pictures, forwards=forwards) for one in predictors] for _ in range(ROUNDS)]
    costs = []
    for place, run in enumerate(runs):
        experiment = RunFolder(run.weights).experiment()
        facts = inspect(experiment)
        costs.append(
            Cost(
                parameters=facts.parameters["total"],
                flops=facts.flops,
                latency_ms=min(one[place].median_ms for one in speeds),
                memory_mb=measured_peak(experiment) / 2**20,
                threads=speeds[0][place].threads,
            )
        )
    return costs


def pictures_of(run: Run) -> list[Path]:
    """Some of the pictures that a run was evaluated on, as far as they are still there.

    Raises:
        UserError: none is.
    """
    import json

    path = run.path / "evaluation" / "predictions.json"
    try:
        rows = check_rows(json.loads(path.read_text(encoding="utf-8")), path=path)
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}). Evaluate the run again.") from error
    root = Path(str(section(run.info, "data").get("root", "")))
    named = [Path(str(row.get("path", ""))) for row in rows[:PICTURES]]
    there = [each for path in named for each in (path, root / path) if each.is_file()]
    if not there:
        raise UserError(
            f"None of the pictures that {path} names is where it was, so speed cannot be measured. Bring the data "
            "back, or leave --measure out."
        )
    return there


def front(scores: Sequence[float], costs: Sequence[Cost], *, less_is_better: bool) -> list[bool]:
    """Which arms are on the Pareto front: no other is as good in score and all costs and better in one of them."""
    points = [
        (value if less_is_better else -value, cost.parameters, cost.flops, cost.latency_ms, cost.memory_mb)
        for value, cost in zip(scores, costs, strict=True)
    ]
    return [
        not any(other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in points)
        for one in points
    ]
