"""An artefact in a process of its own: the commands work on it and torch is never imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.export.run import Exported, export_run

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="module")
def points_file(trained: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Exported]:
    out = tmp_path_factory.mktemp("artefacts") / "points.onnx"
    return out, export_run(trained, out, engine="onnx", data=faces, frames=4, threads=1, repeats=5)


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process that fails as soon as torch has been imported."""
    code = f"""
import sys
sys.argv = ["sightline", *{[str(a) for a in arguments]!r}]
from sightline.cli import main
try:
    main()
finally:
    assert not [name for name in ("torch", "torchvision", "timm") if name in sys.modules], "torch was imported"
"""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(SOURCE)}
    )


def test_predict_and_evaluate_need_no_torch_and_agree_with_the_run(
    points_file: tuple[Path, Exported], trained: Path, faces: Path, tmp_path: Path, cli: object
) -> None:
    artefact, _ = points_file
    ran = without_torch("evaluate", artefact, "--data", faces, "--json", "--out", tmp_path / "scored")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    wanted = cli("evaluate", trained, "--data", faces, "--json").json  # type: ignore[operator]
    assert found["images"] == wanted["images"] == 16
    assert found["normaliser"] == wanted["normaliser"]
    for name, value in wanted["metrics"].items():
        assert found["metrics"][name]["value"] == pytest.approx(value["value"], abs=1e-3), name
    assert (tmp_path / "scored" / "report.html").stat().st_size > 1000
    ran = without_torch("predict", artefact, faces, "--out", tmp_path / "out", "--json", "--no-overlay")
    assert ran.returncode == 0, ran.stderr
    run = cli("predict", trained, faces, "--out", tmp_path / "run", "--json", "--no-overlay").json  # type: ignore[operator]
    for one, other in zip(json.loads(ran.stdout), run, strict=True):
        assert one["image_id"] == other["image_id"]
        for a, b in zip(one["points_xy"], other["points_xy"], strict=True):
            assert a == pytest.approx(b, abs=0.05)


def test_settings_of_the_scoring_can_be_changed_and_those_of_the_model_not(
    points_file: tuple[Path, Exported], faces: Path, cli: object
) -> None:
    artefact, _ = points_file
    wide = cli("evaluate", artefact, "--data", faces, "--json", "--set", "evaluate.jitter=0.3").json  # type: ignore[operator]
    assert wide["crop"] == "points, jittered by 0.3"
    ran = cli("evaluate", artefact, "--data", faces, "--set", "data.input_hw=[9,9]")  # type: ignore[operator]
    assert ran.code == 2
    assert "data.input_hw" in ran.err
    ran = cli("evaluate", artefact, "--data", faces, "--split", "run-val")  # type: ignore[operator]
    assert ran.code == 2
    assert "an exported" in ran.err and "does not know them" in ran.err
    ran = cli("evaluate", artefact, "--data", faces, "--set", "evaluate.jitter=much")  # type: ignore[operator]
    assert ran.code == 2
    assert "evaluate.jitter" in ran.err
