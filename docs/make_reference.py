"""Writes docs/reference.md and the file tree of README.md from the source, without importing it.

    python docs/make_reference.py           write both
    python docs/make_reference.py --check   exit code 1 where one of them is out of date

Everything is read with `ast`, so neither torch nor an installed sightline is needed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sightline"
REFERENCE = ROOT / "docs" / "reference.md"
README = ROOT / "README.md"
TREE_START, TREE_END = "<!-- tree: written by make docs -->", "<!-- end of tree -->"

# The modules that a user of the Python interface calls, in the order in which a picture meets them.
MODULES = (
    "errors", "records", "geometry", "types", "images", "image_headers", "skeletons", "readers", "scan", "stratify",
    "splits", "config", "task_data", "transforms", "loader", "pieces", "codecs.protocol", "codecs.peaks",
    "codecs.gaussian", "anchors.generate", "anchors.auto", "anchors.look", "assign.assignment", "model",
    "metrics.points", "metrics.normalisers", "metrics.one_box", "metrics.boxes", "metrics.box_matches",
    "metrics.operating_point", "metrics.box_errors", "metrics.bootstrap", "checkpoint", "devices", "infer",
    "evaluate", "evaluate.scoring", "evaluate.run", "optim", "features", "feature_store", "train", "inspect",
    "data_fit", "prepare", "pipeline", "tasks", "predict", "predict_files", "writers", "writers.prediction",
    "writers.box_prediction", "writers.overlay", "speed", "report.page", "recipes", "recipes.ladders",
    "recipes.aircraft_ladders", "recipes.driving_ladder", "drawn.faces", "drawn.plain_shapes", "drawn.panoramas",
    "files", "fold", "calibration.conformal", "calibration.probability", "calibration.fit", "small_data.folds",
    "small_data.folds_summary", "small_data.subsets", "small_data.forecast", "small_data.curve", "audit.run",
    "labelling.next", "labelling.merge", "sweep.run",
)  # fmt: skip
SECTIONS = (
    ("data", "DataConfig"),
    ("augment", "AugmentConfig"),
    ("train", "TrainConfig"),
    ("evaluate", "EvaluateConfig"),
)
SLOTS = (
    ("backbone", "backbones"), ("neck", "necks"), ("context", "context"), ("head", "heads"), ("codec", "codecs"),
)  # fmt: skip
# The tree in README shows folders in this order behind the plain files of the package.
FOLDERS = (
    "readers", "skeletons", "video", "shards", "drawn", "backbones", "necks", "context", "heads", "anchors", "assign",
    "codecs", "metrics", "calibration", "evaluate", "recipes", "writers", "report", "track", "runtime", "export",
    "bulk", "compare", "audit", "sweep", "small_data", "labelling", "sinks", "doctor", "bench",
    "cli",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Write or check; returns the exit code."""
    wanted = {REFERENCE: reference(), README: with_tree(README.read_text(encoding="utf-8"))}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if arguments == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run `make docs`.")
        return 1 if stale else 0
    if arguments:
        print(f"Unknown arguments {arguments}. Expected none, or --check.")
        return 2
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


def reference() -> str:
    """The text of docs/reference.md."""
    parts = [
        "# Reference",
        "Written by `make docs` from the source; edit docstrings and field descriptions, not this page.",
        "- [Commands](#commands)\n- [Settings](#settings)\n- [Pieces](#pieces)\n- [Recipes](#recipes)\n"
        "- [Ladders](#ladders)\n- [Python](#python)",
        "## Commands",
        *_commands(),
        "## Settings",
        "Changed with `--set SECTION.KEY=VALUE`.",
        *_settings(),
        "## Pieces",
        "Swapped with `--use SLOT=NAME`; the fields of the chosen piece are set with `--set SLOT.KEY=VALUE`.",
        *_pieces(),
        "## Recipes",
        *_recipes(),
        "## Ladders",
        "Each rung is one change from the rung before and trains like a recipe; `sightline recipes` lists their names.",
        *_ladders(),
        "## Python",
        *(part for name in MODULES for part in _module(name)),
    ]
    return "\n\n".join(parts) + "\n"


def with_tree(readme: str) -> str:
    """README's text with the tree between its two marks rewritten."""
    before, start, rest = readme.partition(TREE_START)
    _, end, after = rest.partition(TREE_END)
    assert start and end, f"README.md lacks '{TREE_START}' or '{TREE_END}'"
    return f"{before}{TREE_START}\n```text\n{tree()}\n```\n{TREE_END}{after}"


def tree() -> str:
    """One line for each source file: its name and the first sentence of its docstring."""
    folders = [folder for folder in FOLDERS if (SOURCE / folder).is_dir()]
    folders += sorted({path.parent.name for path in SOURCE.glob("*/__init__.py")} - set(folders))
    width = max(len(path.name) for path in SOURCE.rglob("*.py")) + 2
    lines = ["src/sightline/"]
    for path in sorted(SOURCE.glob("*.py")):
        lines.append(f"  {path.name:<{width}}  {_sentence(path)}")
    for folder in folders:
        lines.append(f"  {folder + '/':<{width}}  {_sentence(SOURCE / folder / '__init__.py')}")
        paths = sorted((SOURCE / folder).glob("*.py"))
        lines += [f"    {path.name:<{width - 2}}  {_sentence(path)}" for path in paths if path.name != "__init__.py"]
    return "\n".join(line.rstrip() for line in lines)


def _sentence(path: Path) -> str:
    """The first sentence of a file's docstring, on one line."""
    text = " ".join((ast.get_docstring(_parsed(path)) or "").partition("\n\n")[0].split())
    return re.split(r"(?<!et al)\. ", text)[0].rstrip(".")


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    """The file of a module below the package."""
    base = SOURCE.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _public(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions and classes, in order."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def _signature(function: ast.FunctionDef) -> str:
    """`name(arguments) -> result`, without self."""
    function.args.args = [a for a in function.args.args if a.arg not in ("self", "cls")]
    result = f" -> {ast.unparse(function.returns)}" if function.returns is not None else ""
    return f"{function.name}({ast.unparse(function.args)}){result}"


def _text(node: ast.Module | ast.FunctionDef | ast.ClassDef) -> str:
    """A docstring whose indented blocks stay blocks."""
    lines = (ast.get_docstring(node) or "").splitlines()
    shown = []
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside:
            shown += ["", "```text"]
        elif inside and not indented and line:
            shown += ["```", ""]
        inside = indented or (inside and not line)
        shown.append(line[4:] if inside else line)
    if inside:
        shown.append("```")
    return "\n".join(shown).strip()


def _module(name: str) -> list[str]:
    """A module's heading, docstring and public names."""
    tree_ = _parsed(_path(name))
    parts = [f"### sightline.{name}", _text(tree_)]
    for node in _public(tree_.body):
        if isinstance(node, ast.FunctionDef):
            parts += [f"#### `{_signature(node)}`", _text(node)]
            continue
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        parts += [f"#### class `{node.name}{f'({bases})' if bases else ''}`", _text(node), *_fields(node)]
        methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and _is_shown(m)]
        parts += [f"- `{_signature(m)}`: {_first(m)}" for m in methods]
    return [part for part in parts if part]


def _is_shown(method: ast.FunctionDef) -> bool:
    return method.name == "__call__" or (not method.name.startswith("_") and bool(ast.get_docstring(method)))


def _first(node: ast.FunctionDef | ast.ClassDef) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())


def _fields(node: ast.ClassDef) -> list[str]:
    """The table of an annotated class's fields, where it has any."""
    rows = []
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        kind = ast.unparse(item.annotation)
        if kind.startswith("ClassVar") or item.target.id == "model_config" or _is_tag(item):
            continue
        default, note = _default(item.value)
        cells = (f"`{item.target.id}`", f"`{kind}`", f"`{default}`" if default else "", note)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return ["\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows])] if rows else []


def _default(value: ast.expr | None) -> tuple[str, str]:
    """A field's default and its description and limits."""
    if not (isinstance(value, ast.Call) and ast.unparse(value.func) in ("Field", "field")):
        return ("" if value is None else ast.unparse(value)), ""
    named = {keyword.arg: keyword.value for keyword in value.keywords}
    default = ast.unparse(named["default"]) if "default" in named else ""
    note = _words(named["description"]) if "description" in named else ""
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    limits = ", ".join(f"{signs[key]} {ast.unparse(named[key])}" for key in signs if key in named)
    return default, "; ".join(part for part in (note, limits) if part)


def _words(value: ast.expr) -> str:
    """A text that stands there, or that a constant of the package holds."""
    if not isinstance(value, ast.Name):
        return str(ast.literal_eval(value))
    for path in sorted(SOURCE.rglob("*.py")):
        for node in _parsed(path).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == value.id:
                return str(ast.literal_eval(node.value))
    raise AssertionError(f"no file of the package defines {value.id}")


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in _parsed(path).body if isinstance(node, ast.ClassDef)}


def _settings() -> list[str]:
    """A table for each section of an Experiment that is no piece."""
    found = _classes(_path("config"))
    return [part for key, name in SECTIONS for part in (f"### {key}", _text(found[name]), *_fields(found[name]))]


def _table(path: Path, name: str) -> dict[str, str]:
    """A literal table of a module, or one that it imports: key -> the function or class that it stands for.

    What is unpacked into it (`**OTHER`, also by a comprehension over OTHER) is looked up in the same way.
    """
    body = _parsed(path).body
    for node in body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict) and any(isinstance(one, ast.Name) and one.id == name for one in targets):
            return _entries(value, path=path, own_name=name)
    return _imported_table(path, name)


def _entries(table: ast.Dict, *, path: Path, own_name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, item in zip(table.keys, table.values, strict=True):
        if key is not None:
            found[str(ast.literal_eval(key))] = _stands_for(item)
            continue
        for node in ast.walk(item):
            if isinstance(node, ast.Name) and node.id.isupper():
                found |= _imported_table(path, node.id) if node.id == own_name else _table(path, node.id)
    return found


def _imported_table(path: Path, name: str) -> dict[str, str]:
    """A table that a module has from another one, perhaps under another name."""
    for node in _parsed(path).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _table(_path((node.module or "").removeprefix("sightline.")), alias.name)
    raise AssertionError(f"{path} has no table {name}")


def _stands_for(item: ast.expr) -> str:
    """`driving_ssd` of `driving_ssd`, of `driving.driving_ssd`, and of `_rung(driving.driving_ssd, None)`."""
    named = item.args[0] if isinstance(item, ast.Call) else item
    return ast.unparse(named).rpartition(".")[2]


def _pieces() -> list[str]:
    """Every piece of every slot with its fields, and the parts that such fields consist of."""
    parts = []
    for slot, folder in SLOTS:
        parts.append(f"### {slot}")
        known = {name: node for path in sorted((SOURCE / folder).glob("*.py")) for name, node in _classes(path).items()}
        pieces = {key: known[name] for key, name in _table(SOURCE / folder / "__init__.py", f"{slot.upper()}S").items()}
        for key, node in pieces.items():
            parts += [f"#### {slot} = {key}", _summary(node), *_fields(node)]
        for name, node in _parts_of(list(pieces.values())).items():
            parts += [f"#### {name}{_kind(node)}", _text(node), *_fields(node)]
    return [part for part in parts if part]


def _parts_of(nodes: list[ast.ClassDef]) -> dict[str, ast.ClassDef]:
    """The configs of the package that the fields of these are made of, in the order in which they are met."""
    known: dict[str, ast.ClassDef | ast.expr] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in _parsed(path).body:
            if isinstance(node, ast.ClassDef):
                known[node.name] = node
            elif isinstance(node, ast.Assign) and "Annotated" in ast.unparse(node.value):
                known[ast.unparse(node.targets[0])] = node.value
    found: dict[str, ast.ClassDef] = {}
    left: list[ast.AST] = [item.annotation for node in nodes for item in node.body if isinstance(item, ast.AnnAssign)]
    while left:
        for name in (node.id for node in ast.walk(left.pop(0)) if isinstance(node, ast.Name)):
            meant = known.get(name)
            if isinstance(meant, ast.ClassDef) and name not in found and _is_config(meant):
                found[name] = meant
                left += [item.annotation for item in meant.body if isinstance(item, ast.AnnAssign)]
            elif isinstance(meant, ast.expr):
                left.append(meant)
                del known[name]  # once
    return found


def _is_config(node: ast.ClassDef) -> bool:
    """Whether a class is a pydantic model with fields: one whose base is a config of the package."""
    bases = {ast.unparse(base) for base in node.bases}
    return bool(bases & {"PieceConfig", "_Rule", "BaseModel"}) and any(isinstance(i, ast.AnnAssign) for i in node.body)


def _kind(node: ast.ClassDef) -> str:
    """Of several that may stand in one place, the word that chooses this one."""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and _is_tag(item):
            assert isinstance(item.value, ast.Constant)
            return f" (kind: {item.value.value})"
    return ""


def _is_tag(field: ast.AnnAssign) -> bool:
    """Whether a field only names its class, `kind: Literal["fpn"] = "fpn"`: there is nothing to set."""
    return ast.unparse(field.target) == "kind" and isinstance(field.value, ast.Constant)


def _summary(node: ast.ClassDef) -> str:
    """The piece's own line, which `sightline pieces` prints."""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == "summary" and item.value is not None:
            text = str(ast.literal_eval(item.value))
            return text[0].upper() + text[1:] + "."
    return _first(node)


def _functions(folder: Path) -> dict[str, ast.FunctionDef]:
    return {
        node.name: node
        for path in sorted(folder.glob("*.py"))
        for node in _parsed(path).body
        if isinstance(node, ast.FunctionDef)
    }


def _recipes() -> list[str]:
    """Every recipe with its docstring."""
    folder = SOURCE / "recipes"
    functions = _functions(folder)
    table = _table(folder / "__init__.py", "RECIPES")
    return [part for key, name in table.items() for part in (f"### {key}", _text(functions[name]))]


def _ladders() -> list[str]:
    """Every ladder with its docstring."""
    folder = SOURCE / "recipes"
    functions = _functions(folder)
    table = _table(folder / "__init__.py", "LADDERS")
    return [part for key, name in table.items() for part in (f"### {key}", _text(functions[name]))]


def _commands() -> list[str]:
    """Every command in the order of cli's own list: its signature as options, and its docstring."""
    functions = _functions(SOURCE / "cli")
    parts = []
    for node in (functions[name] for name in _names(_path("cli"), "COMMANDS")):
        text = re.sub(r"^(\w+)_:", r"\1:", _text(node), flags=re.MULTILINE)
        parts += [f"### sightline {node.name.replace('_', '-')}", "```text\n" + _usage(node) + "\n```", text]
    return parts


def _names(path: Path, name: str) -> list[str]:
    """A literal list of a module: the last part of each entry, `train` of `train.train`."""
    for node in _parsed(path).body:
        value = getattr(node, "value", None)
        if ast.unparse(getattr(node, "target", node)) == name and isinstance(value, ast.Tuple):
            return [ast.unparse(entry).rpartition(".")[2] for entry in value.elts]
    raise AssertionError(f"{path} has no list {name}")


def _usage(node: ast.FunctionDef) -> str:
    """One line: positional arguments and options."""
    words = [f"sightline {node.name}"]
    given = [*node.args.posonlyargs, *node.args.args]
    optional = len(given) - len(node.args.defaults)
    for index, argument in enumerate(given):
        many = "list" in ast.unparse(argument.annotation) if argument.annotation else False
        word = argument.arg.rstrip("_").upper().replace("_", "-") + ("..." if many else "")
        words.append(word if index < optional else f"[{word}]")
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        option = "--" + argument.arg.rstrip("_").replace("_", "-")
        value = "" if kind == "Flag" else " KEY=VALUE..." if option in ("--set", "--use") else " VALUE"
        if kind == "Many" and option not in ("--set", "--use"):
            value = " VALUE..."
        if kind == "bool":
            option, value = f"{option} / --no-{option[2:]}", ""
        words.append(f"{option}{value}" if default is None else f"[{option}{value}]")
    return " ".join(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
