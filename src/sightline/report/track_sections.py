"""The page's sections about a track: distances, outcomes, guessing, visibility, trajectories, clips.

Each function takes the run folder and returns HTML, "" where the run has nothing to show for it.
Next: track_film.py
"""

from __future__ import annotations

from html import escape

from sightline.report.charts import Series, line_chart
from sightline.report.run_folder import RunFolder
from sightline.report.tables import Line, cell, number_table
from sightline.report.track_chart import trajectory_charts
from sightline.report.track_facts import clips_of, worst_stretch
from sightline.report.track_words import OUTCOME_WORDS
from sightline.report.values import Row, number, rows, section
from sightline.report.words import counted, figure, share

_DASH = "\u2013"
_MOST_FRAMES = 400  # of a clip in a chart
_MOST_CLIPS = 12


def distance_curve(run: RunFolder) -> str:
    """F1, precision and recall over the distance allowed."""
    curve = section(run.evaluation, "f1_curve")
    distances = [number(value) for value in rows(curve, "threshold_px")]
    series = []
    for name, title, tone in (("f1", "F1", "b"), ("precision", "precision", "a"), ("recall", "recall", "c")):
        pairs = zip(distances, (number(value) for value in rows(curve, name)), strict=False)
        known = [(x, y) for x, y in pairs if x is not None and y is not None]
        if len(known) > 1:
            series.append(Series(name=title, x=[x for x, _ in known], y=[y for _, y in known], tone=tone))
    if not series:
        return ""
    chosen = number(run.evaluation.get("threshold_px"))
    marks = [(chosen, f"{chosen:g} px")] if chosen is not None else []
    chart = line_chart(
        series, title="F1 over distance", x_label="allowed distance, px", y_label="share", from_zero=True, marks=marks
    )
    return (
        f'<div class="charts">{chart}<p class="aside">How much of the frames is right if a point may be so far off, in '
        "pixels of the original frames. A curve that is flat at the marked distance says that what is wrong there is "
        "not a little off, but lost or something else.</p></div>"
    )


def outcomes(run: RunFolder) -> str:
    """TP, FP1, FP2, TN and FN; how long the point is lost, and jumps to something else."""
    counts = {name: number(value) for name, value in section(run.evaluation, "outcomes").items()}
    known = {name: int(value) for name, value in counts.items() if name in OUTCOME_WORDS and value is not None}
    if len(known) < len(OUTCOME_WORDS):
        return ""
    total = max(1, sum(known.values()))
    distance = f"{number(run.evaluation.get('threshold_px')) or 0.0:g}"

    def box(name: str) -> str:
        title, meaning = OUTCOME_WORDS[name]
        return (
            f'<td class="outcome {name.lower()}"><b>{known[name]:,}</b> <span>{share(known[name] / total)}</span>'
            f"<strong>{title} <code>{name}</code></strong><small>{escape(meaning)}</small></td>"
        )

    table = (
        '<table class="outcomes"><thead><tr><td></td>'
        f'<th scope="col">Found within {distance} px</th><th scope="col">Found farther off</th>'
        '<th scope="col">Not found</th></tr></thead><tbody>'
        f'<tr><th scope="row">Visible</th>{box("TP")}{box("FP1")}{box("FN")}</tr>'
        f'<tr><th scope="row">Not visible</th>{box("FP2").replace("<td ", "<td colspan=2 ", 1)}{box("TN")}</tr>'
        "</tbody></table>"
    )
    return f"{table}{_in_time(run)}"


def guessing(run: RunFolder) -> str:
    """What the model reaches beside two guesses from the labelled past."""
    baselines = section(run.evaluation, "baselines")
    measured = section(run.evaluation, "metrics")
    if not baselines:
        return ""
    head = ("", "F1", "Precision", "Recall", "Mean error, px", "Model there, px")
    model = {name: section(measured, name).get("value") for name in ("f1", "precision", "recall", "mean_error_px")}
    lines = [_guess_line("this model", model)]
    lines += [_guess_line(str(name), values) for name, values in baselines.items() if isinstance(values, dict)]
    return (
        f"{number_table(head, lines)}"
        '<p class="fine">Both guesses know the true points before each frame, which no tracker has in use, and look at '
        "no pixels. Model there: the model's own mean error on the frames that the guess gives a place to; only these "
        "two can be compared.</p>"
    )


def visibility(run: RunFolder) -> str:
    """Whether a visibility score of 0.8 means visible in 8 of 10 frames."""
    bins = [one for one in rows(run.evaluation, "calibration") if _is_bin(one)]
    if not bins:
        return ""
    ideal = Series(name="if scores were shares", x=[0.0, 1.0], y=[0.0, 1.0], tone="c")
    measured = Series(
        name="measured",
        x=[float(one["mean_score"]) for one in bins],
        y=[float(one["share_visible"]) for one in bins],
        tone="a",
        dots=True,
    )
    chart = line_chart(
        [measured, ideal], title="Visible at each score", x_label="score", y_label="visible", is_unit=True
    )
    lines = [
        Line(
            name=f"{one['low']:.1f} to {one['high']:.1f}",
            cells=[cell(f"{one['count']:,}"), cell(f"{one['mean_score']:.2f}"), cell(share(one["share_visible"]))],
        )
        for one in bins
    ]
    table = number_table(("Score", "Frames", "Mean score", "Visible"), lines)
    return f'<div class="charts">{chart}<div class="aside">{table}<p>{escape(_said_of_visibility(run))}</p></div></div>'


def trajectories(run: RunFolder) -> str:
    """Truth and prediction over the frames of the worst and a median clip."""
    clips = clips_of(run)
    if not clips:
        return ""
    chosen = [("Worst clip", clips[0])]
    if len(clips) > 1:
        chosen.append(("Median clip", clips[len(clips) // 2]))
    elif len(clips) == 1:
        chosen = [("The clip", clips[0])]
    out = ""
    for title, clip in chosen:
        frames = worst_stretch(clip.frames, most=_MOST_FRAMES)
        part = (
            f", of {len(clip.frames):,} frames the {len(frames)} where most is wrong" if frames != clip.frames else ""
        )
        out += (
            f"<h3>{title}: <bdi>{escape(clip.name)}</bdi>, {share(clip.share_right)} of "
            f'{counted(len(clip.frames), "frame")} right{part}</h3><div class="charts tracks">'
            f"{trajectory_charts(frames)}</div>"
        )
    return (
        f'{out}<p class="fine"><i class="shade lost"></i> lost or wrong <i class="shade hidden"></i> labelled as not '
        "visible. y grows downwards, as in the frames. Between frames without labels lines are broken.</p>"
    )


def clip_table(run: RunFolder) -> str:
    """Each clip's numbers, the worst first."""
    table = [row for row in rows(run.evaluation, "per_clip") if isinstance(row, dict) and "clip" in row]
    if len(table) < 2:
        return ""

    def how_bad(row: Row) -> float:
        value = number(row.get("f1"))
        return 2.0 if value is None else value

    lines = [
        Line(
            name=str(row["clip"]),
            cells=[cell(_three(row.get("f1"))), *(cell(_plain(row.get(key))) for key in ("frames", "visible")),
                   cell(_plain(row.get("mean_error_px"))), cell(_plain(row.get("longest_gap")))],
        )
        for row in sorted(table, key=how_bad)
    ]  # fmt: skip
    head = ("Clip", "F1", "Frames", "Visible", "Mean error, px", "Longest lost, frames")
    return number_table(head, lines, most=_MOST_CLIPS)


def _in_time(run: RunFolder) -> str:
    gaps, switches = section(run.evaluation, "gaps"), section(run.evaluation, "switches")
    told = []
    if (count := number(gaps.get("count"))) is not None:
        if count:
            told.append(
                f"A visible point is lost {counted(count, 'time')}, for {_plain(gaps.get('median'))} "
                f"frames in the median and at most {_plain(gaps.get('longest'))}."
            )
        else:
            told.append("A visible point is never lost.")
    left, back, away = (number(switches.get(key)) for key in ("switches", "returns", "away_px"))
    if left is not None and back is not None and away is not None:
        told.append(
            f"From the right point the prediction jumps to something else (more than {away:g} px away, or a point "
            f"where there is none) {counted(left, 'time')}"
            + (f", and {back:,.0f} of these times straight back afterwards." if left else ".")
        )
    return f'<p class="fine">{escape(" ".join(told))}</p>' if told else ""


def _guess_line(name: str, values: Row) -> Line:
    return Line(
        name=name,
        cells=[
            cell(_three(values.get("f1"))),
            cell(share(values.get("precision"))),
            cell(share(values.get("recall"))),
            cell(_plain(values.get("mean_error_px"))),
            cell(_plain(values.get("model_error_px"))),
        ],
    )


def _said_of_visibility(run: RunFolder) -> str:
    threshold, error = number(run.evaluation.get("visible_threshold")), number(run.evaluation.get("ece"))
    text = "Below the grey line a score promises too much, above it too little."
    if error is not None:
        text += f" On average they are {error:.3f} apart (expected calibration error)."
    if threshold is not None:
        source = {
            "the run": "It had the highest F1 on the validation part and goes with the run.",
            "the data scored": "It has the highest F1 on these very frames, which flatters F1 a little.",
        }.get(str(run.evaluation.get("thresholds_from")), "")
        text += f" A point counts as found from a score of {threshold:.2f} on. {source}".rstrip()
    return text


def _is_bin(one: object) -> bool:
    keys = ("low", "high", "count", "mean_score", "share_visible")
    return isinstance(one, dict) and None not in [number(one.get(key)) for key in keys]


def _three(value: object) -> str:
    known = number(value)
    return _DASH if known is None else f"{known:.3f}"


def _plain(value: object) -> str:
    known = number(value)
    return _DASH if known is None else figure(known) if known != int(known) else f"{known:,.0f}"
