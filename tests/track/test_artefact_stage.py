"""A stage of an exported tracker: the eager stage's answers, kept features, and a file whose damage is told."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from track_runs import ball_picture, small

from sightline.codecs.track_map import TrackMapCodecConfig
from sightline.config import Experiment
from sightline.context.prior import PriorConfig
from sightline.context.stack import StackContextConfig
from sightline.errors import UserError
from sightline.export.tracker import stage_card, stage_graphs
from sightline.geometry import Box
from sightline.heads.track_map import TrackMapHeadConfig
from sightline.model import build, without_pretrained
from sightline.recipes.track_ball import track_ball_coarse, track_ball_fine
from sightline.runtime.artefact_file import Stored, read_artefact, write_artefact
from sightline.runtime.card import Card, Engine, EvaluateCard, ViewCard
from sightline.runtime.engines import OnnxEngine
from sightline.runtime.tracker_file import (
    StoredGraph,
    StoredTracker,
    TrackerCard,
    card_in,
    is_tracker_file,
    read_tracker_file,
    write_tracker_file,
)
from sightline.track.artefact_stage import ArtefactStage
from sightline.track.config import PRESETS
from sightline.track.eager import EagerStage
from sightline.track.past import Past
from sightline.track.rules import Place
from sightline.track.zoom import ask
from sightline.video.frame import VideoFrame
from sightline.video.pixels import ArrayPixels

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def with_history(experiment: Experiment) -> Experiment:
    """The same with a context that looks at past points, and three past frames."""
    return experiment.model_copy(
        update={
            "context": StackContextConfig(history=6, prior=PriorConfig(form="quadratic")),
            "head": TrackMapHeadConfig(layers=((16, 1),), prior="learned", prior_gate=3.0),
            "codec": TrackMapCodecConfig(),
        }
    )


CASES = {
    "whole": small(track_ball_coarse(), (64, 96)),
    "window": small(track_ball_fine(), (64, 64)),
    "window with history": with_history(small(track_ball_fine(), (64, 64), channels=1)),
}
AREAS: dict[str, Sequence[Box]] = {
    "whole": [(0.0, 0.0, 200.0, 120.0)],
    "window": [(10.0, 20.0, 74.0, 84.0), (136.0, 56.0, 200.0, 120.0), (0.0, 0.0, 64.0, 64.0)],
}


def video_frame(number: int) -> VideoFrame:
    return VideoFrame(number=number, time_s=number / 30, pixels=ArrayPixels(ball_picture(number)))


def stages(experiment: Experiment) -> tuple[EagerStage, ArtefactStage]:
    """Both ways to run one network, which shrink alike."""
    torch.manual_seed(5)
    model, codec = build(without_pretrained(experiment))
    eager = EagerStage(model, codec, experiment, threshold=0.25, places=3)
    engines = [OnnxEngine(graph, threads=1) for graph in stage_graphs(eager)]
    return eager, ArtefactStage(stage_card(eager), engines, from_planes=False)


@pytest.fixture(scope="module", params=CASES)
def pair(request: pytest.FixtureRequest) -> tuple[str, EagerStage, ArtefactStage]:
    return request.param, *stages(CASES[request.param])


def test_it_answers_as_the_run_does_on_every_frame(pair: tuple[str, EagerStage, ArtefactStage]) -> None:
    name, eager, exported = pair
    areas = AREAS[name.split()[0]]
    assert (exported.input_hw, exported.past_frames, exported.history, exported.threshold) == (
        eager.input_hw, eager.past_frames, eager.history, 0.25,
    )  # fmt: skip
    past = Past(frames=eager.past_frames)
    exported.reset()
    eager.reset()
    for number in (0, 1, 2, 4, 5):  # frame 3 could not be decoded
        past.see(video_frame(number))
        first, second = ask(eager, past, areas), ask(exported, past, areas)
        assert len(second) == len(areas)
        for one, other in zip(first, second, strict=True):
            np.testing.assert_allclose((other.x, other.y), (one.x, one.y), atol=0.01)
            assert len(one.others) == (2 if name == "whole" else 0)
            np.testing.assert_allclose(other.others, one.others, atol=0.01)
            assert other.visible == pytest.approx(one.visible, abs=1e-4)
        past.answered(number, Place(x=first[0].x, y=first[0].y, visible=True))
    alone = [ask(exported, past, [area])[0] for area in areas]  # any number of windows
    for one, other in zip(alone, second, strict=True):
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=1e-3)


def test_only_what_the_network_needs_is_an_input_of_its_graph(pair: tuple[str, EagerStage, ArtefactStage]) -> None:
    name, _, exported = pair
    names = [[given.name for given in engine.session.get_inputs()] for engine in exported.engines]  # type: ignore[attr-defined]
    wanted = {
        "whole": [["frame"], ["maps_0"]],
        "window": [["windows"]],
        "window with history": [["windows", "past_xy", "past_visible"]],
    }
    assert names == wanted[name]
    assert exported.engines[0].session.get_inputs()[0].type == "tensor(uint8)"  # type: ignore[attr-defined]


def test_each_whole_frame_is_looked_at_once(pair: tuple[str, EagerStage, ArtefactStage]) -> None:
    name, _, exported = pair
    if name != "whole":
        pytest.skip("windows are computed anew")
    exported.reset()
    looked: list[int] = []
    look = exported.look
    exported.look = lambda pictures: (looked.append(len(pictures)), look(pictures))[1]  # type: ignore[method-assign]
    past = Past(frames=exported.past_frames)
    for number in range(5):
        past.see(video_frame(number))
        ask(exported, past, AREAS["whole"])
        assert exported.kept_frames <= 1 + exported.past_frames
    assert looked == [2, 1, 1, 1, 1]  # with frame 0 comes black, which is kept too


def stored_tracker(engine: Engine = "onnx") -> StoredTracker:
    torch.manual_seed(0)
    experiment = CASES["window"]
    model, codec = build(without_pretrained(experiment))
    card = stage_card(EagerStage(model, codec, experiment))
    return StoredTracker(
        config=PRESETS["track-ball"].to_yaml(),
        card=TrackerCard(sightline="0", made="now", stages={"fine": card}, engine=engine),
        radius='{"coverage": 0.9}',
        graphs={"fine": StoredGraph(model=b"not looked at", weights=b"" if engine == "onnx" else b"weights")},
    )


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_file_comes_back_as_it_was_written_and_the_same_tracker_gives_the_same_bytes(
    engine: Engine, tmp_path: Path
) -> None:
    stored = stored_tracker(engine)
    write_tracker_file(tmp_path / "a", stored)
    write_tracker_file(tmp_path / "b", stored)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    back = read_tracker_file(tmp_path / "a")
    assert (back.config, back.card, back.radius) == (stored.config, stored.card, stored.radius)
    (graph,), (wanted,) = back.graphs.values(), stored.graphs.values()
    assert (graph.model, graph.weights) == (wanted.model, wanted.weights)
    assert is_tracker_file(tmp_path / "a")
    assert card_in(tmp_path / "a") == stored.card


def rewritten(path: Path, **changes: bytes | None) -> Path:
    """The same zip with entries exchanged or left out, its checksum as it was."""
    with zipfile.ZipFile(path) as archive:
        parts: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    parts |= {name.replace("_", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            if content is not None:
                archive.writestr(name, content)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_tracker_file(tmp_path / "tracker.sightline", stored_tracker())
    return tmp_path / "tracker.sightline"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fine_onnx": b"another graph"}, "checksum is wrong"),
        ({"tracker_yaml": b"mode: fast"}, "checksum is wrong"),
        ({"radius_json": None}, "checksum is wrong"),
        ({"tracker_yaml": None}, "no exported tracker"),
        ({"card_json": b'{"format": 99, "sightline": "7.0"}'}, "format 99, written by sightline 7.0"),
        ({"card_json": b"{"}, "checksum is wrong"),
    ],
)
def test_a_changed_file_is_refused(file: Path, changes: dict[str, bytes | None], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_tracker_file(rewritten(file, **changes))


def test_a_truncated_a_foreign_and_a_missing_file_are_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) - 40])
    with pytest.raises(UserError, match="truncated"):
        read_tracker_file(file)
    file.write_bytes(b"\x08\x0a an ONNX model")
    with pytest.raises(UserError, match="no exported tracker"):
        read_tracker_file(file)
    with pytest.raises(UserError, match="no such file"):
        read_tracker_file(tmp_path / "nothing")
    damaged = bytearray(whole)
    damaged[whole.index(b"not looked at") + 3] ^= 1
    file.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match="checksum is wrong"):
        read_tracker_file(file)


def test_a_file_of_the_other_kind_is_told_by_its_name(file: Path) -> None:
    with pytest.raises(UserError, match="is an exported tracker, which follows a point"):
        read_artefact(file)
    view = ViewCard(input_hw=(32, 32), channels=3, crop="image", margin=0, keep_aspect=True)
    scored = EvaluateCard(jitter=0, seed=0, pck=(0.05,), size_limits=(32, 96))
    for engine in ("onnx", "openvino"):
        told = {"sightline": "0", "engine": engine, "precision": "fp32", "recipe": "r", "task": "boxes", "made": "now"}
        card = Card.model_validate(told | {"data": view, "evaluate": scored})
        write_artefact(file, Stored(card=card, graph=b"\x08\x0a\x12\x05torch"))
        with pytest.raises(UserError, match="is an exported model of single pictures"):
            read_tracker_file(file)
        assert not is_tracker_file(file) and card_in(file) == card


def test_a_graph_that_the_runtime_cannot_read_is_told() -> None:
    with pytest.raises(UserError, match="cannot run this artefact"):
        OnnxEngine(b"not a graph", threads=1)
