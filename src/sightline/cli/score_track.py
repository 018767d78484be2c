"""`sightline score-track`: how good a track is, whatever made it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.options import Flag

if TYPE_CHECKING:
    from sightline.evaluate.track_csv import ScoredTrack


def score_track(
    predicted: Path,
    truth: Path,
    *,
    threshold_px: float = 5.0,
    clip: str | None = None,
    format: str | None = None,
    json: Flag = False,
) -> int:
    """Score a CSV of `sightline track` against labels of the same clip.

    Args:
        predicted: CSV with the columns frame, x, y, visible, and perhaps score, radius_px, step, latency_ms.
        truth: a label file of clips, or the folder that holds labels and frames.
        threshold_px: a point is right where it is at most so far off, in pixels of the frames.
        clip: the clip of the labels that the CSV is about, where the names do not tell.
        format: the label format, where it cannot be found out.
        json: print the result as JSON.
    """
    from sightline.evaluate.track_csv import score_csv
    from sightline.readers import read_dataset

    dataset = read_dataset(truth, format=format)
    scored = score_csv(predicted, dataset, threshold_px=threshold_px, clip=clip)
    for problem in dataset.errors:
        console.say(str(problem), on=console.err)
    if json:
        console.print_json(scored.to_json())
        return 0
    _tell(scored, predicted=predicted)
    return 0


def _tell(scored: ScoredTrack, *, predicted: Path) -> None:
    from sightline.terminal import metrics_table

    found = scored.to_json()
    console.say(f"{predicted.name} against the {found['images']} labelled frames of {scored.clip}")
    console.out.print(metrics_table(found["metrics"], title=f"right within {scored.summary.threshold_px:g} px"))
    counts = "  ".join(f"{name} {count}" for name, count in found["outcomes"].items())
    console.say(f"  outcomes   {counts}")
    gaps, switches = found["gaps"], found["switches"]
    if gaps["count"]:
        console.say(
            f"  lost       {gaps['count']} times, {gaps['frames']} frames, the longest {gaps['longest']}, "
            f"the median {gaps['median']:g}"
        )
    console.say(f"  switches   {switches['switches']} to something else, {switches['returns']} of them straight back")
    for row in found.get("steps", []):
        took = "" if row["latency_p50_ms"] is None else f", p50 {row['latency_p50_ms']:.2f} ms"
        took += "" if row["latency_p95_ms"] is None else f", p95 {row['latency_p95_ms']:.2f} ms"
        console.say(f"  step       {row['step']}: {row['frames']} frames{took}")
    if "radius" in found and found["radius"]["share_inside"] is not None:
        radius = found["radius"]
        console.say(
            f"  radius     holds {radius['share_inside']:.1%} of {radius['frames']} found points, "
            f"median {radius['median_radius_px']:.2f} px"
        )
    for name, guess in found["baselines"].items():
        console.say(f"  {name}: F1 {guess.get('f1', 0.0):.4f}")
    console.say(f"  intervals from {found['resampled']}")
    if scored.without_row:
        console.say(f"  {scored.without_row} labelled frames have no row in {predicted.name} and count as not found")
    if scored.unlabelled:
        console.say(f"  {scored.unlabelled} rows are of frames without a label and do not count")
