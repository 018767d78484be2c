from __future__ import annotations

import json

import numpy as np
import pytest

from sightline.bench import average_precision
from sightline.bench.average_precision import LIBRARIES, Scene, library_figures, make_scene, measure
from sightline.metrics.boxes import quick_boxes

SMALL = Scene(name="4 classes, 5 true boxes", pictures=6, classes=4, true=5, found=30)


def test_every_installed_library_has_a_row_and_the_same_figures() -> None:
    pytest.importorskip("pycocotools")
    result = measure(scenes=(SMALL,), repeats=1)
    rows = json.loads(json.dumps(result.to_json()))["rows"]
    assert rows[0]["what"] == "6 pictures, 4 classes, 5 true boxes"
    assert rows[0]["met"] is None
    compared = {row["what"].split()[-1]: row for row in rows[1:]}
    assert "pycocotools" in compared and compared.keys() <= LIBRARIES.keys()
    for row in compared.values():
        assert row["ratio"] == pytest.approx(row["other"] / row["ours"])
        assert row["extra"]["figures differ by"] <= 1e-6


def test_without_libraries_our_own_time_is_left_and_the_note_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(average_precision, "find_spec", lambda name: None)
    result = measure(scenes=(SMALL,), repeats=1)
    assert len(result.rows) == 1
    assert result.met
    assert "pycocotools, faster_coco_eval, hotcoco" in result.notes[-1]


def test_figures_that_differ_miss_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocotools")
    monkeypatch.setattr(average_precision, "LIBRARIES", {"pycocotools": "loadRes"})
    monkeypatch.setattr(average_precision, "library_figures", lambda *_, **__: lambda: [0.0] * 12)
    assert not measure(scenes=(SMALL,), repeats=1).met


def test_the_scene_is_seeded_and_has_what_it_says() -> None:
    found, truth = make_scene(SMALL)
    assert (len(found), len(truth), len(found[0]), len(truth[0])) == (6, 6, 30, 5)
    again, _ = make_scene(SMALL)
    assert np.array_equal(found[3].boxes_xyxy, again[3].boxes_xyxy)
    assert quick_boxes(found, truth, classes=tuple("abcd"))["ap50"] > 0.2


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_says_the_same_as_we_do(name: str) -> None:
    pytest.importorskip(name)
    found, truth = make_scene(SMALL)
    figures = library_figures(name, found, truth, classes=4)()
    assert figures[:3] == pytest.approx(
        [quick_boxes(found, truth, classes=tuple("abcd"))[key] for key in ("ap", "ap50", "ap75")]
    )
