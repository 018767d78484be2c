"""Parts on Ray Data: the same files as without it, also when an actor is killed; and nothing of Ray stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sightline.bulk.inputs import find_units
from sightline.bulk.local import run_local
from sightline.bulk.model import ModelFile
from sightline.bulk.on_ray import _Actor, run_on_ray
from sightline.bulk.part import Done, DoPart
from sightline.bulk.plan import Plan, make_plan
from sightline.bulk.run import run_plan
from sightline.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DieOnce:
    """The work, whose actor kills itself when it first comes to one part."""

    work: DoPart
    number: int
    marker: Path

    def __call__(self, number: int) -> Done:
        if number == self.number and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(number)


def plan_of(out: Path, faces: Path, model: Path) -> Plan:
    units, _ = find_units([str(faces)], follows=False)
    return make_plan(out, units, model=model, score=None, format="jsonl", part=3)


def raylets() -> list[str]:
    """Ray's own process of this machine, where this process began one."""
    told = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if "raylet" in line and line.split()[0] == str(os.getpid())]


@pytest.mark.slow
def test_a_killed_actor_loses_and_doubles_nothing(points_file: Path, faces: Path, tmp_path: Path) -> None:
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors do not find tests by their name
    model = ModelFile(path=points_file, threads=1)
    plain = plan_of(tmp_path / "plain", faces, points_file)
    run_plan(plain, DoPart(plan=plain, model=model), engine=lambda work, left: run_local(work, left, workers=1))
    plan = plan_of(tmp_path / "on_ray", faces, points_file)
    dying = DieOnce(work=DoPart(plan=plan, model=model), number=2, marker=tmp_path / "died")
    made = run_plan(plan, dying, engine=lambda work, left: run_on_ray(work, left, workers=2))
    assert (tmp_path / "died").exists() and made.inputs == made.rows == 16
    rows = [sorted((tmp_path / name / "parts").glob("*.jsonl")) for name in ("plain", "on_ray")]
    assert [path.read_bytes() for path in rows[1]] == [path.read_bytes() for path in rows[0]]
    assert not ray.is_initialized() and not raylets()
    assert run_plan(plan, dying, engine=lambda work, left: run_on_ray(work, left, workers=2)).kept == 6


def test_a_mistake_of_the_users_comes_back_as_a_value() -> None:
    def full(number: int) -> Done:
        raise UserError(f"the disk is full at part {number}")

    assert _Actor(full)({"part": [3]}) == {
        "part": [3], "inputs": [0], "rows": [0], "errors": [0], "bytes": [0], "sha256": [""],
        "failed": ["the disk is full at part 3"],
    }  # fmt: skip
