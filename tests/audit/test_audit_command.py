"""`sightline audit` for every task: rows, page, exit codes; and what it refuses."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from audit_runs import BOXES_YAML, ONE_BOX_YAML, untrained_run, write_clips

from sightline.drawn.plain_shapes import write_drawn_shapes

Cli = Callable[..., "object"]
SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(autouse=True)
def the_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def points_run(recipe_file: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two augmentations only: each adds two conditions to every audit."""
    recipe = re.sub(r"(?m)^augment: .*$", "augment: {flip: 0.5, noise_std: 0.02}", recipe_file.read_text())
    return untrained_run(tmp_path_factory.mktemp("points") / "run", faces, recipe)


def audited(cli: Cli, run: Path, data: Path, *more: object) -> dict:
    ran = cli("audit", run, "--data", data, "--device", "cpu", "--json", *more)
    assert ran.code == 0, ran.err
    return ran.json


def row(found: dict, condition: str, part: str = "val") -> dict:
    return next(one for one in found["rows"] if (one["condition"], one["part"]) == (condition, part))


def test_points_are_audited_on_both_parts(cli: Cli, points_run: Path, faces: Path) -> None:
    found = audited(cli, points_run, faces, "--images", 6)
    assert [(part["name"], part["pictures"], part["of"]) for part in found["parts"]] == [
        ("train", 6, 12), ("val", 4, 4)
    ]  # fmt: skip
    assert found["main_part"] == "val"
    assert found["metric"] == "nme_interocular"
    assert row(found, "noise:doubled")["metric"]["plain"] == pytest.approx(found["parts"][1]["metric"])
    assert {"flip:on", "flip:doubled", "all:on", "jpeg:mild", "shift:strong", "strangers"} <= {
        one["condition"] for one in found["rows"]
    }
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert found["page"] == str(points_run / "audit.html")
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert page.count('class="forest"') == 2


def test_the_plain_row_is_what_evaluate_says(cli: Cli, points_run: Path, faces: Path) -> None:
    found = audited(cli, points_run, faces, "--split", "val")
    known = cli("evaluate", points_run, "--data", faces, "--split", "run-val", "--device", "cpu", "--json").json
    assert found["parts"][0]["metric"] == pytest.approx(known["metrics"]["nme_interocular"]["value"], rel=1e-6)


def test_an_untrained_network_ignores_the_picture_and_strict_says_so_by_its_exit_code(
    cli: Cli, points_run: Path, faces: Path
) -> None:
    ran = cli("audit", points_run, "--data", faces, "--device", "cpu", "--split", "train", "--strict")
    assert ran.code == 1
    assert "ignores-picture" in ran.out
    assert "Only training pictures" in ran.out


def test_one_box_and_boxes_are_audited(cli: Cli, tmp_path: Path) -> None:
    single = write_drawn_shapes(tmp_path / "single", count=8, val_count=4, seed=0, size_hw=(64, 64), objects=1)
    found = audited(cli, untrained_run(tmp_path / "one", single, ONE_BOX_YAML), single, "--split", "val")
    assert (found["task"], found["metric"]) == ("one-box", "score")
    many = write_drawn_shapes(tmp_path / "many", count=8, val_count=4, seed=0, size_hw=(64, 64))
    found = audited(cli, untrained_run(tmp_path / "many-run", many, BOXES_YAML), many, "--split", "val")
    assert (found["task"], found["metric"]) == ("boxes", "ap")
    assert any("augment.mosaic" in note for note in found["notes"])
    assert row(found, "jpeg:strong")["loss"]["value"] > 0


def test_tracks_are_audited_with_their_past(cli: Cli, tmp_path: Path) -> None:
    from sightline.config import AugmentConfig, override
    from sightline.recipes.track_ball import track_ball_coarse

    clips = write_clips(tmp_path / "clips")
    sets = ["data.input_hw=[32,64]", "backbone.widths=[8]", "backbone.blocks=[1]"]
    experiment = override(track_ball_coarse(), sets=sets).model_copy(update={"augment": AugmentConfig(hue=0.1)})
    found = audited(cli, untrained_run(tmp_path / "run", clips, experiment), clips, "--images", 3)
    assert found["task"] == "track"
    assert {part["name"] for part in found["parts"]} == {"train", "val"}
    assert np.isfinite(row(found, "noise-random:strong")["loss"]["value"])


def test_mirrored_pictures_are_scored_with_twins_put_back(points_run: Path, faces: Path) -> None:
    """A model that answers with the truth, seen in the mirror, is as good as on plain pictures."""
    import torch

    from sightline.audit.conditions import conditions
    from sightline.audit.measure import Subject, measure
    from sightline.audit.run import _fitting, _pictures
    from sightline.checkpoint import RunFolder
    from sightline.evaluate import scoring_for
    from sightline.pipeline import load_run
    from sightline.prepare import load_data

    folder = RunFolder(points_run)
    dataset, experiment = _fitting(folder.experiment(), load_data(faces, skip_broken=False))
    _, codec = load_run(folder)
    mirrored = conditions(experiment.augment.model_copy(update={"flip": 1.0, "noise_std": 0.0}))
    condition = next(one for one in mirrored if one.key == "flip:on")
    truths: list = []

    class Oracle(torch.nn.Module):
        def forward(self, *seen: torch.Tensor) -> object:
            return codec.perfect(codec.encode(truths.pop(0)))

    import sightline.audit.measure as module

    def remembering(samples: list) -> object:
        batch = module_collate(samples)
        truths.append(batch.truth)
        return batch

    module_collate, module.collate = module.collate, remembering
    try:
        subject = Subject(model=Oracle(), codec=codec, experiment=experiment,  # type: ignore[arg-type]
                          scoring=scoring_for(experiment), device="cpu")  # fmt: skip
        found = measure(subject, _pictures(dataset.records, experiment), condition)
    finally:
        module.collate = module_collate
    assert found.evaluation.metrics["median_error_px"].value < 0.01


# ---- what is refused


def refused(cli: Cli, *arguments: object) -> str:
    ran = cli("audit", *arguments, "--device", "cpu")
    assert ran.code == 2, ran.out
    return ran.err.replace("\n", " ")


def test_a_wrong_run_part_or_number_is_refused(cli: Cli, points_run: Path, faces: Path, tmp_path: Path) -> None:
    assert "config.yaml" in refused(cli, tmp_path, "--data", faces)
    assert "Did you mean 'train'" in refused(cli, points_run, "--data", faces, "--split", "trian")
    assert "at least 1" in refused(cli, points_run, "--data", faces, "--images", 0)
    assert "has no record of the part 'data'" in refused(cli, points_run, "--data", faces, "--split", "data")


def test_a_run_killed_half_way_or_damaged_is_refused(cli: Cli, points_run: Path, faces: Path, tmp_path: Path) -> None:
    shutil.copytree(points_run, young := tmp_path / "young", ignore=shutil.ignore_patterns("best.safetensors"))
    assert "has not finished a validation yet" in refused(cli, young, "--data", faces)
    shutil.copytree(points_run, broken := tmp_path / "broken")
    (broken / "split.json").write_text('{"train": [')
    assert "split.json is damaged" in refused(cli, broken, "--data", faces)
    (broken / "split.json").unlink()
    (broken / "best.safetensors").write_bytes(b"half")
    assert "damaged" in refused(cli, broken, "--data", faces)


def test_data_of_another_task_are_refused(cli: Cli, points_run: Path, tmp_path: Path) -> None:
    shapes = write_drawn_shapes(tmp_path / "shapes", count=4, val_count=2, seed=0, size_hw=(64, 64))
    assert "points" in refused(cli, points_run, "--data", shapes)


def test_one_picture_is_audited_and_nothing_is_claimed(cli: Cli, points_run: Path, faces: Path, tmp_path: Path) -> None:
    (run := tmp_path / "run").mkdir()
    for name in ("config.yaml", "best.safetensors"):
        shutil.copy(points_run / name, run)
    found = audited(cli, run, faces, "--images", 1)
    assert [part["name"] for part in found["parts"]] == ["data"]
    assert found["findings"] == []
    assert all(one["metric"]["verdict"] == "cannot tell" for one in found["rows"] if one["metric"])
    assert any("can show large effects at most" in note for note in found["notes"])


def test_help_comes_without_torch() -> None:
    code = (
        "import sys\nsys.argv = ['sightline', 'audit', '--help']\nfrom sightline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)})
    assert done.returncode == 0, done.stderr
    assert "augmentation" in done.stdout


def test_json_is_plain(cli: Cli, points_run: Path, faces: Path) -> None:
    found = audited(cli, points_run, faces, "--images", 2, "--split", "val", "--html", points_run / "other.html")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["page"].endswith("other.html")
