"""Do the stages of an exported tracker answer as their runs do? Compared frame by frame, and timed in turn.

The coarse stage sees each frame, the others two windows of it: around the coarse answer, and anywhere. What was
answered before is the run's own. A place counts only where the run sees a point: of two equal peaks of a map that
shows none, rounding decides. Next: tracker.py
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sightline.errors import UserError
from sightline.export.judge import time_refusal
from sightline.export.parity import MOST_PX, MOST_SCORE
from sightline.geometry import Box
from sightline.images import read_image
from sightline.prepare import load_data
from sightline.records import Record
from sightline.runtime.tracker_file import StageName, StageParity
from sightline.track.artefact_stage import ArtefactStage
from sightline.track.eager import EagerStage
from sightline.track.past import Past
from sightline.track.rules import UNSEEN, Place, StagePoint
from sightline.track.zoom import ask, whole
from sightline.video.frame import VideoFrame
from sightline.video.library import is_video
from sightline.video.pixels import ArrayPixels
from sightline.video.source import open_source
from sightline.view import window_around

SEEN = 0.1  # from this probability of a visible point on a place counts
WARM_UP = 3  # answers of each stage whose times do not count


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Every stage on the same frames."""

    stages: dict[StageName, StageParity]
    frames: int


@dataclass(kw_only=True)
class _Pairs:
    """Answers of a run and of the file's stage to the same areas, and what each took."""

    first: list[StagePoint] = field(default_factory=list)
    second: list[StagePoint] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    second_ms: list[float] = field(default_factory=list)
    fp32_ms: list[float] = field(default_factory=list)
    batch: int = 1

    def summed_up(self) -> StageParity:
        apart = np.array([(a.x - b.x, a.y - b.y) for a, b in zip(self.first, self.second, strict=True)])
        distances = np.linalg.norm(apart, axis=1)
        seen = np.array([point.visible >= SEEN for point in self.first])
        counted = distances[seen] if seen.any() else np.zeros(1)
        scores = [abs(a.visible - b.visible) for a, b in zip(self.first, self.second, strict=True)]
        run, exported = (np.array(ms[WARM_UP:] or ms) for ms in (self.first_ms, self.second_ms))
        return StageParity(
            answers=len(distances),
            placed=int(seen.sum()),
            largest_px=float(counted.max()),
            mean_px=float(counted.mean()),
            largest_score=float(max(scores)),
            p50_ms=round(float(np.median(exported)), 3),
            p95_ms=round(float(np.quantile(exported, 0.95)), 3),
            run_p50_ms=round(float(np.median(run)), 3),
            run_p95_ms=round(float(np.quantile(run, 0.95)), 3),
            fp32_p50_ms=round(float(np.median(self.fp32_ms[WARM_UP:] or self.fp32_ms)), 3) if self.fp32_ms else None,
            batch=self.batch,
        )


def compare_stages(
    runs: Mapping[StageName, EagerStage],
    exported: Mapping[StageName, ArtefactStage],
    *,
    data: Path,
    frames: int,
    threads: int,
    fp32: Mapping[StageName, ArtefactStage] | None = None,
) -> Compared:
    """Both look at every frame.

    Args:
        runs: by their place; the coarse one is there.
        exported: the same of the file.
        data: a video, a folder of numbered frames, or a data set of clips.
        frames: how many at most, as runs of consecutive ones.
        threads: for the runs; the others have theirs.
        fp32: int8: the same stages in single precision, timed in turn with both.

    Raises:
        UserError: there are no frames in the data, or an answer is not finite.
    """
    pairs: dict[StageName, _Pairs] = {name: _Pairs() for name in runs}
    rivals = fp32 or {}
    rng = np.random.default_rng(0)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    seen = 0
    try:
        for clip in clips_of(data, frames=frames):
            past = Past(frames=max(stage.past_frames for stage in runs.values()))
            for stage in (*runs.values(), *exported.values(), *rivals.values()):
                stage.reset()
            for frame in clip:
                seen += 1
                past.see(frame)
                past.answered(frame.number, _frame(frame, past, runs, exported, rivals, pairs=pairs, rng=rng))
    finally:
        torch.set_num_threads(before)
    if not seen:
        raise _no_frames(data)
    return Compared(stages={name: pair.summed_up() for name, pair in pairs.items()}, frames=seen)


def require_frames(data: Path) -> None:
    """Tell before minutes of tracing that there is nothing to compare on.

    Raises:
        UserError: there are no frames in the data, or they cannot be read.
    """
    if not any(True for clip in clips_of(data, frames=1) for _ in clip):
        raise _no_frames(data)


def _no_frames(data: Path) -> UserError:
    return UserError(f"{data} holds no frames to compare on. Give a video or a data set of clips by --data.")


def slower(compared: Compared) -> str | None:
    """Why int8 is refused: all stages together take as long as in single precision; None where it gains some."""
    parts = list(compared.stages.values())
    fp32 = [part.fp32_p50_ms for part in parts if part.fp32_p50_ms is not None]
    assert len(fp32) == len(parts), compared
    return time_refusal(int8_ms=sum(part.p50_ms for part in parts), float_ms=sum(fp32), of="the stages together")


def refusal(compared: Compared) -> str | None:
    """Why a tracker's file is not as good as its runs; None where it is."""
    told = []
    for name, parity in compared.stages.items():
        if parity.largest_px > MOST_PX:
            told.append(
                f"the {name} stage sees a point {parity.largest_px:.3f} px from where its run sees it (mean "
                f"{parity.mean_px:.4f} px); allowed are {MOST_PX} px"
            )
        if parity.largest_score > MOST_SCORE:
            told.append(
                f"a probability of the {name} stage differs by {parity.largest_score:.4f}, allowed {MOST_SCORE}"
            )
        if not parity.placed:
            told.append(
                f"the {name} stage sees the point in none of the frames, so places could not be compared: give --data "
                "whose frames show it, or train longer"
            )
    return "; ".join(told) or None


def clips_of(data: Path, *, frames: int) -> Iterator[Iterator[VideoFrame]]:
    """Runs of consecutive frames from the beginnings of all clips, about as many of each.

    Raises:
        UserError: it is neither a video nor a folder of frames nor a data set of clips.
    """
    if is_video(data):
        yield _beginning(data, frames)
        return
    try:
        dataset = load_data(data, skip_broken=True, format=None)
    except UserError:
        if not data.is_dir():
            raise
        yield _beginning(data, frames)  # a folder of frames without labels, or it says what it is
        return
    clips: dict[str, list[Record]] = {}
    for record in dataset.records:
        if record.before is None:
            raise UserError(
                f"{data} holds single pictures, and a tracker is compared on consecutive frames. Give a video, a "
                "folder of numbered frames or a data set of clips."
            )
        clips.setdefault(str(record.group), []).append(record)
    each = -(-frames // max(1, len(clips)))
    for records in list(clips.values())[:frames]:
        if records[0].video_frame is not None:
            yield _beginning(records[0].path, each)
        else:
            yield _pictures(records[:each])


def _beginning(where: Path, frames: int) -> Iterator[VideoFrame]:
    with open_source(where) as source:
        for count, frame in enumerate(source, start=1):
            yield frame
            if count >= frames:
                return


def _pictures(records: Sequence[Record]) -> Iterator[VideoFrame]:
    """Labelled frames of a clip that are pictures."""
    for record in records:
        assert record.frame is not None, record.image_id
        image = read_image(record.path, channels=3)
        yield VideoFrame(number=record.frame, time_s=0.0, pixels=ArrayPixels(image))


def _frame(
    frame: VideoFrame,
    past: Past,
    runs: Mapping[StageName, EagerStage],
    exported: Mapping[StageName, ArtefactStage],
    rivals: Mapping[StageName, ArtefactStage],
    *,
    pairs: Mapping[StageName, _Pairs],
    rng: np.random.Generator,
) -> Place:
    """One frame through all stages; where the run of the last one sees the point."""
    answer = UNSEEN
    centre = np.array(frame.size_hw[::-1]) / 2
    for name, run in runs.items():
        if name == "coarse":
            areas: list[Box] = [whole(frame)]
        else:
            anywhere = rng.random(2) * frame.size_hw[::-1]
            areas = [window_around(place, frame.size_hw, run.input_hw) for place in (centre, anywhere)]
        begun = time.perf_counter()
        first = ask(run, past, areas)
        between = time.perf_counter()
        second = ask(exported[name], past, areas)
        ended = time.perf_counter()
        _require_numbers(first, second, name=name)
        pair = pairs[name]
        pair.first += first
        pair.second += second
        pair.first_ms.append(1e3 * (between - begun))
        pair.second_ms.append(1e3 * (ended - between))
        pair.batch = len(areas)
        if name in rivals:
            begun = time.perf_counter()
            ask(rivals[name], past, areas)
            pair.fp32_ms.append(1e3 * (time.perf_counter() - begun))
        best = first[0]
        answer = Place(x=best.x, y=best.y, visible=True) if best.visible >= run.threshold else UNSEEN
        if name == "coarse":
            centre = np.array([best.x, best.y])
    return answer


def _require_numbers(first: Sequence[StagePoint], second: Sequence[StagePoint], *, name: str) -> None:
    for points, who in ((first, "run"), (second, "exported network")):
        if not np.isfinite([(point.x, point.y, point.visible) for point in points]).all():
            raise UserError(f"The {name} stage's {who} gives answers that are not finite. Train it again.")
