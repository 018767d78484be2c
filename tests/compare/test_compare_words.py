"""Names of arms as a table shows them."""

from __future__ import annotations

import pytest

from sightline.compare.words import shortened


@pytest.mark.parametrize(
    ("names", "start", "rest"),
    [
        (["one-box-heads-1-mlp", "one-box-heads-4-ours"], "one-box-heads-", ["1-mlp", "4-ours"]),
        (["aircraft-mlp", "aircraft-mlp-conv"], "aircraft-", ["mlp", "mlp-conv"]),  # no name becomes empty
        (["landmarks", "landmarks-accurate"], "", ["landmarks", "landmarks-accurate"]),
        (["run-a", "run-b"], "", ["run-a", "run-b"]),  # four letters are not worth it
        (["one-box-heads-1-mlp"], "", ["one-box-heads-1-mlp"]),
        (["boxes accurate-1", "boxes quick-1"], "", ["boxes accurate-1", "boxes quick-1"]),
    ],
)
def test_what_all_names_begin_with_is_said_once(names: list[str], start: str, rest: list[str]) -> None:
    assert shortened(names) == (start, rest)
