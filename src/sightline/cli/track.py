"""`sightline track`: one point through a video, a row for every frame."""

from __future__ import annotations

import json as json_module
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from sightline.track.csv_rows import RowFile
    from sightline.track.point import TrackPoint
    from sightline.track.stream import PictureSink, Summary
    from sightline.track.tracker import Tracker
    from sightline.video.library import VideoProblem
    from sightline.video.source import Source

INTERRUPTED = 130
Count = Annotated[int, Parameter(validator=validators.Number(gte=0))]


def track(
    run: Path,
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    video: Path | None = None,
    mode: Literal["calib", "fast", "smart", "stream"] | None = None,
    preset: str | None = None,
    fine: Path | None = None,
    support: Path | None = None,
    set_: Annotated[Many, Parameter(name="--set")] = None,
    fill: Count = 0,
    format: Literal["sightline", "tracknet"] = "sightline",
    resume: Flag = False,
    trail: Count = 20,
    fps: Annotated[float | None, Parameter(validator=validators.Number(gt=0))] = None,
    device: str = "auto",
    every_frame: Flag = False,
    json: Flag = False,
) -> int:
    """Follow one point through a video: a CSV with a row for every frame.

    A tracker whose settings look ahead (our own: 20 frames) says of a recorded video what goes with the frames around;
    a live source is answered at once, unless --preset or --set look_ahead= says otherwise.
    Ctrl-C ends it behind the frame at hand; the CSV is then complete up to there, and --resume goes on with it.

    Args:
        run: a tracker's folder (tracker.yaml with its runs), a run that sees whole frames, or an exported tracker.
        source: a video file, a folder of numbered frames, a camera's number, an address, or - for standard input.
        out_: the CSV to write: frame, time_s, x, y, visible, score, radius_px, step.
        video: also write the video with the point and its trail drawn, as H.264.
        mode: stream, our own; calib, fast or smart, the published ones. The tracker's own without it.
        preset: thresholds: track-ball, engine, video, tensorrt (as published), mended.
        fine: a run that sees windows, for a RUN that is no tracker's folder.
        support: a second such run; an answer counts where both agree, or where the first is sure.
        set_: settings of the tracker, KEY=VALUE, such as jump=0.04.
        fill: fill gaps of up to so many frames by a motion of constant acceleration; such rows have the step filled.
        format: of the CSV: sightline, or tracknet (Frame, Visibility, X, Y).
        resume: go on with a CSV that was begun, behind its last row.
        trail: frames over which the drawn trail fades.
        fps: frames a second of a folder of frames.
        device: auto, cpu or cuda.
        every_frame: print every row as a line of JSON as soon as it is final.
        json: print the summary as JSON.
    """
    from sightline.track.csv_rows import RowFile
    from sightline.track.resume import doubt_of
    from sightline.track.stream import track_video

    problems: list[VideoProblem] = []
    with ExitStack() as stack:
        rows = stack.enter_context(RowFile(out_, format=format, resume=resume))
        tracker = _tracker(
            run, mode=mode, preset=preset, fine=fine, support=support, sets=set_, fill=fill, device=device
        )
        if (doubt := doubt_of(rows.done, tracker.config, format=format, fill=fill)) is not None:
            console.say(doubt, on=console.err)
        frames = _open(source, fps=fps, problems=problems)
        if frames.is_live and preset is None and not any(item.startswith("look_ahead=") for item in set_ or ()):
            tracker = tracker.at_once()  # who watches wants to know now
        opened = stack.enter_context(ExitStack())
        opened.callback(frames.close)
        if resume and frames.is_live:
            raise UserError(f"--resume: {frames.name} cannot be watched again from its beginning. Write another --out.")
        pictures = stack.enter_context(_writer(video, frames)) if video is not None else None
        stop = stack.enter_context(_stopped_by_signals())
        status = stack.enter_context(console.err.status("tracking"))
        total = f" of {frames.frames:,}" if frames.frames else ""

        def write(points: Sequence[TrackPoint]) -> None:
            rows.write(points)
            if every_frame:
                for point in points:
                    print(json_module.dumps(asdict(point), allow_nan=False), flush=True)

        opened.pop_all()  # the thread that reads closes
        summary = track_video(
            frames,
            tracker,
            write=write,
            pictures=pictures,
            done=rows.done,
            stop=stop,
            trail=trail,
            watch=lambda count: status.update(f"tracking: frame {len(rows.done) + count:,}{total}"),
            release=frames.close,
        )
    for problem in problems:
        console.say(str(problem), on=console.err)
    where = console.err if json or every_frame else console.out
    values = summary.to_json() | {"out": str(out_), "video": None if video is None else str(video), "source": source}
    values |= {"problems": [asdict(problem) for problem in problems], "rows": len(rows.done) + rows.rows}
    if json and every_frame:
        print(json_module.dumps({"summary": values}, allow_nan=False))
    elif json:
        console.print_json(values)
    else:
        _tell(summary, rows, video=video, on=where)
    if not summary.interrupted:
        return 0
    if frames.is_live:  # the usual end of a stream that has none
        return 0
    console.say(f"stopped behind frame {summary.last_frame}; go on by --resume", on=console.err)
    return INTERRUPTED


def _tracker(
    run: Path,
    *,
    mode: Literal["calib", "fast", "smart", "stream"] | None,
    preset: str | None,
    fine: Path | None,
    support: Path | None,
    sets: Sequence[str] | None,
    fill: int,
    device: str,
) -> Tracker:
    from sightline.track.load import Choice
    from sightline.track.tracker import Tracker

    choice = Choice(
        fine=fine, support=support, mode=mode, preset=preset, sets=sets or (), device=_device(device, run=run)
    )  # fmt: skip
    with console.err.status("loading"):
        return Tracker.load(run, choice, fill=fill)


def _device(asked: str, *, run: Path) -> str:
    """Where the networks run; an exported tracker has no choice and needs no torch to find that out."""
    if run.is_file():
        return "cpu" if asked == "auto" else asked
    from sightline.devices import pick_device

    return pick_device(asked)


def _open(source: str, *, fps: float | None, problems: list[VideoProblem]) -> Source:
    """A source by what the user calls it: a number is a camera, unless there is a file of that name."""
    from sightline.video.source import open_source

    is_camera = source.isdigit() and not Path(source).exists()
    return open_source(int(source) if is_camera else source, on_problem=problems.append, fps=fps)


@contextmanager
def _writer(path: Path, frames: Source) -> Iterator[PictureSink]:
    from sightline.video.writer import VideoWriter

    with VideoWriter(path, fps=frames.fps, size_hw=frames.size_hw) as writer:
        yield writer


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Set by Ctrl-C or a termination; the second one stops at once, as ever."""
    stop = threading.Event()

    def remember(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop  # signals are for the main thread
        return
    previous = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _tell(summary: Summary, rows: RowFile, *, video: Path | None, on: Console) -> None:
    before = f" behind {len(rows.done):,} done before" if rows.done else ""
    console.say(
        f"{summary.frames:,} frames{before} in {summary.seconds:.1f} s ({summary.frames_per_s:.1f} a second), the "
        f"point visible in {summary.visible:,}: {rows.path}",
        on=on,
    )
    if video is not None:
        console.say(f"with the point drawn: {video}", on=on)
    if summary.steps:
        on.print(_table(summary))


def _table(summary: Summary) -> Table:
    from rich.table import Table

    shares = ", ".join(f"{name} {100 * busy / summary.seconds:.0f} %" for name, busy in summary.busy.items() if busy)
    table = Table(title=f"time by step (threads busy: {shares})", title_justify="left")
    for name in ("step", "frames", "p50 ms", "p95 ms"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for kind, times in summary.steps.items():
        table.add_row(kind, f"{times.count:,}", f"{times.p50_ms:.2f}", f"{times.p95_ms:.2f}")
    return table
