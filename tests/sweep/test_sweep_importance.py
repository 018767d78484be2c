"""What mattered: found where one setting alone decides, uncertain where trials are few, silent where they are fewer."""

from __future__ import annotations

import math

import numpy as np

from sightline.sweep.importance import LEAST, importances
from sightline.sweep.space import read_space
from sightline.sweep.storage import require_optuna
from sightline.sweep.tried import Tried

DIMENSIONS, _ = read_space(["a.rate=1e-4..1:log", "a.share=0.0..1.0", "a.name=p,q,r"])


def trials(count: int, *, seed: int = 0) -> list[Tried]:
    """Scores that the rate alone decides."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        rate = float(10 ** chance.uniform(-4, 0))
        drawn = {"a.rate": rate, "a.share": float(chance.uniform()), "a.name": str(chance.choice(["p", "q", "r"]))}
        score = abs(math.log10(rate) + 2)
        found.append(Tried(number=number, state="complete", drawn=drawn, scores={0: score}, means={}))
    return found


def test_the_setting_that_decides_is_found_and_more_trials_make_it_surer() -> None:
    require_optuna()
    few, many = (importances(trials(count), DIMENSIONS, less_is_better=True) for count in (10, 60))
    assert many[0].name == few[0].name == "a.rate"
    assert many[0].low > max(each.high for each in many[1:]), "its range is clear of all others"
    assert many[0].high - many[0].low < few[0].high - few[0].low
    for each in (*few, *many):
        assert 0 <= each.low <= each.high <= 1
    assert math.isclose(sum(each.value for each in many), 1, rel_tol=1e-6)


def test_too_few_trials_and_equal_scores_say_nothing() -> None:
    require_optuna()
    assert importances(trials(LEAST - 1), DIMENSIONS, less_is_better=True) == []
    assert importances(trials(20), DIMENSIONS[:1], less_is_better=True) == []
    same = [
        Tried(number=i, state="complete", drawn=t.drawn, scores={0: 0.5}, means={}) for i, t in enumerate(trials(20))
    ]
    assert importances(same, DIMENSIONS, less_is_better=True) == []
