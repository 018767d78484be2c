"""TensorBoard: one event file a run, which `tensorboard --logdir runs` finds beside the runs' own files.

Written record by record with TensorBoard's own writer, without torch or TensorFlow, so that a full disk is met here
and not in a thread of the library. Next: mlflow.py
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

# Protocol buffers make their classes at run time, where no type checker sees them.
from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[attr-defined]
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata  # type: ignore[attr-defined]
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # type: ignore[attr-defined]
from tensorboard.compat.proto.types_pb2 import DT_STRING  # type: ignore[attr-defined]
from tensorboard.summary.writer.record_writer import RecordWriter

from sightline.sinks.contents import Contents, Logged

FOLDER = "tensorboard"  # in the run folder
OURS = "events.out.tfevents.*.sightline"


class TensorBoardSink:
    """Scalars by optimiser step, and config.yaml as a text."""

    def __init__(self, run: Path, where: str | None) -> None:
        """Write to RUN/tensorboard, or below the folder `where`."""
        self.run, self.where = run, where
        self.writer: RecordWriter | None = None

    @property
    def shown_at(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {self.where or self.run.parent}"

    def replace(self, contents: Contents) -> None:
        """A new event file in place of earlier ones of this run."""
        self.close()
        folder = self._folder(contents)
        for old in folder.glob(OURS):
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"events.out.tfevents.{time.time_ns() // 1000:017d}.{socket.gethostname()}.sightline"
        self.writer = RecordWriter(path.open("xb"))
        self._write(Event(wall_time=contents.began, file_version="brain.Event:2"))
        # What a running TensorBoard has read of an earlier file is forgotten.
        start = SessionLog(status=SessionLog.START)
        self._write(Event(wall_time=contents.began, step=0, session_log=start))
        for name, text in {"config": contents.config_text, "about": _lines(contents.about)}.items():
            self._write(Event(wall_time=contents.began, step=0, summary=_text(name, text)))
        self.add(contents.logged)

    def add(self, logged: Sequence[Logged]) -> None:
        """Append scalars."""
        for entry in logged:
            value = Summary.Value(tag=entry.name, simple_value=entry.value)
            self._write(Event(wall_time=entry.time, step=entry.step, summary=Summary(value=[value])))
        assert self.writer is not None, "replace comes first"
        self.writer.flush()

    def finish(self, contents: Contents) -> None:
        """The final scores, at the last step."""
        step, at = contents.last_step, contents.ended
        self.add([Logged(name=name, value=value, step=step, time=at) for name, value in contents.final.items()])

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None

    def _folder(self, contents: Contents) -> Path:
        if self.where is None:
            return self.run / FOLDER
        # Runs of one name may come from several folders; a run keeps its place when its folder is renamed.
        mark = contents.key[:8]
        earlier = sorted(Path(self.where).glob(f"*-{mark}"))
        return earlier[0] if earlier else Path(self.where) / f"{self.run.resolve().name}-{mark}"

    def _write(self, event: Event) -> None:
        assert self.writer is not None, "replace comes first"
        self.writer.write(event.SerializeToString())


def _text(name: str, text: str) -> Summary:
    """A text as TensorBoard's TEXT tab reads it; it shows Markdown."""
    shown = "\n".join(f"    {line}" for line in text.splitlines())
    tensor = TensorProto(dtype=DT_STRING, string_val=[shown.encode()])
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return Summary(value=[Summary.Value(tag=name, metadata=metadata, tensor=tensor)])


def _lines(about: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in about.items())
