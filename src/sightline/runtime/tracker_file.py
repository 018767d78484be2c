"""A tracker in one file: settings, card, graphs and error radius, read back with every damage told.

A zip, so that the parts can be looked at: `tracker.yaml`, `card.json`, `radius.json` where there is one, the graphs as
ONNX (.onnx) or for OpenVINO (.xml and .bin), and `sha256` of all of it. A stage that sees whole frames has two graphs,
since what it saw in the frames before is kept: NAME-look (frame [1, H, W, C] uint8 -> its maps) and NAME-conclude (maps
[1, T, C, h, w] -> xy [1, 2], score [1]). A stage that sees windows has one, NAME (windows [B, T, H, W, C] uint8 -> xy
[B, 2], score [B]). Places are in input pixels, the current frame comes first. A stage that looks at past answers takes
them in `conclude` or its graph of windows, as past_xy [B, L, 2] float32 and past_visible [B, L] bool.
Next: ../track/artefact_stage.py
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.runtime.artefact_file import check_version, read_artefact
from sightline.runtime.card import Card, Engine, Int8Card

CONFIG, CARD, RADIUS, CHECKSUM = "tracker.yaml", "card.json", "radius.json", "sha256"
StageName = Literal["coarse", "fine", "support"]
ENDINGS: dict[Engine, tuple[str, ...]] = {"onnx": (".onnx",), "openvino": (".xml", ".bin")}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StageParity(_Part):
    """How far a stage in the file is from its run on real frames, and how long each takes in turn.

    Attributes:
        answers: how many were compared.
        placed: those in which the run sees a point; only their places count.
        largest_px: the largest distance of two places, in pixels of the frame.
        mean_px: the mean distance.
        largest_score: the largest difference of two probabilities, over all answers.
        p50_ms: the file's stage, from frames to answers.
        p95_ms: likewise.
        run_p50_ms: the run, in PyTorch.
        run_p95_ms: likewise.
        fp32_p50_ms: int8: of the same stage in single precision, in turn with both.
        batch: windows at a time; 1 for whole frames; None in older files.
    """

    answers: int
    placed: int
    largest_px: float
    mean_px: float
    largest_score: float
    p50_ms: float
    p95_ms: float
    run_p50_ms: float
    run_p95_ms: float
    fp32_p50_ms: float | None = None
    batch: int | None = None


class StageCard(_Part):
    """One stage: what its network sees, and how it compares."""

    recipe: str
    input_hw: tuple[int, int]
    channels: Literal[1, 3]
    crop: Literal["image", "window"]
    keep_aspect: bool
    past_frames: int
    history: int
    threshold: float
    int8: Int8Card | None = None
    parity: StageParity | None = None

    def graphs(self, name: StageName) -> tuple[str, ...]:
        """Names of its graphs."""
        return (f"{name}-look", f"{name}-conclude") if self.crop == "image" else (name,)


class ScoreCard(_Part):
    """How well run and file follow the point through labelled clips; int8 is judged by it.

    Attributes:
        metric: which.
        run: its value for the run.
        artefact: its value for the file.
        threshold_px: how far off a found point may be.
        frames: labelled ones.
    """

    metric: Literal["f1"] = "f1"
    run: float
    artefact: float
    threshold_px: float
    frames: int


class TrackerCard(_Part):
    """What the file says of itself.

    Attributes:
        format: of this card and of the graphs' inputs and outputs.
        kind: tells it from the card of a single model.
        sightline: the version that wrote it.
        made: when.
        engine: what runs the graphs.
        precision: of the networks.
        stages: by their place in the tracker.
        score: int8: how well it follows.
        data: what it was compared on.
        frames: of these, how many.
        threads: that each network had while it was timed.
        cpu: that it was timed on.
    """

    format: Literal[1] = 1
    kind: Literal["tracker"] = "tracker"
    sightline: str
    made: str
    engine: Engine = "onnx"
    precision: Literal["fp32", "int8"] = "fp32"
    stages: dict[StageName, StageCard]
    score: ScoreCard | None = None
    data: str = ""
    frames: int = 0
    threads: int = 1
    cpu: str = ""

    def graphs(self) -> list[str]:
        """Names of all graphs."""
        return [graph for name, stage in self.stages.items() for graph in stage.graphs(name)]

    def files(self) -> list[str]:
        """Names of the files that hold the graphs."""
        return [f"{graph}{ending}" for graph in self.graphs() for ending in ENDINGS[self.engine]]


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredGraph:
    """An ONNX model, or OpenVINO's XML and weights."""

    model: bytes
    weights: bytes = b""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredTracker:
    """What the file holds.

    Attributes:
        config: tracker.yaml, as text.
        card: likewise read.
        radius: radius.json as text, if there is one.
        graphs: by their names.
    """

    config: str
    card: TrackerCard
    radius: str | None
    graphs: dict[str, StoredGraph]


def is_tracker_file(path: Path) -> bool:
    """Whether a file is a tracker's, by the table of contents at its end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return CONFIG in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def card_in(path: Path) -> Card | TrackerCard:
    """The card of any file that `sightline export` wrote.

    Raises:
        UserError: it is no such file, truncated, changed since its export, or of another format version.
    """
    return read_tracker_file(path).card if is_tracker_file(path) else read_artefact(path).card


def write_tracker_file(path: Path, stored: StoredTracker) -> None:
    """Write the file, whole or not at all; the same tracker gives the same bytes.

    Raises:
        UserError: it cannot be written.
    """
    parts = {CONFIG: stored.config.encode(), CARD: stored.card.model_dump_json(indent=1).encode()}
    if stored.radius is not None:
        parts[RADIUS] = stored.radius.encode()
    contents = [part for name in stored.card.graphs() for part in _contents(stored, name)]
    parts |= zip(stored.card.files(), contents, strict=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in [*parts.items(), (CHECKSUM, _checksum(parts))]:
            archive.writestr(zipfile.ZipInfo(name), content)  # of no date
    write_atomically(path, buffer.getvalue())


def read_tracker_file(path: Path) -> StoredTracker:
    """Read the file back, and check that nothing in it has changed.

    Raises:
        UserError: it is not there, no tracker, truncated, changed since its export, or of another format version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be read: {reason}. Give a file that `sightline export` wrote.") from error
    if not data.startswith(b"PK"):
        raise _foreign(path)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if not {CONFIG, CARD, CHECKSUM} <= set(names):
                raise _foreign(path)
            check_version(archive.read(CARD), path=path)
            parts = {name: archive.read(name) for name in names}
    except zipfile.BadZipFile as error:
        # A zip ends with its table of contents: without it the end is missing, else what it points at has changed.
        if "not a zip" in str(error):
            raise UserError(
                f"{path} is truncated: its end is missing. Copy it again, or export the tracker again."
            ) from error
        raise _changed(path) from error
    checksum = parts.pop(CHECKSUM)
    if checksum != _checksum(parts):
        raise _changed(path)
    card = _read_card(parts[CARD], path=path)
    if missing := set(card.files()) - parts.keys():
        raise UserError(f"{path} lacks {sorted(missing)[0]}, which its card names. Export the tracker again.")
    return StoredTracker(
        config=parts[CONFIG].decode(),
        card=card,
        radius=parts[RADIUS].decode() if RADIUS in parts else None,
        graphs={name: _graph(parts, name, engine=card.engine) for name in card.graphs()},
    )


def _contents(stored: StoredTracker, name: str) -> tuple[bytes, ...]:
    """What the files of a graph hold."""
    graph = stored.graphs[name]
    return (graph.model,) if stored.card.engine == "onnx" else (graph.model, graph.weights)


def _graph(parts: dict[str, bytes], name: str, *, engine: Engine) -> StoredGraph:
    model, *weights = (parts[f"{name}{ending}"] for ending in ENDINGS[engine])
    return StoredGraph(model=model, weights=weights[0] if weights else b"")


def _read_card(text: bytes, *, path: Path) -> TrackerCard:
    try:
        return TrackerCard.model_validate_json(text)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise UserError(f"{path}: its card is damaged ({told}). Export the tracker again.") from error


def _checksum(parts: dict[str, bytes]) -> bytes:
    """Of names and contents, each by its own hash, so that no byte can move from one into another."""
    hashes = [sha256(part).digest() for name in sorted(parts) for part in (name.encode(), parts[name])]
    return sha256(b"".join(hashes)).hexdigest().encode()


def _foreign(path: Path) -> UserError:
    try:
        read_artefact(path)
    except UserError:
        pass
    else:
        return UserError(
            f"{path} is an exported model of single pictures, and this needs an exported tracker. Use it with predict "
            "or evaluate; `sightline export TRACKER` makes a tracker's file."
        )
    return UserError(
        f"{path} is no exported tracker: it is no zip with {CONFIG} and {CARD}. Give a file that `sightline export` "
        "made of a tracker's folder, or that folder."
    )


def _changed(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged or was changed after its export: its checksum is wrong. Copy it again, or export the "
        "tracker again."
    )
