"""The winner once more: fresh seeds of it and of the untouched recipe, compared as `sightline compare` does.

A winner was chosen among many, so some of its score is luck of the seeds; fresh ones have none. The pictures are the
same that chose it, and luck of the pictures stays: only data that nothing was chosen by can say more.
Next: result.py
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.compare.arms import arms_of
from sightline.compare.comparison import Comparison, Line, compare_arms
from sightline.compare.ladder import finished_run
from sightline.compare.plain import to_json
from sightline.compare.runs import read_runs, require_alike
from sightline.compare.words import notes, sentence, span
from sightline.config import Experiment, override
from sightline.locks import claim
from sightline.prepare import prepare
from sightline.report.words import describe
from sightline.sweep.trial import Search

FIRST_SEED = 1000  # trials have 0, 1, 2 ...
FOLDER, OWN = "recheck", "recipe"


@dataclass(frozen=True, kw_only=True, eq=False)
class Recheck:
    """What came out; `made` has the untouched recipe as baseline and one more arm."""

    made: Comparison
    folders: tuple[Path, ...]

    @property
    def line(self) -> Line:
        """The winner's."""
        return self.made.lines[1]

    def words(self) -> str:
        """Scores on fresh seeds, the difference, and the verdict."""
        own, best = self.made.lines
        metric = describe(self.made.metric)
        found = best.difference
        assert found is not None, "the second arm is compared with the first"
        return (
            f"On {len(best.arm.runs)} fresh seeds each: the best {metric.show(best.found.value)}, the untouched recipe "
            f"{metric.show(own.found.value)} ({metric.title}); difference {span(found.low, found.high, metric)}: "
            f"{sentence(best, self.made)}."
        )

    def to_json(self) -> dict[str, Any]:
        """As `sightline compare --json`, with the folders."""
        return to_json(self.made) | {"folders": [str(folder) for folder in self.folders], "notes": notes(self.made)}


def recheck(best: Experiment, search: Search, *, seeds: int) -> Recheck | None:
    """Train what is missing of both, and compare; None where another process is at it.

    Args:
        best: the winner's recipe.
        search: its base is the untouched recipe.
        seeds: of each, at least 2.

    Raises:
        UserError: a training went wrong.
        Interrupted: Ctrl-C; the same call goes on.
    """
    held = claim(search.out / FOLDER / ".lock")
    if held is None:
        return None
    folders: list[Path] = []
    try:
        pairs = ((search.out / FOLDER / OWN, search.space.base), (recheck_folder(search.out, best), best))
        for out, experiment in pairs:
            for seed in range(FIRST_SEED, FIRST_SEED + seeds):
                seeded = override(experiment, sets=[f"train.seed={seed}"])
                prepared = prepare(seeded, search.dataset, weight_folders=search.means.weight_folders)
                folders.append(finished_run(prepared, out / f"seed-{seed}", search.means))
    finally:
        held.release()
    return compared(folders)


def compared(folders: list[Path]) -> Recheck:
    """Read the runs of a recheck, the untouched recipe's first."""
    runs, _ = read_runs(folders, skip_broken=False)
    require_alike(runs)
    made = compare_arms(arms_of(runs), baseline=0, metric=runs[0].metric, size=None)
    return Recheck(made=made, folders=tuple(folders))


def recheck_folder(out: Path, best: Experiment) -> Path:
    """Of a winner's fresh runs; the winner may be another one after more trials, and then has a folder of its own."""
    settings = override(best, sets=["train.seed=0"]).to_yaml()
    return out / FOLDER / f"best-{hashlib.blake2b(settings.encode(), digest_size=3).hexdigest()}"
