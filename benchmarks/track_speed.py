"""How fast `sightline track` is from an H.264 file to a CSV, what of that is the decoder's, and whether memory grows.

    python benchmarks/track_speed.py --tracker RUN [--artefact FILE] [--video VIDEO] [--frames 500] [--long 20000]

Every way runs in a process of its own, the command as a user would start it; without VIDEO a drawn rally is encoded at
12 Mbit/s, 1920 x 1080, 60 frames a second. A video is looped by its packets until it has as many frames as asked for,
so that decoding is real. Beside the time on the clock stands the processor time of a frame, over all threads, which
a busy machine changes little: with two cores, no way can be faster than 2 / that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIT_RATE = 12_000_000
DRAWN_FRAMES = 300


def main() -> None:
    """Measure every way and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracker", type=Path, help="a tracker's folder: measured in PyTorch, and exported if need be")
    parser.add_argument("--artefact", type=Path, help="an exported tracker")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument(
        "--long", type=int, default=5000, help="frames of the run that memory is compared with; 0: none"
    )
    parser.add_argument("--repeats", type=int, default=1, help="of each way in turn; the fastest counts")
    parser.add_argument("--set", action="append", default=[], dest="sets", help="settings of the tracker, KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", help="in a process of its own: decode or shrink")
    parser.add_argument("--input", default="288x512", help="what frames are shrunk to: HEIGHTxWIDTH")
    given = parser.parse_args()
    if given.only:
        return decode(given.video, size=given.input if given.only == "shrink" else None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = given.video or drawn(folder)
        short = looped(source, folder / "short.mp4", frames=given.frames)
        artefact = given.artefact
        if artefact is None:
            artefact = folder / "tracker.sightline"
            sightline("export", given.tracker, "--out", artefact, "--data", source, "--frames", 60)
        found: dict[str, dict] = {}
        for turn in range(given.repeats):
            for way, measured in ways(given, short, artefact, folder / f"{turn}").items():
                kept = found.get(way)
                found[way] = measured if kept is None or measured["fps"] > kept["fps"] else kept
        if given.long:
            long = looped(source, folder / "long.mp4", frames=given.long)
            key = f"artefact, {given.long} frames"
            found[key] = tracked(artefact, long, folder / "long.csv", sets=given.sets)
        report = {"load": os.getloadavg(), "cores": os.cpu_count(), "frames": given.frames, "ways": found}
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        tell(report)


def ways(given: argparse.Namespace, video: Path, artefact: Path, out: Path) -> dict[str, dict]:
    """Each way once."""
    found = {}
    for only in ("decode", "shrink"):
        command = [sys.executable, __file__, "--only", only, "--video", str(video), "--input", given.input]
        _, used = timed(command)
        found[only] = used
    found["artefact"] = tracked(artefact, video, out.with_suffix(".csv"), sets=given.sets)
    if given.tracker is not None:
        found["PyTorch"] = tracked(given.tracker, video, out.with_suffix(".eager.csv"), sets=given.sets)
    return found


def decode(video: Path, *, size: str | None) -> None:
    """Only decode, and shrink where a size is given."""
    from sightline.video.source import open_source

    size_hw = None if size is None else tuple(map(int, size.split("x")))
    count, start = 0, time.perf_counter()
    with open_source(video) as source:
        for frame in source:
            count += 1
            if size_hw is not None:
                frame.small((size_hw[0], size_hw[1]))
    print(json.dumps({"frames": count, "seconds": time.perf_counter() - start}))


def tracked(tracker: Path, video: Path, out: Path, *, sets: list[str]) -> dict:
    """`sightline track`, with the time from its start until the first row is in the file."""
    settings = [word for text in sets for word in ("--set", text)]
    command = [
        sys.executable,
        "-m",
        "sightline",
        "track",
        str(tracker),
        str(video),
        "--out",
        str(out),
        "--json",
        *settings,
    ]
    summary, used = timed(command, watched=out)
    return used | {"steps": summary["steps"], "busy": summary["busy"], "rows": summary["rows"]}


def timed(command: list[str], *, watched: Path | None = None) -> tuple[dict, dict]:
    """A command that prints JSON with `frames` and `seconds`: what it printed, and what it took."""
    start, first_row_s = time.perf_counter(), None
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said)
        while watched is not None and process.poll() is None and first_row_s is None:
            if watched.exists() and watched.read_bytes().count(b"\n") > 1:  # behind the head
                first_row_s = time.perf_counter() - start
            time.sleep(0.005)
        _, status, usage = os.wait4(process.pid, 0) if process.returncode is None else (0, process.returncode, None)
        if status:
            sys.exit(f"{' '.join(command)} ended with {status}")
        said.seek(0)
        summary = json.load(said)
    assert usage is not None, "it ended before it could be watched; take more frames"
    frames, seconds = summary["frames"], summary["seconds"]
    used_s = usage.ru_utime + usage.ru_stime
    return summary, {
        "frames": frames,
        "fps": frames / seconds,
        "seconds": seconds,
        "cpu_s": used_s,
        "first_row_s": first_row_s,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def sightline(*arguments: object) -> None:
    """The command line, silent."""
    subprocess.run([sys.executable, "-m", "sightline", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def drawn(folder: Path) -> Path:
    """A rally, drawn and encoded; a minute or two."""
    from sightline.drawn.rally_folder import write_rallies

    write_rallies(folder / "drawn", clips=1, frames=DRAWN_FRAMES, seed=100, codec="mp4", bit_rate=BIT_RATE)
    return folder / "drawn" / "clip_000.mp4"


def looped(source: Path, out: Path, *, frames: int) -> Path:
    """The packets of a video over and over, as a video of so many frames."""
    import av

    count, offset = 0, 0
    with av.open(str(out), "w") as target:
        stream = None
        while count < frames:
            with av.open(str(source)) as container:
                original = container.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(original)
                last = 0
                for packet in container.demux(original):
                    if packet.dts is None or packet.pts is None:
                        continue
                    last = max(last, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, stream
                    target.mux(packet)
                    count += 1
                    if count >= frames:
                        break
                offset += last
    return out


def tell(report: dict) -> None:
    """A table."""
    from rich.console import Console
    from rich.table import Table

    load = ", ".join(f"{value:.1f}" for value in report["load"])
    table = Table(title=f"1080p H.264 to CSV; {report['cores']} cores, load {load}", title_justify="left")
    for name in ("way", "frames", "frames/s", "processor ms a frame", "first row s", "peak MB"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for way, used in report["ways"].items():
        first = "" if used["first_row_s"] is None else f"{used['first_row_s']:.2f}"
        cpu = 1000 * used["cpu_s"] / used["frames"]
        table.add_row(way, f"{used['frames']:,}", f"{used['fps']:.1f}", f"{cpu:.2f}", first, f"{used['peak_mb']:.0f}")
    console = Console()
    console.print(table)
    for way, used in report["ways"].items():
        for kind, times in used.get("steps", {}).items():
            console.print(
                f"{way}: {kind} x {times['count']:,}: p50 {times['p50_ms']:.2f} ms, p95 {times['p95_ms']:.2f} ms",
                highlight=False,
            )


if __name__ == "__main__":
    main()
