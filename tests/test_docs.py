"""What README and docs say is true of the code: commands, links, names, examples."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cyclopts.exceptions import CycloptsError

from sightline import cli
from sightline.cli.choose import chosen
from sightline.cli.convert import SHARDS
from sightline.readers import FORMATS
from sightline.recipes import LADDERS, RECIPES
from sightline.recipes.trackers import TRACKERS
from sightline.writers import BOX_WRITERS, WRITERS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sightline"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
AN_ID = re.compile(r"[a-z]+(-[a-z]+)+")
COUNT = re.compile(r"\b(val_)?count=[1-9]\d*")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|tmp|home)/")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(text_of(page)) if found == language]


def commands() -> list[tuple[str, list[str]]]:
    """Every `sightline ...` line of a shell block: where it stands, and its words behind the program's name."""
    found = []
    for page in PAGES:
        for line in "\n".join(blocks(page, "sh")).splitlines():
            words = shlex.split(line, comments=True)
            if "sightline" in words:
                found.append((f"{page.name}: {line.strip()}", words[words.index("sightline") + 1 :]))
    return found


def inline_commands() -> list[tuple[str, str]]:
    """The commands that running text names, `sightline check DATA`."""
    found = []
    for page in PAGES:
        for name in re.findall(r"`sightline ([a-z-]+)[^`]*`", FENCE.sub("", text_of(page))):
            found.append((page.name, name))
    return found


def parse(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command's name and arguments, without running it."""
    command, bound, *_ = cli.app.parse_args(words, exit_on_error=False, print_error=False)
    return command.__name__, bound.arguments


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def problem_ids() -> set[str]:
    """Every id that the code gives to a problem of data."""
    ids: set[str] = set()
    others = [SOURCE / "scan.py", SOURCE / "images.py", SOURCE / "image_headers.py", SOURCE / "cli" / "check.py"]
    for path in [*SOURCE.glob("readers/*.py"), *SOURCE.glob("doctor/*.py"), *SOURCE.glob("video/*.py"), *others]:
        for function in ast.walk(ast.parse(text_of(path))):
            if isinstance(function, ast.FunctionDef):
                ids |= _ids_of(function)
    return ids


def _ids_of(function: ast.FunctionDef) -> set[str]:
    """The ids that stand in a function's calls; where a variable stands there, all texts that look like an id."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    given = [argument for call in calls for argument in _id_arguments(call)]
    ids = {str(argument.value) for argument in given if isinstance(argument, ast.Constant)}
    if any(isinstance(argument, ast.Name) and argument.id == "id" for argument in given):
        texts = {str(node.value) for node in ast.walk(function) if isinstance(node, ast.Constant)}
        ids |= {text for text in texts if AN_ID.fullmatch(text)}
    return ids


def _id_arguments(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that name a kind of problem: `findings.error("id", ...)`, `Problem(id=...)`."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("error", "warning", "note", "LabelError", "suspect", "_once"):
        return call.args[:1]
    if name in ("Problem", "_problem", "ImageError", "Fault", "VideoProblem", "VideoError"):
        return [keyword.value for keyword in call.keywords if keyword.arg in ("id", "fault")]
    return []


@pytest.fixture(scope="module")
def make_reference():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_of_the_docs_parses(where, words):
    if words == ["--help"]:
        return
    try:
        name, arguments = parse(words)
    except CycloptsError as error:
        pytest.fail(f"{where}\n{error}")
    recipe = str(arguments.get("recipe", "retinanet" if name == "anchors" else ""))
    if name in ("train", "inspect", "anchors") and not recipe.endswith((".yaml", ".yml", ".onnx", ".sightline")):
        stages = TRACKERS[recipe].stages().values() if recipe in TRACKERS else [recipe]
        for stage in stages:
            chosen(stage, arguments.get("use"), arguments.get("set"))
    formats = arguments.get("format") or [] if name == "predict" else [arguments["to"]] if name == "convert" else []
    assert set(formats) <= {*WRITERS, *BOX_WRITERS, SHARDS}, where


def test_the_docs_show_commands():
    assert len(commands()) > 20


def test_every_command_named_in_the_text_exists():
    known = {name for name in cli.app if not name.startswith("-")}
    wrong = [(page, name) for page, name in inline_commands() if name not in known]
    assert not wrong


def test_every_command_is_in_the_readme():
    readme = text_of(ROOT / "README.md")
    missing = [name for name in cli.app if not name.startswith("-") and f"`sightline {name}" not in readme]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_heading(page):
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name) if name else page
        assert path.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_compiles_and_imports_what_exists(page):
    for body in blocks(page, "python"):
        for node in ast.walk(ast.parse(body, filename=str(page))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sightline"):
                module = importlib.import_module(str(node.module))
                assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_ascii_and_name_no_machine_paths(page):
    text = text_of(page)
    assert text.isascii(), [line for line in text.splitlines() if not line.isascii()]
    assert not MACHINE_PATHS.search(text)


def test_every_problem_id_is_documented_and_no_other():
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", text_of(ROOT / "docs" / "data-problems.md"), re.MULTILINE))
    assert documented == problem_ids()


def test_every_format_is_in_the_tables():
    for page in (ROOT / "README.md", ROOT / "docs" / "formats.md"):
        missing = [name for name in {*FORMATS, *WRITERS, *BOX_WRITERS} if f"`{name}`" not in text_of(page)]
        assert not missing, page.name


def test_every_recipe_and_ladder_is_in_the_reference():
    reference = text_of(ROOT / "docs" / "reference.md")
    missing = [name for name in [*RECIPES, *LADDERS] if f"\n### {name}\n" not in reference]
    assert not missing, "run `make docs`"


def test_the_tree_of_the_readme_names_the_files_that_there_are(make_reference):
    """Names only: a changed docstring is no reason to fail."""

    def names(tree: str) -> list[str]:
        return [line.split()[0] for line in tree.splitlines() if line.strip()]

    readme = text_of(ROOT / "README.md")
    shown = readme.partition(make_reference.TREE_START)[2].partition(make_reference.TREE_END)[0]
    assert names(shown.replace("```text", "").replace("```", "")) == names(make_reference.tree()), "run `make docs`"


def test_the_spine_and_the_top_of_the_tree_name_files_that_exist():
    readme = text_of(ROOT / "README.md")
    spine, top = (readme.partition(f"## {title}\n")[2].partition("```text\n")[2].partition("```")[0] for title in (
        "The spine", "The tree"))  # fmt: skip
    names = [line.split()[0] for line in spine.splitlines()]
    assert len(names) == 25
    assert all((SOURCE / name).exists() for name in names)
    assert all((ROOT / line.split()[0]).exists() for line in top.splitlines())


def test_every_module_that_the_reference_lists_exists(make_reference):
    missing = [name for name in make_reference.MODULES if not make_reference._path(name).is_file()]
    assert not missing


def test_the_picture_of_the_readme_is_small():
    assert (ROOT / "docs" / "report.png").stat().st_size < 200_000


@pytest.mark.slow
def test_the_tutorial_of_boxes_runs_line_by_line(cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Fewer pictures, no pretrained weights, one epoch; then README's prediction with what was trained."""
    monkeypatch.chdir(tmp_path)
    lines = "".join(blocks(ROOT / "docs" / "tutorial-boxes.md", "sh")).splitlines()
    own_data = [line for line in lines if "my_data" in line]
    assert len(own_data) == 1  # the one line that is not about the drawn pictures
    quick = ["--set", "backbone.weights=none", "train.epochs=1", "train.min_steps=0", "data.workers=0"]
    for line in (line for line in lines if line not in own_data):
        words = shlex.split(COUNT.sub(r"\1count=12", line), comments=True)
        if words[0] == "python":
            subprocess.run([sys.executable, *words[1:]], check=True, timeout=300)
            continue
        ran = cli(*words[1:], *(quick if words[1] == "train" else ()))
        assert ran.code == 0, f"{line}\n{ran.err}"
    shutil.move("runs/shapes", "runs/first")
    Path("new_pictures").mkdir()
    shutil.copy("shapes/train/000000.png", "new_pictures/one.jpg")  # the content decides, not the name
    example, training = blocks(ROOT / "README.md", "python")
    exec(compile(example, "README.md", "exec"), {})
    assert "train_run" in training
