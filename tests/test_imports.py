"""Imports go one way, down the list of layers; and what only looks at labels starts without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
PACKAGE = SOURCE / "sightline"

# The one list. A file or folder imports only from those before it (and, in a folder, from its own files).
LAYERS = (  # noqa: SIM905 (easier to read and to order than a column)
    "errors cores settings files locks shard_cache members records geometry types image_headers images video view scan "
    "shards skeletons readers stratify splits drawn "
    "iou_crop moving pieces assign anchors backbones necks context heads codecs config task_data transforms mosaic "
    "shard_order loader "
    "model inspect fold metrics calibration checkpoint devices processes infer evaluate optim start donor "
    "feature_store features train "
    "writers report recipes data_fit prepare pipeline tasks answers runtime predict finders predict_files speed "
    "track bulk compare audit sweep sinks small_data export doctor labelling bench terminal cli __main__"
).split()

WITHOUT_TORCH = (
    "errors", "settings", "records", "geometry", "files", "image_headers", "images", "video.source", "scan",
    "skeletons", "readers", "splits", "drawn.faces", "drawn.rallies", "drawn.rally_folder", "metrics.points", "writers",
    "calibration.fit", "calibration.told",
    "report.page", "view", "evaluate", "task_data", "answers", "runtime", "doctor", "compare.comparison",
    "compare.table", "compare.journey", "track.artefact_stage", "sweep.storage", "sweep.tried", "sweep.claims",
    "processes", "sinks.live", "sinks.runs", "labelling.next", "labelling.merge", "shards.write", "shards.remote",
    "bulk.part", "bulk.on_ray", "bulk.run", "cli",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """Dotted name below the package -> file; the package's own file is ''."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """The package's modules that a file imports, inside functions and for type checking too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            # `from package import module` names a module, `from module import thing` does not.
            names |= {f"{module}.{a.name}" if f"{module}.{a.name}" in DOTTED else module for a in node.names}
    return {name.removeprefix("sightline").removeprefix(".") for name in names if name.split(".")[0] == "sightline"}


DOTTED = {f"sightline.{name}" for name in MODULES}


def test_every_file_has_its_place_in_the_list() -> None:
    assert len(set(LAYERS)) == len(LAYERS)
    assert {name.split(".")[0] for name in MODULES if name} == set(LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_a_file_imports_only_from_earlier_layers(name: str) -> None:
    layer = name.split(".")[0]
    for other in imported(MODULES[name]):
        other_layer = other.split(".")[0]
        if other_layer and other_layer != layer:
            place, other_place = LAYERS.index(layer), LAYERS.index(other_layer)
            assert other_place < place, f"{name} imports {other}, which comes later"


def test_no_files_import_each_other_in_a_circle() -> None:
    left = {name: imported(path) & MODULES.keys() - {name} for name, path in MODULES.items()}
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def in_a_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env={"PYTHONPATH": str(SOURCE)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_looks_at_labels_only_starts_without_torch() -> None:
    code = "import importlib, sys\n"
    for name in WITHOUT_TORCH:
        code += f"importlib.import_module('sightline.{name}')\n"
        code += f"assert 'torch' not in sys.modules, 'sightline.{name} imports torch'\n"
    in_a_process(code + "assert 'pandas' not in sys.modules and 'matplotlib' not in sys.modules\n")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"]])
def test_help_comes_without_torch(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["sightline", *{arguments!r}]
from sightline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert "torch" not in sys.modules
assert "sightline.config" not in sys.modules
"""
    assert in_a_process(code)


def test_checking_a_data_set_needs_no_torch(faces: Path) -> None:
    code = f"""
import sys
sys.argv = ["sightline", "check", {str(faces)!r}]
from sightline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert "torch" not in sys.modules
"""
    assert "16 records" in in_a_process(code)


def test_importing_the_package_does_nothing() -> None:
    in_a_process("import sys, sightline\nassert 'numpy' not in sys.modules\nassert 'torch' not in sys.modules")
