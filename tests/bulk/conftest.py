"""One exported model of points for all tests of bulk prediction."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "track"))  # its small trackers and videos


@pytest.fixture(scope="session")
def points_file(trained: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained tiny run of points as an ONNX artefact."""
    from sightline.export.run import export_run

    out = tmp_path_factory.mktemp("bulk") / "points.onnx"
    export_run(trained, out, engine="onnx", data=faces, frames=4, threads=1, repeats=1)
    return out
