"""The same pictures under all versions, side by side: the worst ones, and those that a version made worse or better.

The first seed of each version is shown.
Next: journey_parts.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from sightline.compare.comparison import Comparison
from sightline.report.box_facts import thresholds
from sightline.report.box_pictures import box_tiles
from sightline.report.pictures import tile
from sightline.report.prediction_rows import has_boxes
from sightline.report.run_folder import RunFolder
from sightline.report.sections import edges_of, picture_metric
from sightline.report.values import Row, number, section

_EACH = 3  # pictures of each kind
_MOST_VERSIONS = 4  # side by side
Group = tuple[str, list[tuple[int, Row]]]


def pictures(made: Comparison, runs: Sequence[RunFolder]) -> str:
    """Groups of tiles, one a picture, with a tile for each version; empty where no run kept its predictions."""
    columns = _columns(made)
    kept = [runs[place] for place in columns]
    by_name = [{str(row.get("image_id")): row for row in run.predictions} for run in kept]
    common = set.intersection(*(set(rows) for rows in by_name)) if by_name else set()
    errors = {name: [number(rows[name].get("error")) for rows in by_name] for name in common}
    known = {name: [e for e in each if e is not None] for name, each in errors.items() if None not in each}
    if not known:
        return ""
    names = [made.lines[place].arm.name for place in columns]
    groups: list[Group] = []
    taken: set[str] = set()
    for title, value in _questions(names):
        order = sorted((name for name in known if name not in taken), key=lambda name: (-value(known[name]), name))
        chosen = [name for name in order if value(known[name]) > 0][:_EACH]
        taken |= set(chosen)
        for name in chosen:
            groups.append((f"{title}: {name}", [(place, rows[name]) for place, rows in enumerate(by_name)]))
    draw = _boxes if has_boxes(kept[0].predictions[0]) else _points
    left = len(made.lines) - len(columns)
    more = f" {left} versions in between are left out." if left else ""
    return f'{draw(kept, names, groups)}<p class="fine">The first seed of each version.{more}</p>'


def _columns(made: Comparison) -> list[int]:
    """The baseline, the last version, and those before it, as many as fit."""
    last = [place for place in range(len(made.lines)) if place != made.baseline][-(_MOST_VERSIONS - 1) :]
    return sorted({made.baseline, *last})


def _questions(names: Sequence[str]) -> list[tuple[str, Callable[[list[float]], float]]]:
    """What makes a picture worth seeing, from its errors in each version."""
    found: list[tuple[str, Callable[[list[float]], float]]] = [
        ("Worst on average of the versions", lambda errors: sum(errors) / len(errors))
    ]
    if len(names) > 1:
        found += [
            (f"Lost most from {names[0]} to {names[-1]}", lambda errors: errors[-1] - errors[0]),
            (f"Gained most from {names[0]} to {names[-1]}", lambda errors: errors[0] - errors[-1]),
        ]
    return found


def _points(runs: Sequence[RunFolder], names: Sequence[str], groups: Sequence[Group]) -> str:
    metric = picture_metric(runs[0])
    edges = edges_of(runs[0], min(len(row["points_xy"]) for _, rows in groups for _, row in rows))
    out = ""
    for title, rows in groups:
        tiles = "".join(
            tile(_named(row, names[place]), roots=_roots(runs[place]), metric=metric, edges=edges)
            for place, row in rows
        )  # fmt: skip
        out += f'<h3>{escape(title)}</h3><div class="tiles">{tiles}</div>'
    controls = "".join(
        f'<label class="{kind}"><input type="checkbox" checked data-layer="{kind}"><i></i>{text}</label>'
        for kind, text in (("truth", "truth"), ("guess", "prediction"), ("gap", "error"))
    )
    return f'<div class="controls" role="group" aria-label="What is drawn">{controls}</div>{out}'


def _boxes(runs: Sequence[RunFolder], names: Sequence[str], groups: Sequence[Group]) -> str:
    """Each version keeps what reaches its own thresholds, so all that is left is drawn."""
    limits = [thresholds(run) for run in runs]
    classes = [str(name) for name in runs[0].evaluation.get("classes", [])]
    drawn: list[tuple[str, list[Row]]] = []
    for title, rows in groups:
        kept = []
        for place, row in rows:
            found = [one for one in row["detections"] if one["score"] >= _limit(one, limits[place], classes)]
            kept.append(_named({**row, "detections": found}, names[place]))
        drawn.append((title, kept))
    nothing_left_out = {**runs[0].evaluation, "thresholds": dict.fromkeys(limits[0], 0.0)}
    roots = [root for run in runs for root in _roots(run)]
    return box_tiles(replace(runs[0], evaluation=nothing_left_out), drawn, roots=roots)


def _limit(one: Row, limits: dict[str, float], classes: Sequence[str]) -> float:
    label = int(one["label"])
    return limits.get(classes[label], 0.0) if label < len(classes) else 0.0


def _named(row: Row, version: str) -> Row:
    """Under the picture stands the version that found this; the picture's own name is the title above."""
    return {**row, "image_id": version}


def _roots(run: RunFolder) -> list[Path]:
    named = (run.evaluation.get("data"), section(run.run, "data").get("root"))
    return [*(Path(root) for root in named if isinstance(root, str)), run.path, Path()]
