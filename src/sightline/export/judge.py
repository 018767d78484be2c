"""Is an int8 artefact good enough, and worth it? By the task's own metric, and by its time. Next: latency.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sightline.evaluate import scoring_for
from sightline.export.frames import Frames
from sightline.export.parity import look
from sightline.geometry import Box
from sightline.images import read_image
from sightline.infer import Found
from sightline.predict import Predictor
from sightline.runtime.artefact import Artefact
from sightline.runtime.card import LatencyCard, ParityCard
from sightline.view import base_box, jittered_box

WORSE = 0.01  # so much worse, as a share of the run's metric, int8 may be


class Judge:
    """The run's answers to labelled pictures, and their score."""

    def __init__(self, predictor: Predictor, chosen: Frames) -> None:
        """Score the run.

        Args:
            predictor: the run.
            chosen: with labelled records.
        """
        self.channels, self.evaluate, self.chosen = predictor.channels, predictor.experiment.evaluate, chosen
        self.scoring = scoring_for(predictor.experiment)
        self._run = self._score(lambda image, area: look(predictor, image, area))
        self.metric = self.scoring.choose(self._run)

    def judged(self, parity: ParityCard, artefact: Artefact) -> tuple[ParityCard, str | None]:
        """The task's own metric of both, and why int8 is refused, if it is."""
        run, found = self._run[self.metric], self._score(artefact.look).get(self.metric)
        told = parity.model_copy(update={"metric": self.metric, "metric_run": run, "metric_artefact": found})
        count, less_is_better = len(self.chosen.records), self.scoring.less_is_better
        return told, metric_refusal(
            self.metric, run, found, less_is_better=less_is_better, on=f"{count} labelled pictures"
        )

    def _score(self, look_at: Callable[[np.ndarray, Box], Found]) -> dict[str, float]:
        found: list[Found] = []
        for record in self.chosen.records:
            image = read_image(record.path, channels=self.channels)
            area = base_box(record, (image.shape[0], image.shape[1]), self.chosen.data)
            if self.chosen.data.crop != "image" and self.evaluate.jitter:
                area = jittered_box(
                    area, amount=self.evaluate.jitter, seed=self.evaluate.seed, image_id=record.image_id
                )
            found.append(look_at(image, area))
        return self.scoring.quick(found, self.chosen.records)


def metric_refusal(metric: str, run: float, artefact: float | None, *, less_is_better: bool, on: str) -> str | None:
    """Why int8 is refused: its metric is worse by more than WORSE of the run's; None where it is not.

    Args:
        metric: its name.
        run: its value for the run.
        artefact: its value for the artefact.
        less_is_better: of the metric.
        on: what it was measured on, in words.
    """
    if not np.isfinite(run) or (run <= 0 and not less_is_better):
        return (
            f"int8 is judged by {metric}, and the run itself has {run:.4f} on {on}; train it longer, or give data "
            "like those that it was trained on by --data"
        )
    if artefact is None or not np.isfinite(artefact):
        return f"int8 has no {metric} on {on}"
    loss = (artefact - run if less_is_better else run - artefact) / max(abs(run), 1e-12)
    if loss <= WORSE:
        return None
    return (
        f"int8 has {metric} {artefact:.4f} where the run has {run:.4f} on {on}: {loss:.1%} worse, allowed {WORSE:.0%}"
    )


def time_refusal(*, int8_ms: float, float_ms: float, of: str = "the file") -> str | None:
    """Why int8 is refused: it costs accuracy and gains no time; None where it gains some."""
    if int8_ms < float_ms:
        return None
    return (
        f"{of} in int8: {int8_ms:.2f} ms (median), in single precision: {float_ms:.2f} ms, measured in turn; int8 "
        "gains no time on this processor. Export without --int8"
    )


def latency_refusal(latency: LatencyCard) -> str | None:
    """`time_refusal` by a card."""
    assert latency.fp32_p50_ms is not None
    return time_refusal(int8_ms=latency.p50_ms, float_ms=latency.fp32_p50_ms)
