"""A run as a stage: the very answers that training's own samples give, and features that are kept."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from track_runs import SIZE_HW, ball_picture, small

from sightline.codecs.track_map import TrackMapCodecConfig
from sightline.config import EvaluateConfig, Experiment
from sightline.context.prior import PriorConfig
from sightline.context.stack import StackContextConfig
from sightline.geometry import Affine, Box
from sightline.heads.track_map import TrackMapHeadConfig
from sightline.infer import to_original
from sightline.loader import collate
from sightline.model import Locator, build, without_pretrained
from sightline.recipes.track_ball import track_ball_coarse, track_ball_fine
from sightline.records import HISTORY, PAST_FRAMES, Before, FoundPoints, Record
from sightline.track.eager import EagerStage
from sightline.track.past import Past
from sightline.track.rules import UNSEEN, Place
from sightline.track.zoom import ask
from sightline.transforms import Framing, plain_sample
from sightline.video.frame import VideoFrame
from sightline.video.pixels import ArrayPixels

NOW = 5
WAY = {n: (40.0 + 12 * n, 30.0 + 7 * n) for n in range(NOW)}


def with_history(experiment: Experiment) -> Experiment:
    """The same with a context that looks at past points, and three past frames."""
    return experiment.model_copy(
        update={
            "context": StackContextConfig(history=6, prior=PriorConfig(form="quadratic")),
            "head": TrackMapHeadConfig(layers=((16, 1),), prior="learned", prior_gate=3.0),
            "codec": TrackMapCodecConfig(),
        }
    )


def video_frame(number: int) -> VideoFrame:
    return VideoFrame(number=number, time_s=number / 30, pixels=ArrayPixels(ball_picture(number)))


def picture(number: int, *, channels: int) -> np.ndarray:
    """A frame as the reader of data sets gives it."""
    image = ball_picture(number)
    return image if channels == 3 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, None]


def built(experiment: Experiment, *, from_planes: bool = False) -> tuple[EagerStage, Locator]:
    """A stage, and the network as evaluation would use it."""
    torch.manual_seed(3)
    model, codec = build(without_pretrained(experiment))
    return EagerStage(model, codec, experiment, from_planes=from_planes), model.eval()


def remembered(stage: EagerStage, *, missing: int = -1) -> Past:
    """Frames 0 to 5 with the answers before the last; on frame 1 there was none."""
    past = Past(frames=stage.past_frames)
    for number in range(NOW + 1):
        if number != missing:
            past.see(video_frame(number))
        if number < NOW:
            past.answered(number, Place(x=WAY[number][0], y=WAY[number][1], visible=True) if number != 1 else UNSEEN)
    return past


def as_evaluated(stage: EagerStage, model: Locator, *, missing: int = -1) -> tuple[FoundPoints, Box]:
    """What evaluation finds in the same frame as a record of a data set; and the area that it looked at."""
    experiment, channels = stage.experiment, stage.experiment.data.channels
    points, visible = np.zeros((HISTORY, 2)), np.zeros(HISTORY, dtype=bool)
    for number, xy in WAY.items():
        if number != 1:
            points[HISTORY - NOW + number], visible[HISTORY - NOW + number] = xy, True
    record = Record(
        image_id="clip/000005",
        path=Path("frame.png"),
        points_xy=np.array([[101.0, 64.0]]),
        visible=np.array([True]),
        size_hw=SIZE_HW,
        before=Before(frames=(None,) * PAST_FRAMES, points_xy=points, visible=visible),
    )
    sample = plain_sample(
        record,
        picture(NOW, channels=channels),
        framing=Framing.of(experiment),
        evaluate=EvaluateConfig(),
        index=0,
        past=[None if n == missing else picture(n, channels=channels) for n in range(NOW - stage.past_frames, NOW)],
    )
    batch = collate([sample])
    with torch.inference_mode():
        decoded = stage.codec.decode(model(*batch.seen))
    found = to_original(decoded, batch.to_input.double().numpy(), sizes_hw=[SIZE_HW])[0]
    assert isinstance(found, FoundPoints)
    height, width = experiment.data.input_hw
    return found, Affine(sample.to_input).inverse().box((0.0, 0.0, float(width), float(height)))


COARSE = small(track_ball_coarse(), (64, 96))
CASES = {
    "letterboxed": COARSE,
    "stretched": small(track_ball_coarse(), (64, 64), keep_aspect=False),
    "shrunk by three": small(track_ball_coarse(), (32, 64)),
    "with history": with_history(COARSE),
    "window": small(track_ball_fine(), (64, 64)),
    "window with history": with_history(small(track_ball_fine(), (96, 96))),
    "window larger than the frame": small(track_ball_fine(), (160, 160)),
    "grey": small(track_ball_coarse(), (64, 96), channels=1),
}


WHOLE: Box = (0.0, 0.0, 200.0, 120.0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("missing", [-1, NOW - 1])
def test_a_stage_answers_as_evaluation_does(name: str, missing: int) -> None:
    stage, model = built(CASES[name])
    found, area = as_evaluated(stage, model, missing=missing)
    answer = ask(stage, remembered(stage, missing=missing), [area if "window" in name else WHOLE])[0]
    np.testing.assert_allclose((answer.x, answer.y), found.points_xy[0], atol=0.01)
    assert answer.visible == pytest.approx(found.scores[0], abs=1e-4)


def test_windows_are_answered_one_by_one_as_together() -> None:
    stage, _ = built(CASES["window with history"])
    past = remembered(stage)
    areas: list[Box] = [(0, 0, 96, 96), (104, 24, 200, 120), (50, 10, 146, 106)]
    together = ask(stage, past, areas)
    for area, answer in zip(areas, together, strict=True):
        alone = ask(stage, past, [area])[0]
        assert (alone.x, alone.y, alone.visible) == pytest.approx((answer.x, answer.y, answer.visible), abs=1e-3)
        x0, y0, x1, y1 = area
        assert x0 <= answer.x <= x1 and y0 <= answer.y <= y1


def test_features_of_whole_frames_are_computed_once_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, _ = built(COARSE)
    looked: list[int] = []
    look = stage.model.look
    monkeypatch.setattr(stage.model, "look", lambda images: (looked.append(len(images)), look(images))[1])
    past = Past(frames=stage.past_frames)
    answers = []
    for number in range(8):
        past.see(video_frame(number))
        answers.append(ask(stage, past, [WHOLE])[0])
        assert stage.kept_frames <= 1 + stage.past_frames
    assert looked == [2, *[1] * 7]  # with frame 0 comes black, which is kept too
    # Without anything kept the answers are the same.
    stage.reset()
    assert stage.kept_frames == 0
    fresh = ask(stage, past, [WHOLE])[0]
    last = answers[-1]
    assert (fresh.x, fresh.y, fresh.visible) == pytest.approx((last.x, last.y, last.visible), abs=1e-3)
    assert looked[-1] == 3


def test_shrinking_in_the_planes_shows_nearly_the_same_picture() -> None:
    exact, _ = built(CASES["letterboxed"])
    quick, _ = built(CASES["letterboxed"], from_planes=True)
    affine = Affine(np.array([[0.48, 0, 0], [0, 0.48, 3.2]]))  # 200 x 120 in 96 x 64
    one, other = (stage._shrunk(video_frame(3), affine) for stage in (exact, quick))
    difference = np.abs(one.astype(int) - other)
    assert one.shape == other.shape == (64, 96, 3)
    assert difference[5:-5].mean() < 2


def test_the_runs_own_threshold_and_sizes_are_the_stages() -> None:
    stage, _ = built(CASES["window with history"])
    assert (stage.input_hw, stage.past_frames, stage.history, stage.threshold) == ((96, 96), 3, 6, 0.5)
