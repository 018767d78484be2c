"""The sweep's page: the winner and how far to trust it, the trials, what mattered, and each setting alone.

In: a `Result`. Out: one HTML file that needs nothing else; its content security policy forbids it to load.
Next: rebuild.py
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from sightline.files import write_atomically
from sightline.report.frame import frame, with_links
from sightline.report.tables import Line, cell, number_table
from sightline.report.words import counted
from sightline.sweep.importance import ENOUGH, LEAST, importances
from sightline.sweep.page_charts import front_chart, history, importance_bars, slices
from sightline.sweep.result import BEST, Result, caution
from sightline.sweep.table import drawn_text, score_text, value_text
from sightline.sweep.tried import Tried

PAGE = "sweep.html"
_MOST = 15  # trials before the rest is folded


def write_page(found: Result) -> Path:
    """Write the page; raises UserError where the file cannot be written."""
    path = found.out / PAGE
    write_atomically(path, render(found))
    return path


def render(found: Result) -> str:
    """The whole page."""
    sections = (
        ("trials", "Best trials", _trials(found)),
        ("front", "Front", _front(found)),
        ("history", "History", history(found)),
        ("importance", "What mattered", _importance(found)),
        ("slices", "Each setting", slices(found)),
        ("others", "Without a score", _others(found)),
        ("space", "What was searched", _space(found)),
    )
    links, body = with_links(sections)
    recipe = found.space.base.recipe
    counts = ", ".join(f"{number} {state}" for state, number in found.counts().items())
    return frame(
        title=recipe,
        kind="sweep",
        header=f'<p class="origin">{counted(len(found.tried), "trial")}: {escape(counts)}; '
        f"{counted(found.settings.seeds, 'seed')} each, data <b>{escape(found.settings.data)}</b></p>"
        f"<h1>{escape(recipe)}, searched</h1>{_lead(found)}{links}",
        main=body,
        sheets=(("sightline.report", "boxes.css"), ("sightline.sweep", "page.css")),
    )


def _lead(found: Result) -> str:
    """The winner, what it drew, and how far it is to be believed."""
    best, cautions = found.best, "".join(f'<p class="fine">{escape(line)}</p>' for line in caution(found))
    if best is None:
        return cautions
    metric = found.metric
    better = "less is better" if metric.less_is_better else "more is better"
    number = (
        f'<p class="number"><strong>{escape(metric.show(best.score))}</strong><span>{escape(metric.title)}, {better}'
        f'<span class="range">trial {best.number}: {escape(score_text(best, metric))} over '
        f"{counted(len(best.scores), 'seed')}</span></span></p>"
    )
    own = found.own
    drawn = "".join(f"<li><code>{escape(name)}={escape(value_text(v))}</code></li>" for name, v in best.drawn.items())
    beside = ""
    if own is not None and own.score is not None:
        said = "is the untouched recipe itself" if own.number == best.number else f"has {score_text(own, metric)}"
        who = f"Trial {own.number}" if own.number == best.number else f"The untouched recipe (trial {own.number})"
        beside = f"<p>{escape(who)} {escape(said)}.</p>"
    if found.recheck is not None:
        said = found.recheck.words()
    elif own is not None and own.number == best.number:
        said = "Nothing that was tried beats the untouched recipe."
    else:
        said = "Not checked on fresh seeds: whether it is better than the untouched recipe is not known."
    checked = f'<p class="lead">{escape(said)}</p>'
    commands = "".join(f"<pre>{escape(command)}</pre>" for command in found.commands())
    return f'{number}<ul class="drawn-values">{drawn}</ul>{beside}{checked}{cautions}<div class="then">{commands}</div>'


def _trials(found: Result) -> str:
    if not found.ranked:
        return ""
    return _table(found, found.ranked) + f'<p class="fine">The best one is <code>{BEST}</code> beside this page.</p>'


def _front(found: Result) -> str:
    if not found.front:
        return ""
    return (
        f'<div class="charts">{front_chart(found)}</div>{_table(found, found.front)}<p class="fine">No other trial is '
        "better in one of these and worse in none. Latency was measured while other trials may have been training on "
        "this machine; <code>sightline compare RUN RUN --measure</code> measures some side by side.</p>"
    )


def _importance(found: Result) -> str:
    shares = importances(found.tried, found.space.dimensions, less_is_better=found.settings.less_is_better)
    count = len(found.ranked)
    if not shares:
        if len(found.space.dimensions) < 2:
            return ""
        return f"<p>{counted(count, 'trial')} with a score: too few to say ({LEAST} at least, better {ENOUGH}).</p>"
    warning = "" if count >= ENOUGH else f" From {count} trials this is little more than a guess; {ENOUGH} tell more."
    return (
        f'{importance_bars(shares)}<p class="fine">Share of each setting in what made a trial one of the best quarter '
        "(PED-ANOVA), and where nine of ten resamples of the trials put it. Bars whose ranges overlap are not in a "
        f"known order.{warning} It speaks of the values searched, and of no others.</p>"
    )


def _others(found: Result) -> str:
    """What came to no score, and why."""
    rest = [each for each in found.tried if each.score is None]
    lines = []
    for each in rest:
        why = each.error
        if each.state == "pruned" and each.means and not why:
            percent = max(each.means)
            why = f"at {percent} % of the epochs its seeds had {found.metric.show(each.means[percent])} in the mean"
        lines.append(Line(name=f"{each.number}", cells=[cell(each.state), cell(why, kind="why"), _drawn(each)]))
    return number_table(("Trial", "State", "Why", "Drawn"), lines, kind="trials unscored", most=_MOST) if lines else ""


def _space(found: Result) -> str:
    rows = "".join(
        f"<tr><th><code>{escape(d.name)}</code></th><td>{escape(str(d.values))}</td></tr>"
        for d in found.space.dimensions
    )
    settings = found.settings
    told = [f"pruner {settings.pruner}"]
    told += [f"objectives score and {' and '.join(settings.objectives)}"] if settings.objectives else []
    told += [f"limit {name} {value:g}" for name, value in settings.limits.items()]
    return f'<table class="config"><tbody>{rows}</tbody></table><p class="fine">{escape("; ".join(told))}.</p>'


def _table(found: Result, some: list[Tried]) -> str:
    own, lines = found.own, []
    known: dict[str, list[str]] = {
        "s a run": ["\u2013" if each.seconds is None else f"{each.seconds:.3g}" for each in some],
        "ms": ["\u2013" if each.latency_ms is None else f"{each.latency_ms:.3g}" for each in some],
        "Parameters": ["\u2013" if each.parameters is None else f"{each.parameters:,}" for each in some],
    }
    shown = [name for name, texts in known.items() if len(set(texts)) > 1]  # a column of one value tells nothing
    for place, each in enumerate(some):
        name = f"{each.number}{', the recipe' if own is not None and own.number == each.number else ''}"
        name += ", over the limit" if each.state == "over the limit" else ""
        spread = "" if each.spread is None else f"<small>\u00b1 {escape(found.metric.show(each.spread))}</small>"
        cells = [f"<td>{escape(found.metric.show(each.score))}{spread}</td>"]
        cells += [*(cell(known[name][place]) for name in shown), _drawn(each)]
        lines.append(Line(name=name, cells=cells))
    head = ("Trial", found.metric.title, *shown, "Drawn")
    return number_table(head, lines, kind="trials", most=_MOST)


def _drawn(tried: Tried) -> str:
    return cell(drawn_text(tried), kind="drawn-cell")
