"""The page's sections about the run: what was trained on what and how to repeat it, pictures, settings.

Next: page.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from sightline.report.box_pictures import box_tiles
from sightline.report.pictures import filter_panel, heatmap_panel, tile
from sightline.report.run_folder import RunFolder
from sightline.report.sections import edges_of, picture_metric
from sightline.report.values import Row, number, rows, section
from sightline.report.words import counted, describe, duration

_MOST_PROBLEMS, _MOST_CLASSES = 12, 12
_GROUPS = (("Worst", 8), ("Around the median", 4), ("Best", 4))


def training(run: RunFolder) -> str:
    """Data, counts, problems, machine, and the command that repeats the run."""
    if not run.run:
        return ""
    data, machine, parameters = (section(run.run, key) for key in ("data", "machine", "parameters"))
    facts: list[tuple[str, str]] = []
    if data:
        facts.append(("Data", _joined(data.get("root"), data.get("format"))))
        counts = f"{counted(data.get('train'), 'picture')} to train, {counted(data.get('val'), 'picture')} to validate"
        skipped = number(data.get("skipped"))
        facts.append(("Pictures", counts + (f", {skipped:,.0f} skipped" if skipped else "")))
        facts.append(("Fingerprint", _joined(data.get("fingerprint"))))
    names = [str(name) for name in rows(run.run, "classes")]
    if names and run.task != "points":
        more = f" and {len(names) - _MOST_CLASSES} more" if len(names) > _MOST_CLASSES else ""
        facts.append(("Classes", f"{len(names)}: {', '.join(names[:_MOST_CLASSES])}{more}"))
    if parameters:
        frozen = number(parameters.get("frozen"))
        text = counted(parameters.get("total"), "parameter")
        facts.append(("Model", text + (f", {frozen:,.0f} of them frozen" if frozen else ", all trained")))
    started = section(run.run, "started_from")
    if started:
        facts.append(("Started from", _joined(started.get("told"), f"file sha256 {started.get('sha256')}")))
    best = section(run.run, "best")
    if best:
        metric = describe(str(best.get("metric", "")))
        step, epoch = number(best.get("step")), number(best.get("epoch"))
        at = f"step {step:,.0f}" if step is not None else "an unknown step"
        at += f" (epoch {epoch:g})" if epoch is not None else ""
        facts.append(("Weights kept", f"from {at}: {metric.title} {metric.show(best.get('value'))} in validation"))
    facts.append(("Time", _joined(duration(run.run.get("seconds")), f"started {run.run.get('started', 'unknown')}")))
    cores = number(machine.get("cores"))
    facts.append(
        ("Machine", _joined(machine.get("cpu"), counted(cores, "core") if cores else None, machine.get("gpu")))
    )
    torch = machine.get("torch")
    facts.append(
        ("Versions", _joined(f"sightline {run.run.get('sightline', 'unknown')}", f"torch {torch}" if torch else None))
    )
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts if text)
    return f"{_command(run)}<dl>{listed}</dl>{_problems(data)}"


def pictures(run: RunFolder) -> str:
    """The worst, the middling and the best pictures with truth and prediction."""
    scored = [entry for entry in run.predictions if number(entry.get("error")) is not None]
    if not scored:
        return ""
    roots = picture_roots(run)
    scored.sort(key=_how_bad, reverse=True)
    groups = [(title, chosen) for (title, _), chosen in zip(_GROUPS, _chosen(scored), strict=True)]
    if run.task != "points":
        return box_tiles(run, groups, roots=roots)
    metric = picture_metric(run)
    edges = edges_of(run, min(len(entry["points_xy"]) for entry in scored))
    out = ""
    for title, chosen in groups:
        if chosen:
            tiles = "".join(tile(entry, roots=roots, metric=metric, edges=edges) for entry in chosen)
            out += f'<h3>{title}</h3><div class="tiles">{tiles}</div>'
    controls = "".join(
        f'<label class="{kind}"><input type="checkbox" checked data-layer="{kind}"><i></i>{text}</label>'
        for kind, text in (("truth", "truth"), ("guess", "prediction"), ("gap", "error"))
    )
    return (
        f'<div class="controls" role="group" aria-label="What is drawn">{controls}</div>{out}'
        f'<p class="fine">Under each picture: its {escape(metric.title)}. Touch a picture to enlarge it.</p>'
    )


def inside(run: RunFolder) -> str:
    """Score maps and first-layer filters, folded."""
    names = [str(name) for name in rows(section(run.run, "skeleton"), "names")]
    out = ""
    if run.heatmaps is not None:
        out += f"<details><summary>Score maps</summary>{heatmap_panel(run.heatmaps, names=names)}</details>"
    if run.filters is not None:
        out += f"<details><summary>First-layer filters</summary>{filter_panel(run.filters)}</details>"
    return out


def settings(run: RunFolder) -> str:
    """The resolved config as a table, and as it was written."""
    if not run.config:
        return ""
    groups = ""
    for name, value in run.config.items():
        lines = "".join(
            f'<tr><th scope="row">{escape(key)}</th><td>{escape(text)}</td></tr>'
            for key, text in _flat(value, prefix=str(name))
        )
        groups += f"<tbody>{lines}</tbody>"
    return (
        f'<details><summary>All settings as a table</summary><table class="config">{groups}</table></details>'
        f"<details><summary>config.yaml</summary><pre>{escape(run.config_text)}</pre></details>"
    )


def _command(run: RunFolder) -> str:
    command = run.run.get("command")
    if isinstance(command, list):
        command = " ".join(str(part) for part in command)
    if not command:
        return ""
    return (
        f'<p>To repeat it:</p><div class="command"><pre><code>{escape(str(command))}</code></pre>'
        '<button type="button" class="copy">Copy</button></div>'
    )


def _problems(data: dict[str, Any]) -> str:
    problems = [str(problem) for problem in rows(data, "problems")]
    if not problems:
        return ""
    listed = "".join(f"<li>{escape(problem)}</li>" for problem in problems[:_MOST_PROBLEMS])
    left = len(problems) - _MOST_PROBLEMS
    more = f"<li>and {left:,} more</li>" if left > 0 else ""
    return (
        f"<details><summary>{counted(len(problems), 'problem')} found in the data</summary>"
        f'<ul class="problems">{listed}{more}</ul></details>'
    )


def _how_bad(entry: Row) -> tuple[float, int]:
    """By error; of equal ones those with more objects come first on either side: they show more."""
    error, objects = float(entry["error"]), len(rows(entry, "objects"))
    return error, objects if error > 0 else -objects


def _chosen(scored: list[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Worst first; the median's neighbours; best first. No picture twice."""
    worst_count, middle_count, best_count = (count for _, count in _GROUPS)
    if len(scored) <= worst_count + middle_count + best_count:
        return scored, [], []
    middle = max(worst_count, min(len(scored) // 2 - middle_count // 2, len(scored) - best_count - middle_count))
    return scored[:worst_count], scored[middle : middle + middle_count], scored[::-1][:best_count]


def picture_roots(run: RunFolder) -> list[Path]:
    """Where relative picture paths may start: below the data, below the run, where the command runs."""
    named = (run.evaluation.get("data"), section(run.run, "data").get("root"))
    return [*(Path(root) for root in named if isinstance(root, str)), run.path, Path()]


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part not in (None, ""))


def _flat(value: Any, *, prefix: str) -> list[tuple[str, str]]:  # noqa: ANN401
    """Dotted names and values of nested settings."""
    if isinstance(value, dict) and value:
        return [line for key, inner in value.items() for line in _flat(inner, prefix=f"{prefix}.{key}")]
    shown = {None: "none", True: "yes", False: "no"}.get(value) if value is None or isinstance(value, bool) else None
    return [(prefix, shown if shown is not None else str(value))]
