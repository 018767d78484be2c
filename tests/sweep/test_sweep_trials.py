"""Trials on made-up trainings: what prunes them, what stops a sweep, and how it goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_training import MadeUp, bowl, search_for

from sightline.compare.ladder import Interrupted
from sightline.errors import UserError
from sightline.sweep import board as board_module
from sightline.sweep import trial as trial_module
from sightline.sweep.claims import Silence
from sightline.sweep.result import Result
from sightline.sweep.run import search_all
from sightline.sweep.tried import Tried, best_of, front_of, read_tried

PROGRAM = Path(__file__).with_name("made_up_training.py")


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    made = MadeUp()
    monkeypatch.setattr(trial_module, "finished_run", made)
    return made


def swept(out: Path, faces: Path, *, trials: int, said: list[str] | None = None, **settings) -> list[Tried]:
    search = search_for(out, faces, say=(said if said is not None else []).append, **settings)
    return search_all(search, url=None, study_name="made-up", trials=trials)


# ---- scores and pruning


def test_a_score_is_the_mean_over_the_seeds_and_the_recipe_comes_first(
    tmp_path: Path, faces: Path, made_up: MadeUp
) -> None:
    tried = swept(tmp_path / "out", faces, trials=3, pruner="none")
    assert [each.number for each in tried] == [0, 1, 2]
    assert tried[0].drawn == {"train.lr": 0.01}  # the recipe's own
    assert tried[0].scores == pytest.approx({seed: bowl(0.01, seed, 8) for seed in range(3)})
    assert tried[0].score == pytest.approx(bowl(0.01, 1, 8)) and tried[0].spread == pytest.approx(0.002)
    assert tried[0].seconds == 8.0 and tried[0].metric == "nme_box"
    best = best_of(tried, less_is_better=True)
    assert best is not None and best.number == 0
    assert len({each.drawn["train.lr"] for each in tried}) == 3


def test_seeds_are_trained_to_each_stop_together(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    tried = swept(tmp_path / "out", faces, trials=1)
    recipe = "tiny-0000"
    # The stop is met at the first step after the validation of its epoch, which no further epoch follows.
    assert made_up.trained == [
        *[(recipe, seed, 1, 2) for seed in range(3)], *[(recipe, seed, 3, 4) for seed in range(3)],
        *[(recipe, seed, 5, 8) for seed in range(3)],
    ]  # fmt: skip
    assert tried[0].means == pytest.approx({25: bowl(0.01, 1, 2), 50: bowl(0.01, 1, 4)})


@pytest.mark.slow
def test_bad_trials_are_pruned_at_a_quarter_and_good_ones_never(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    tried = swept(tmp_path / "out", faces, trials=24)
    pruned = [each for each in tried if each.state == "pruned"]
    assert len(pruned) >= 5 and all(each.number >= board_module.STARTUP for each in pruned)
    whole = [each.score for each in tried if each.score is not None]
    for each in pruned:
        # The formula says what the trial would have come to: worse than the median of the others.
        would = bowl(float(each.drawn["train.lr"]), 1, 8)
        assert would > sorted(whole)[len(whole) // 2] - 1e-9 or would > min(whole)
        assert len(made_up_epochs(made_up, each)) == 3, "every seed was asked before it was given up"
    best = best_of(tried, less_is_better=True)
    assert best is not None and best.score == min(whole)


def made_up_epochs(made_up: MadeUp, tried: Tried) -> dict[int, int]:
    """Seed -> last epoch."""
    return {seed: last for recipe, seed, _, last in made_up.trained if recipe == f"tiny-{tried.number:04d}"}


@pytest.mark.parametrize("lucky", [0, 2])
def test_one_lucky_or_unlucky_seed_decides_nothing(
    tmp_path: Path, faces: Path, made_up: MadeUp, lucky: int
) -> None:  # fmt: skip
    """Trials above 0.1 have one seed far better than anything and two that are hopeless: they must not survive; and
    those below 0.001 have one seed far worse than the rest at first, and the best mean: they must not be given up."""

    def score(rate: float, seed: int, epoch: int) -> float:
        if rate > 0.1:
            return 0.001 if seed == lucky else 0.9
        if rate < 0.001:
            return 0.02 + (0.1 / epoch if seed == lucky else 0.0)
        return 0.2 + 0.01 * abs(rate - 0.01)

    made_up.score = score
    tried = swept(tmp_path / "out", faces, trials=18)
    late = [each for each in tried if each.number >= board_module.STARTUP]
    hopeless = [each for each in late if float(each.drawn["train.lr"]) > 0.1]
    good = [each for each in late if float(each.drawn["train.lr"]) < 0.001]
    assert hopeless and all(each.state == "pruned" for each in hopeless)
    assert good and all(each.state == "complete" for each in good)
    best = best_of(tried, less_is_better=True)
    assert best is not None and float(best.drawn["train.lr"]) < 0.001


def test_wilcoxon_pairs_seeds_and_waits_for_several(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    tried = swept(tmp_path / "out", faces, trials=8, seeds=6, pruner="wilcoxon")
    pruned = [each for each in tried if each.state == "pruned"]
    assert pruned
    for each in pruned:  # 1/16 is the first p below 0.1 that paired signs can give
        assert 4 <= len(each.scores) < 6


# ---- limits and objectives


def test_what_is_over_a_limit_is_not_the_best_and_is_not_trained(
    tmp_path: Path, faces: Path, made_up: MadeUp
) -> None:  # fmt: skip
    made_up.score = lambda rate, seed, epoch: 0.1
    texts = ["head.hidden=[8],[512]"]
    tried = swept(tmp_path / "out", faces, texts=texts, trials=6, limits={"parameters": 100_000.0})
    small = [each for each in tried if each.drawn["head.hidden"] == "[8]"]
    large = [each for each in tried if each.drawn["head.hidden"] == "[512]"]
    assert small and large
    assert {each.state for each in small} == {"complete"} and {each.state for each in large} == {"over the limit"}
    assert all("parameters" in each.error and not each.scores for each in large)
    assert not any(f"tiny-{each.number:04d}" == recipe for each in large for recipe, *_ in made_up.trained)


def test_two_objectives_make_a_front(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    tried = swept(
        tmp_path / "out", faces, texts=["train.lr=1e-3..1:log", "train.epochs=1..8"], trials=8, pruner="none",
        objectives=("time",), seeds=1,
    )  # fmt: skip
    assert all(each.state == "complete" for each in tried)
    front = front_of(tried, ("time",), less_is_better=True)
    points = [(each.score, each.seconds) for each in tried]
    for each in tried:  # by the definition, the long way
        beaten = any(a <= each.score and b <= each.seconds and (a, b) != (each.score, each.seconds) for a, b in points)
        assert (each in front) == (not beaten)


# ---- failing, stopping, going on


def test_a_sweep_whose_first_trials_all_fail_stops_and_says_why(
    tmp_path: Path, faces: Path, made_up: MadeUp
) -> None:  # fmt: skip
    made_up.score = lambda rate, seed, epoch: float("inf")
    with pytest.raises(UserError, match=r"3 trials in a row have failed.*The loss became inf\."):
        swept(tmp_path / "out", faces, trials=40)
    assert len(list((tmp_path / "out" / "trials").glob("*/trial.json"))) == 3
    made_up.score = bowl  # mended: the same command goes on
    tried = swept(tmp_path / "out", faces, trials=5)
    assert [each.state for each in tried] == ["failed"] * 3 + ["complete"] * 2
    assert read_tried(tmp_path / "out" / "trials" / "0000" / "trial.json").error == "The loss became inf."


def test_one_trial_that_fails_does_not_end_the_sweep(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    made_up.score = lambda rate, seed, epoch: float("inf") if rate > 0.1 else bowl(rate, seed, epoch)
    tried = swept(tmp_path / "out", faces, trials=12)
    assert len(tried) == 12
    assert {each.state for each in tried if float(each.drawn["train.lr"]) > 0.1} == {"failed"}


def test_fewer_trials_than_three_that_all_fail_are_told_too(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    made_up.score = lambda rate, seed, epoch: float("inf")
    with pytest.raises(UserError, match="2 trials in a row have failed"):
        swept(tmp_path / "out", faces, trials=2)


def test_ctrl_c_keeps_the_trial_and_the_same_call_goes_on(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    made_up.interrupt_at = 13  # in the second seed's way to the second stop
    with pytest.raises(Interrupted):
        swept(tmp_path / "out", faces, trials=2)
    before = list(made_up.trained)
    said: list[str] = []
    tried = swept(tmp_path / "out", faces, trials=2, said=said)
    assert any("trial 0: its process is gone" in line for line in said)
    assert [each.state for each in tried] == ["complete", "complete"]
    first = [(seed, begin, last) for recipe, seed, begin, last in made_up.trained if recipe == "tiny-0000"]
    epochs = [epoch for _, begin, last in first for epoch in range(begin, last + 1)]
    assert len(epochs) == 24, "no epoch of the trial was trained twice"
    assert before == made_up.trained[: len(before)]


def test_more_trials_are_added_and_no_hours_are_no_trials(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    assert len(swept(tmp_path / "out", faces, trials=2)) == 2
    search = search_for(tmp_path / "out", faces, say=[].append)
    assert len(search_all(search, url=None, study_name="made-up", trials=9, hours=1e-12)) == 2
    assert len(swept(tmp_path / "out", faces, trials=3)) == 3


@pytest.mark.slow
def test_the_draws_of_a_sweep_that_was_broken_off_are_those_of_one_that_was_not(
    tmp_path: Path, faces: Path, made_up: MadeUp
) -> None:
    whole = swept(tmp_path / "a", faces, trials=6, pruner="none")
    for trials in (2, 4, 6):
        parts = swept(tmp_path / "b", faces, trials=trials, pruner="none")
    assert [each.drawn for each in parts] == [each.drawn for each in whole]


def test_other_settings_are_another_study(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    swept(tmp_path / "out", faces, trials=1)
    with pytest.raises(UserError, match=r"other settings: what is searched .*was train.lr=0.0001..1.0:log and is now"):
        swept(tmp_path / "out", faces, trials=1, texts=["train.lr=1e-3..1:log"])
    with pytest.raises(UserError, match=r"--seeds was 3 and is now 5"):
        swept(tmp_path / "out", faces, trials=1, seeds=5)


def test_a_trial_of_a_silent_machine_is_tried_anew(
    tmp_path: Path, faces: Path, made_up: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up.interrupt_at = 5
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(board_module, "here", lambda out: "another-machine:/out")
        with pytest.raises(Interrupted):
            swept(tmp_path / "out", faces, trials=2)
    now = [0.0]
    monkeypatch.setattr(board_module, "Silence", lambda: Silence(longest=150, clock=lambda: now[0]))
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    said: list[str] = []
    tried = swept(tmp_path / "out", faces, trials=2, said=said)
    assert [each.state for each in tried] == ["lost", "complete", "complete"]
    assert tried[2].drawn == tried[0].drawn == {"train.lr": 0.01}
    assert any("another-machine:/out has fallen silent" in line for line in said)


# ---- several processes, and kills


def begin(out: Path, faces: Path, *, trials: int, seconds: float, url: str = "") -> subprocess.Popen[str]:
    arguments = [str(PROGRAM), str(out), str(faces), str(trials), str(seconds), *([url] if url else [])]
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def begun_runs(log: Path) -> list[tuple[str, str, str]]:
    return [tuple(line.split()[:3]) for line in log.read_text().splitlines() if line.endswith("begins")]  # type: ignore[misc]


def wait_for(happened: Callable[[], bool], *, seconds: float = 400) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_two_processes_on_one_folder_share_the_trials_and_a_killed_one_loses_nothing(
    tmp_path: Path, faces: Path
) -> None:
    out, log = tmp_path / "out", tmp_path / "log.txt"
    first, second = (begin(out, faces, trials=8, seconds=0.05) for _ in range(2))
    wait_for(lambda: log.is_file() and len({line[0] for line in begun_runs(log)}) == 2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said = ended(second)
    tried = [read_tried(path) for path in sorted((out / "trials").glob("*/trial.json"))]
    assert len(tried) == 8, said
    assert all(each.state in ("complete", "pruned") for each in tried)
    assert "its process is gone; it goes on here" in said
    workers: dict[str, set[str]] = {}
    for process, recipe, _ in begun_runs(log):
        workers.setdefault(recipe, set()).add(process)
    shared = [recipe for recipe, processes in workers.items() if len(processes) > 1]
    assert len(workers) == 8 and len(shared) <= 1, "only the killed process' trial was worked on by both"


@pytest.mark.slow
def test_a_trial_that_kills_its_process_is_given_up_after_three_times(tmp_path: Path, faces: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log.txt"
    for count in (1, 2, 3):
        process = begin(out, faces, trials=1, seconds=1.0)
        wait_for(lambda count=count: log.is_file() and len(begun_runs(log)) >= count)
        process.kill()
        process.communicate()
    process = begin(out, faces, trials=1, seconds=1.0)
    said, _ = process.communicate(timeout=400)
    assert process.returncode != 0 and "its process was killed 3 times" in said


def test_results_are_read_back_from_the_trials_own_files(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    from sightline.sweep.rebuild import rebuilt

    out = tmp_path / "out"
    tried = swept(out, faces, trials=9)
    (out / "journal.log").unlink()
    again = rebuilt(out)
    assert list(again.tried) == tried
    assert (out / "journal.log").is_file()
    more = swept(out, faces, trials=10)  # the journal made again is one that a sweep goes on with
    assert more[:9] == tried and len(more) == 10


def test_a_winner_is_told_as_plain_values(tmp_path: Path, faces: Path, made_up: MadeUp) -> None:
    search = search_for(tmp_path / "out", faces, say=[].append)
    tried = search_all(search, url=None, study_name="made-up", trials=2)
    found = Result(settings=search.settings, space=search.space, out=search.out, tried=tuple(tried))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["best"]["number"] == 0 and told["counts"] == {"complete": 2}
    assert found.own is not None and found.own.number == 0
