"""Starting the command line by torchrun, with every step told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("every_step.py")
SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="session")
def torchrun() -> Callable[..., subprocess.Popen[str]]:
    """Starts two processes on this machine, one thread each; `kill` says who ends when, see every_step.py."""

    def begin(*arguments: object, kill: str = "", restarts: int = 0, processes: int = 2) -> subprocess.Popen[str]:
        given = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        given += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "--max-restarts", str(restarts)]
        given += [str(DRIVER), *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "COLUMNS": "200", "KILL": kill}
        return subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    return begin
