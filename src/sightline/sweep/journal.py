"""Optuna's journal file, which also notices when its file has gone or was damaged.

Optuna's own makes a new file where there is none, and would go on in it with half of a study. Imported only where
Optuna is known to be there. Next: board.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from errno import EIO, ENOENT
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock


class Journal(JournalFileBackend):
    """One file, the same from the beginning to the end of the process."""

    def __init__(self, path: Path, lock: JournalFileSymlinkLock) -> None:
        """Open it, or make it."""
        super().__init__(str(path), lock_obj=lock)
        self._path, self._inode = path, path.stat().st_ino

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """As Optuna's; raises OSError (EIO) where a line is no JSON, and ENOENT where the file is another one."""
        self._require_there()
        try:
            yield from super().read_logs(log_number_from)
        except json.JSONDecodeError as error:
            raise OSError(EIO, f"it is damaged: {error}", str(self._path)) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """As Optuna's; raises OSError (ENOENT) where the file has gone."""
        self._require_there()
        super().append_logs(logs)

    def _require_there(self) -> None:
        if os.stat(self._path).st_ino != self._inode:
            raise FileNotFoundError(ENOENT, "another file has taken its place", str(self._path))
