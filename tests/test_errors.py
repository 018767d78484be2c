from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from sightline.errors import MissingExtra, PieceMismatch, UserError
from sightline.files import CannotWrite


@pytest.mark.parametrize(
    "error",
    [
        UserError("a mistake"),
        MissingExtra(feature="Rows", extra="scale"),
        PieceMismatch(giver="head", gives="a", taker="codec", needs="b", fitting=["c"]),
        CannotWrite(Path("a.txt"), OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_every_mistake_comes_out_of_a_worker_as_it_went_in(error: UserError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert {name: str(value) for name, value in vars(again).items()} == {n: str(v) for n, v in vars(error).items()}
