"""A bound that a stated share of new errors stays within, by score: split-conformal prediction.

The errors of n answers that were not trained on are sorted; the ceil((n + 1) * coverage)-th is the bound. Where new
answers are exchangeable with these, at least that share of them stays within, whatever the network (Vovk, Gammerman
and Shafer 2005; Lei et al. 2018). Within bins of the score the same holds for each bin (Mondrian conformal
prediction), so that sure answers get smaller bounds than unsure ones. Next: probability.py
"""

from __future__ import annotations

import math

import numpy as np

COVERAGE = 0.9
BINS = 5  # of scores, at most
LEAST_IN_BIN = 50


def answers_needed(coverage: float) -> int:
    """The fewest answers that a bound with this coverage can be made of: 9 for 90 %."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def conformal_quantile(errors: np.ndarray, *, coverage: float) -> float:
    """The ceil((n + 1) * coverage)-th smallest error; there must be that many."""
    # Less a trifle: (9 + 1) * 0.9 is not above 9, whatever its last bit.
    rank = math.ceil((len(errors) + 1) * coverage - 1e-9)
    assert 1 <= rank <= len(errors), (rank, len(errors))
    return float(np.partition(errors, rank - 1)[rank - 1])


def score_edges(scores: np.ndarray, *, bins: int = BINS, least: int = LEAST_IN_BIN) -> list[float]:
    """Scores that cut answers into `bins` bins at most, of about as many, `least` or more; equal ones stay together."""
    ordered = np.sort(scores)
    bins = max(1, min(bins, len(ordered) // least))
    edges: list[float] = []
    start = 0
    for number in range(1, bins):
        value = ordered[len(ordered) * number // bins]
        place = int(np.searchsorted(ordered, value, side="left"))
        if place - start >= least and len(ordered) - place >= least:
            edges.append(float(value))
            start = place
    return edges


def bounds_by_score(
    errors: np.ndarray, scores: np.ndarray, *, coverage: float, bins: int = BINS, least: int = LEAST_IN_BIN
) -> tuple[list[float], list[float], list[int]]:
    """The edges of bins of the score, the bound of each bin, and how many answers it was made of.

    Args:
        errors: [N], at least `answers_needed(coverage)` of them.
        scores: [N] of the same answers.
        coverage: the share of answers that each bound is for.
        bins: at most.
        least: answers in a bin.
    """
    assert errors.shape == scores.shape, (errors.shape, scores.shape)
    edges = score_edges(scores, bins=bins, least=max(least, answers_needed(coverage)))
    bin_of = np.searchsorted(edges, scores, side="right")
    groups = [errors[bin_of == number] for number in range(len(edges) + 1)]
    return edges, [conformal_quantile(group, coverage=coverage) for group in groups], [len(group) for group in groups]
