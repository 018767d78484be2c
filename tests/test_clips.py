"""Frames of clips as samples: the past goes through the same map as the present, and windows show native pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sightline.backbones.light import LightBackboneConfig
from sightline.codecs.track_peak import TrackPeakCodecConfig
from sightline.config import (
    AugmentConfig,
    DataConfig,
    EvaluateConfig,
    Experiment,
    SkeletonConfig,
    TrainConfig,
    override,
)
from sightline.context.frame_mix import FrameMixConfig
from sightline.errors import UserError
from sightline.heads.track_peak import TrackPeakHeadConfig
from sightline.loader import Pictures, PlainSamples, TrainingSamples, collate
from sightline.model import build, in_time
from sightline.necks.fpn import FpnNeckConfig
from sightline.recipes import recipe
from sightline.records import HISTORY, PAST_FRAMES, Before, FrameAt, Record
from sightline.transforms import Framing
from sightline.types import FeatureMaps, RawTrackMap

SIZE = (60, 80)
WINDOW = DataConfig(input_hw=(32, 48), crop="window", workers=0)


def point_at(frame: int) -> tuple[float, float]:
    return 20.5 + 3 * frame, 30.5 - frame


def clip(folder: Path, *, frames: int = 6, hidden: tuple[int, ...] = ()) -> list[Record]:
    """Frames whose brightest pixel is the point, a little darker in each frame, and their records."""
    paths, records = [], []
    xy, visible = np.zeros((HISTORY, 2)), np.zeros(HISTORY, dtype=bool)
    for number in range(frames):
        image = np.full((*SIZE, 3), 20, dtype=np.uint8)
        x, y = point_at(number)
        is_seen = number not in hidden
        if is_seen:
            image[int(y), int(x)] = 250 - 10 * number
        path = folder / f"{number:03d}.png"
        cv2.imwrite(str(path), image)
        past = [None] * PAST_FRAMES + [FrameAt(path=p) for p in paths]
        point = np.array([[x, y]]) if is_seen else np.zeros((1, 2))
        records.append(
            Record(
                image_id=f"clip/{number:06d}", path=path, points_xy=point, visible=np.array([is_seen]), size_hw=SIZE,
                group="clip", frame=number,
                before=Before(frames=tuple(past[-PAST_FRAMES:]), points_xy=xy, visible=visible),
            )
        )  # fmt: skip
        paths.append(path)
        xy, visible = np.concatenate([xy[1:], point]), np.append(visible[1:], is_seen)
    return records


def brightest(image: np.ndarray) -> tuple[float, float]:
    row, column = np.unravel_index(image[..., 0].argmax(), image.shape[:2])
    return float(column) + 0.5, float(row) + 0.5


def framing(data: DataConfig = WINDOW, *, past_frames: int = 3, history: int = 8) -> Framing:
    return Framing(
        data=data, skeleton=SkeletonConfig(names=("point",)).skeleton(), past_frames=past_frames, history=history
    )


def training(records: list[Record], augment: AugmentConfig, frames: Framing, *, seed: int = 0) -> TrainingSamples:
    pictures = Pictures(records, frames.data, past_frames=frames.past_frames)
    return TrainingSamples(pictures, framing=frames, augment=augment, seed=seed)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_window_shows_present_and_past_at_their_true_places(tmp_path: Path, flip: float) -> None:
    samples = training(clip(tmp_path), AugmentConfig(window_jitter=0.2, flip=flip), framing())
    for epoch in range(5):
        sample = samples[epoch, 5]
        assert brightest(sample.image) == pytest.approx(tuple(sample.points_xy[0]))
        for past, xy, seen in zip(sample.past_images, sample.past_xy[-3:], sample.past_visible[-3:], strict=True):
            assert seen and brightest(past) == pytest.approx(tuple(xy))
        # Oldest first: the frames were drawn darker and darker.
        assert [int(p.max()) for p in sample.past_images] == [230, 220, 210] and sample.image.max() == 200


def test_before_the_first_frame_there_is_black_and_no_visible_point(tmp_path: Path) -> None:
    sample = training(clip(tmp_path), AugmentConfig(), framing())[0, 1]
    assert not sample.past_images[:2].any() and sample.past_images[2].any()
    assert sample.past_visible.tolist() == [False] * 7 + [True]
    assert not sample.past_xy[:7].any()


def test_invisible_past_points_stay_zeros_under_a_flip_and_under_noise(tmp_path: Path) -> None:
    records = clip(tmp_path, hidden=(3,))
    sample = training(records, AugmentConfig(flip=1.0, history_noise=0.05, window_jitter=0.1), framing())[0, 5]
    assert sample.past_visible[-5:].tolist() == [True, True, True, False, True]
    assert not sample.past_xy[-2].any() and sample.past_xy[-1].all()


def test_history_noise_moves_visible_points_by_no_more_than_its_share(tmp_path: Path) -> None:
    records = clip(tmp_path)
    plain = training(records, AugmentConfig(), framing())[0, 5]
    shaken = training(records, AugmentConfig(history_noise=0.05), framing())[0, 5]
    moved = np.abs(shaken.past_xy - plain.past_xy)[plain.past_visible]
    assert (moved > 0).any() and (moved <= np.array([48, 32]) * 0.05 + 1e-4).all()


def test_noise_is_drawn_for_each_frame_and_its_strength_too(tmp_path: Path) -> None:
    samples = training(clip(tmp_path), AugmentConfig(noise_std=0.1), framing())
    spreads = []
    for epoch in range(4):
        sample = samples[epoch, 5]
        frames = np.stack([sample.image, *sample.past_images])
        assert all((frames[i] != frames[j]).any() for i in range(4) for j in range(i))
        spreads.append([float(np.std(frame[:10].astype(float))) for frame in frames])
    assert np.ptp(spreads) > 2  # grey levels: stds of 0 to 25 are drawn


def test_colours_are_drawn_once_for_all_frames(tmp_path: Path) -> None:
    sample = training(clip(tmp_path), AugmentConfig(brightness=0.5, contrast=0.4, saturation=0.5), framing())[3, 5]
    corners = {tuple(frame[0, 0]) for frame in (sample.image, *sample.past_images)}
    assert len(corners) == 1


def test_windows_elsewhere_mostly_lack_the_point_and_say_so(tmp_path: Path) -> None:
    samples = training(
        clip(tmp_path), AugmentConfig(window_elsewhere=0.99), framing(WINDOW.model_copy(update={"input_hw": (16, 16)}))
    )
    seen = [bool(samples[epoch, 5].visible[0]) for epoch in range(60)]
    assert 0 < sum(seen) < 20


def test_validation_windows_are_jittered_and_always_the_same(tmp_path: Path) -> None:
    records = clip(tmp_path)
    frames = framing()
    pictures = Pictures(records, frames.data, past_frames=3)
    samples = PlainSamples(pictures, framing=frames, evaluate=EvaluateConfig(window_jitter=0.3))
    first, again = samples[4], samples[4]
    assert np.array_equal(first.image, again.image)
    middles = np.array([samples[i].points_xy[0] - (24, 16) for i in range(6)])
    assert np.abs(middles).max() > 3, "windows centred on the truth would score too well"


def test_a_window_larger_than_the_frame_shows_all_of_it_and_black(tmp_path: Path) -> None:
    records = clip(tmp_path)
    large = framing(WINDOW.model_copy(update={"input_hw": (96, 128)}))
    sample = training(records, AugmentConfig(window_jitter=0.4), large)[0, 5]
    assert sample.visible[0] and brightest(sample.image) == pytest.approx(tuple(sample.points_xy[0]))


def experiment(**data: object) -> Experiment:
    return Experiment(
        recipe="tiny-track",
        skeleton=SkeletonConfig(names=("point",)),
        data=DataConfig.model_validate({"input_hw": (32, 48), "crop": "window", "workers": 0} | data),
        backbone=LightBackboneConfig(stem=4, widths=(8, 8), blocks=(1, 1)),
        neck=FpnNeckConfig(channels=8, levels=1),
        context=FrameMixConfig(past_frames=2, channels=8, widths=(8,), blocks=1),
        head=TrackPeakHeadConfig(hidden=8, looks=4),
        codec=TrackPeakCodecConfig(),
    )


def test_a_stream_that_keeps_maps_gives_what_a_batch_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, _ = build(experiment())
    model.eval()
    records = clip(tmp_path)
    frames = Framing.of(experiment())
    batch = collate([training(records, AugmentConfig(), frames)[0, i] for i in (3, 4)])
    with torch.inference_mode():
        whole = model(*batch.seen)
        kept = [model.look(images) for images in (batch.images, batch.past.images[:, 0], batch.past.images[:, 1])]
        stacked = type(kept[0])(
            maps=tuple(torch.stack(level, dim=1) for level in zip(*(k.maps for k in kept), strict=True))
        )
        streamed = model.conclude(stacked, batch.past.points_xy, batch.past.visible)
    assert isinstance(whole, RawTrackMap) and isinstance(streamed, RawTrackMap)
    torch.testing.assert_close(streamed.logits, whole.logits)
    torch.testing.assert_close(streamed.visible, whole.visible)


def test_time_is_unfolded_with_the_current_frame_first() -> None:
    maps = in_time(FeatureMaps(maps=(torch.arange(6.0).view(6, 1, 1, 1),)), frames=3)
    assert maps.maps[0][:, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_single_picture_recipes_refuse_windows_and_contexts_of_the_past() -> None:
    with pytest.raises(UserError, match="for clips"):
        override(recipe("landmarks"), sets=["data.crop=window"])
    with pytest.raises(UserError, match="looks at the past"):
        override(recipe("landmarks"), use=["context=frame-mix"])


def test_parts_are_trained_on_at_the_scale_of_the_input_and_mostly_show_the_point(tmp_path: Path) -> None:
    whole = DataConfig(input_hw=SIZE, crop="image", workers=0)
    samples = training(clip(tmp_path), AugmentConfig(part_hw=(24, 32), part_elsewhere=0.2), framing(whole))
    seen = 0
    for epoch in range(40):
        sample = samples[epoch, 5]
        assert sample.image.shape == (24, 32, 3) and sample.past_images.shape == (3, 24, 32, 3)
        if sample.visible[0]:
            seen += 1
            # A shift by a share of a pixel spreads the dot over its neighbours.
            assert np.hypot(*(np.array(brightest(sample.image)) - sample.points_xy[0])) < 1
    assert 28 <= seen < 40


def test_a_training_on_parts_validates_whole_frames(tmp_path: Path) -> None:
    from sightline.splits import Split
    from sightline.train import train

    records = clip(tmp_path)
    parts = experiment(input_hw=(48, 64), crop="image").model_copy(
        update={"augment": AugmentConfig(part_hw=(32, 32)), "train": TrainConfig(epochs=1, batch=2)}
    )
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.yaml").write_text(parts.to_yaml())
    events = []
    split = Split(train=tuple(records), val=tuple(records), by="random")
    train(parts, split, out, watchers=[events.append])
    validated = [event for event in events if event.kind == "val"]
    assert len(validated) == 1 and np.isfinite(validated[0].values["loss"])


def test_parts_are_refused_where_they_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="part_hw is for clips"):
        override(recipe("track-ball-fine"), sets=["augment.part_hw=[64,64]"])


def test_a_part_is_never_larger_than_the_input() -> None:
    assert AugmentConfig(part_hw=(640, 100)).part_within((288, 512)) == (288, 100)
    assert AugmentConfig().part_within((288, 512)) is None
