import numpy as np

from sightline.moving import moving_place


def drawn(*, at: tuple[int, int] | None, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    picture = np.full((96, 128, 3), 90.0) + np.random.default_rng(seed).normal(0, noise, (96, 128, 3))
    if at is not None:
        picture[at[1] : at[1] + 6, at[0] : at[0] + 6] += 120
    return picture.clip(0, 255).astype(np.uint8)


def test_a_place_is_drawn_where_something_came_or_went():
    now, before = drawn(at=(100, 20)), drawn(at=(20, 70))
    rng = np.random.default_rng(0)
    places = np.array([moving_place(now, before, rng) for _ in range(200)]) * (128, 96)
    # Cells of 16 pixels: (96..112, 16..32), and (16..32, 64..80) where it was.
    came = (np.abs(places - (104, 24)) <= 8).all(axis=1)
    went = (np.abs(places - (24, 72)) <= 8).all(axis=1)
    assert (came | went).all()
    assert 60 < came.sum() < 140


def test_noise_everywhere_does_not_drown_what_moves():
    rng = np.random.default_rng(0)
    now, before = drawn(at=(100, 20), noise=4, seed=1), drawn(at=None, noise=4, seed=2)
    places = np.array([moving_place(now, before, rng) for _ in range(100)]) * (128, 96)
    assert ((np.abs(places - (104, 24)) <= 9).all(axis=1)).mean() > 0.75  # 1 of 48 cells


def test_where_nothing_moves_there_is_no_place():
    still = drawn(at=(10, 10), noise=3)
    assert moving_place(still, still, np.random.default_rng(0)) is None


def test_a_frame_smaller_than_a_cell_and_a_grey_one():
    now, before = np.zeros((5, 7, 1), np.uint8), np.full((5, 7, 1), 200, np.uint8)
    assert moving_place(now, before, np.random.default_rng(0)) is None  # one cell: as much everywhere
