"""What is done to pictures: seeded, exact in its geometry, alike for all frames of a clip; and which are tried."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from sightline.audit.conditions import KNOBS, conditions, not_tried, setting
from sightline.audit.samples import strangers
from sightline.audit.shifts import IN_USE, KINDS, SHIFTS, Shift
from sightline.config import AugmentConfig
from sightline.records import Record

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (40, 56, 3), dtype=np.uint8), (0, 0), 2)
NAMED = {f"{shift.kind}:{shift.level}": shift for shift in SHIFTS}


@pytest.mark.parametrize("shift", SHIFTS, ids=NAMED)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_shift_is_the_same_every_time_and_keeps_shape(shift: Shift, channels: int) -> None:
    frames = [np.ascontiguousarray(PICTURE[:, :, :channels])] * 2
    first, again = (shift.repaint(frames, "a.png") for _ in range(2))
    assert [each.shape for each in first] == [(40, 56, channels)] * 2
    assert all(each.dtype == np.uint8 for each in first)
    assert np.array_equal(first, again)
    move = shift.move("a.png", input_hw=(40, 56))
    assert np.array_equal(move.matrix, shift.move("a.png", input_hw=(40, 56)).matrix)
    moves = not np.allclose(move.matrix, np.eye(3)[:2])
    assert moves != any(not np.array_equal(one, two) for one, two in zip(frames, first, strict=True))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("smaller", "larger", "shift")])
def test_strong_changes_more_than_mild(kind: str) -> None:
    def changed(level: str) -> float:
        (found,) = NAMED[f"{kind}:{level}"].repaint([PICTURE], "a.png")
        return float(np.abs(found.astype(float) - PICTURE).mean())

    assert changed("strong") > 1.5 * changed("mild") > 0


def test_constant_noise_has_its_std_and_random_noise_has_any_below_its_own() -> None:
    grey = np.full((200, 200, 1), 128, dtype=np.uint8)

    def std(key: str, name: str) -> float:
        return float(NAMED[key].repaint([grey], name)[0].std() / 255)

    constant = [std("noise-constant:strong", str(number)) for number in range(20)]
    assert constant == pytest.approx([0.08] * 20, rel=0.03)
    drawn = [std("noise-random:strong", str(number)) for number in range(60)]
    assert max(drawn) < 0.163
    assert np.quantile(drawn, 0.25) < 0.06 < 0.1 < np.quantile(drawn, 0.75)


def test_frames_of_a_clip_share_the_strength_but_not_the_grain() -> None:
    grey = np.full((200, 200, 1), 128, dtype=np.uint8)
    now, before = NAMED["noise-random:strong"].repaint([grey, grey], "clip/7")
    assert now.std() == pytest.approx(before.std(), rel=0.05)
    assert not np.array_equal(now, before)


def test_moves_are_exact() -> None:
    middle = np.array([[28.0, 20.0]])
    assert NAMED["larger:strong"].move("a", input_hw=(40, 56)).points(middle) == pytest.approx(middle)
    assert NAMED["smaller:mild"].move("a", input_hw=(40, 56)).scale == pytest.approx(0.85)
    lengths = []
    for name in "abcdef":
        moved = NAMED["shift:strong"].move(name, input_hw=(40, 40)).points(np.zeros((1, 2)))
        lengths.append(float(np.hypot(*moved[0])))
    assert lengths == pytest.approx([6.0] * 6)


def test_every_kind_is_told_of() -> None:
    assert set(IN_USE) == set(KINDS)


# ---- which are tried


def test_each_augmentation_of_the_run_is_tried_on_and_doubled() -> None:
    augment = AugmentConfig(noise_std=0.1, noise_draw="constant", scale_min=0.8, scale_max=1.25, flip=0.5, mosaic=0.5)
    tried = {condition.key: condition for condition in conditions(augment)}
    assert [key for key in tried if key.endswith((":on", ":doubled"))] == [
        "scale:on", "scale:doubled", "flip:on", "flip:doubled", "noise:on", "noise:doubled", "all:on", "all:doubled",
    ]  # fmt: skip
    assert tried["plain"].augment == AugmentConfig(noise_draw="constant")
    assert tried["noise:on"].augment == AugmentConfig(noise_std=0.1, noise_draw="constant")
    doubled = tried["all:doubled"].augment
    assert (doubled.scale_min, doubled.scale_max) == pytest.approx((0.64, 1.5625))
    assert (doubled.flip, doubled.noise_std, doubled.mosaic) == (1.0, 0.2, 0.0)
    assert not_tried(augment) == ["augment.mosaic"]
    assert setting(augment, "noise") == "noise_std=0.1 noise_draw=constant"


def test_a_run_without_augmentation_has_shifts_alone() -> None:
    keys = [condition.key for condition in conditions(AugmentConfig(), is_crossed=True)]
    assert keys == ["plain", *NAMED, "strangers"]


def test_crossed_adds_every_strong_shift_on_top_of_all_augmentation() -> None:
    crossed = [c for c in conditions(AugmentConfig(blur=0.3), is_crossed=True) if c.axis == "crossed"]
    assert [c.shift.kind for c in crossed if c.shift] == list(KINDS)
    assert all(c.augment.blur == 0.3 for c in crossed)


def test_doubled_settings_are_legal_for_the_largest_values() -> None:
    largest = {"rotate_deg": 180, "shear": 0.9, "shift": 0.9, "scale_min": 0.5, "scale_max": 3, "flip": 1,
               "brightness": 0.9, "contrast": 0.9, "saturation": 2, "hue": 0.5, "grey": 1, "blur": 1, "noise_std": 0.9,
               "occlude": 1, "history_noise": 0.9}  # fmt: skip
    assert {key for keys in KNOBS.values() for key in keys} == set(largest)
    for condition in conditions(AugmentConfig(**largest)):  # type: ignore[arg-type]
        AugmentConfig.model_validate(condition.augment.model_dump())


def test_strangers_are_of_other_groups_and_none_is_taken_twice(tmp_path) -> None:
    records = [Record(image_id=str(n), path=tmp_path / str(n), group=f"g{n // 5}") for n in range(40)]
    found = strangers(records)
    assert sorted(found) == list(range(40))
    assert all(records[n].group != records[other].group for n, other in enumerate(found))
