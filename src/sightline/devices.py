"""Which device and precision a run may use, and what this machine is.

bf16 autocast on a CPU without bf16 instructions is emulated and about a hundred times slower, so
it is refused instead of started. Next: infer.py
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from sightline.errors import UserError

BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Instruction set flags of the first processor; empty where the system does not tell."""
    if not path.is_file():
        return frozenset()
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in {"flags", "features"}:
            return frozenset(value.split())
    return frozenset()


def check_precision(precision: str, *, device: str, flags: frozenset[str]) -> None:
    """Refuse a precision that the device would have to emulate.

    Raises:
        UserError: bf16 on a CPU without bf16 instructions, or 16 (float16) on any CPU.
    """
    if device != "cpu":
        return
    if precision == "bf16" and not flags & BF16_FLAGS:
        raise UserError(
            "train.precision=bf16: this CPU has no bf16 instructions (avx512_bf16 or amx_bf16), and emulating them "
            "is about 100 times slower than float32. Use train.precision=32."
        )
    if precision == "16":
        raise UserError("train.precision=16: float16 training needs a GPU. Use 32, or bf16 where the CPU has it.")


def pick_device(wanted: str) -> str:
    """'cpu' or 'cuda'; 'auto' takes the GPU if there is one.

    Raises:
        UserError: a GPU was asked for and there is none.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: torch sees no GPU here. Use --device cpu, or install a torch build for your GPU."
        )
    if wanted not in {"cpu", "cuda"}:
        raise UserError(f"--device {wanted}: expected auto, cpu or cuda.")
    return wanted


def machine() -> dict[str, object]:
    """What belongs beside every figure: processor, cores, threads, versions."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        name = names[0] if names else name
    return {
        "cpu": name,
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
    }
