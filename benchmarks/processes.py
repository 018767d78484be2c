"""Training on one process and on several of this machine, in turns: pictures a second, memory, and their ratio.

    python benchmarks/processes.py [--processes 2] [--rounds 3] [--count 512] [--size 128] [--batch 32] [--epochs 3]

Both train the same recipe on the same drawn faces with the same batch (of all processes together), one thread a
process, samples made in the process itself (data.workers=0), pictures decoded before the clock starts. A round is one
training each. The time of an epoch is that between its first and last step as metrics.jsonl has it, the first epoch
left out, so starting Python and reading the data do not count; memory is the largest of each process. The bar is a
ratio of 1.6 with two processes on two free cores. With --validate the validation after each epoch counts too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
BAR = 1.6

# What each process runs: the command line, with the clock read at each step, and its largest memory at the end.
TOLD = """
import atexit, json, os, resource, sys, time
from pathlib import Path
from sightline import train as loop
from sightline.cli import main

folder = Path(os.environ["MEASURED"])
rank = int(os.environ.get("RANK", "0"))
clock = []
own_step = loop._Training._step

def step(training, batch):
    loss = own_step(training, batch)
    clock.append((training.progress.epoch, time.perf_counter(), len(batch), batch.images.nbytes))
    return loss

def write():
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (folder / f"{rank}.json").write_text(json.dumps({"clock": clock, "peak_kib": peak_kib}))

loop._Training._step = step
atexit.register(write)
main()
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One training.

    Attributes:
        pictures_a_second: over all processes; the median of the epochs behind the first.
        peak_mib: largest memory of each process, files of libraries included.
        bytes_a_picture: of the input tensor.
        parameters: trained numbers.
    """

    pictures_a_second: float
    peak_mib: list[float]
    bytes_a_picture: float
    parameters: int


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--recipe", default="landmarks")
    given.add_argument("--processes", type=int, default=2)
    given.add_argument("--rounds", type=int, default=3)
    given.add_argument("--count", type=int, default=512)
    given.add_argument("--size", type=int, default=128)
    given.add_argument("--batch", type=int, default=32)
    given.add_argument("--epochs", type=int, default=3)
    given.add_argument("--validate", action="store_true")
    given.add_argument("--set", nargs="*", default=[])
    given.add_argument("--json", action="store_true")
    options = given.parse_args()
    if options.epochs < 2:
        given.error("--epochs must be at least 2: the first one is left out")
    with tempfile.TemporaryDirectory() as scratch:
        data = _drawn(Path(scratch) / "faces", options)
        found: dict[int, list[Measured]] = {1: [], options.processes: []}
        for number in range(options.rounds):
            for processes, rounds in found.items():
                rounds.append(_measure(Path(scratch) / f"{processes}-{number}", data, options, processes=processes))
    return _tell(found, options)


def _drawn(folder: Path, options: argparse.Namespace) -> Path:
    sys.path.insert(0, str(SOURCE))
    from sightline.drawn.faces import write_drawn_faces

    return write_drawn_faces(folder, count=options.count, seed=0, size=options.size)


def _measure(folder: Path, data: Path, options: argparse.Namespace, *, processes: int) -> Measured:
    folder.mkdir()
    (folder / "told.py").write_text(TOLD)
    sets = [f"train.batch={options.batch}", f"train.epochs={options.epochs}", "train.min_steps=0", "data.workers=0"]
    sets += [
        f"data.input_hw=[{options.size},{options.size}]",
        "train.save_minutes=600",
        "backbone.weights=none",
        *options.set,
    ]
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    start = [sys.executable] if processes == 1 else start
    given = [str(folder / "told.py"), "train", options.recipe, "--data", str(data), "--out", str(folder / "run")]
    given += [part for text in sets for part in ("--set", text)]
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "MEASURED": str(folder)}
    done = subprocess.run([*start, *given], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    told = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(processes)]
    info = json.loads((folder / "run" / "run.json").read_text())
    own = [len_of for _, _, len_of, _ in told[0]["clock"]]
    total = sum(each["clock"][0][3] for each in told) / sum(each["clock"][0][2] for each in told)
    speed = _speed(told[0]["clock"], validated=options.validate) * processes
    assert min(own) == max(own), "batches of unlike size"
    return Measured(
        pictures_a_second=speed,
        peak_mib=[each["peak_kib"] / 1024 for each in told],
        bytes_a_picture=total,
        parameters=info["parameters"]["trainable"],
    )


def _speed(clock: list[tuple[int, float, int, int]], *, validated: bool) -> float:
    """Pictures of one process a second: between the first and the last step of an epoch, or from epoch to epoch."""
    epochs = sorted({epoch for epoch, *_ in clock})[1:]
    found = []
    for epoch in epochs:
        times = [(at, count) for each, at, count, _ in clock if each == epoch]
        before = max(at for each, at, *_ in clock if each == epoch - 1)
        counted = times if validated else times[1:]
        found.append(sum(count for _, count in counted) / (times[-1][0] - (before if validated else times[0][0])))
    return statistics.median(found)


def _tell(found: dict[int, list[Measured]], options: argparse.Namespace) -> int:
    rows = {
        processes: {
            "pictures_a_second": [round(each.pictures_a_second, 2) for each in rounds],
            "peak_mib_a_process": round(max(max(each.peak_mib) for each in rounds), 1),
            "bytes_a_picture": rounds[0].bytes_a_picture,
            "gradient_mib_a_step": round(rounds[0].parameters * 4 / 2**20, 2) if processes > 1 else 0.0,
        }
        for processes, rounds in found.items()
    }
    ratios = [
        other.pictures_a_second / one.pictures_a_second
        for one, other in zip(found[1], found[options.processes], strict=True)
    ]
    ratio = statistics.median(ratios)
    passed = ratio >= BAR
    if options.json:
        print(json.dumps({"rows": rows, "ratios": ratios, "ratio": ratio, "bar": BAR, "passed": passed}, indent=1))
    else:
        print(f"{options.recipe}, {options.size} px, batch {options.batch}, {options.rounds} rounds in turns")
        for processes, row in rows.items():
            speeds = ", ".join(f"{each:g}" for each in row["pictures_a_second"])
            print(
                f"{processes} process(es): {speeds} pictures a second; {row['peak_mib_a_process']} MiB a process; "
                f"{row['bytes_a_picture']:.0f} bytes a picture; {row['gradient_mib_a_step']} MiB of gradients a step"
            )
        print(f"ratio {ratio:.2f} ({', '.join(f'{each:.2f}' for each in ratios)}); bar {BAR}: {passed}")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
