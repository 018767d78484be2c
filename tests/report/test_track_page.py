"""The report of a track: every part is there, it fits its width, asks for nothing, and its sliders work."""

from __future__ import annotations

import json
import re

import pytest
from chromium import PROGRAM, Chromium
from scored_tracks import make_track_run

from sightline.report.page import render, write_report
from sightline.report.run_folder import read_run_folder
from sightline.report.track_facts import FrameFacts, clips_of, worst_moments, worst_stretch

PARTS = ("metrics", "outcomes", "film", "trajectories", "distance", "guessing", "visibility", "clips")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_track_run(tmp_path_factory.mktemp("track"))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no Chromium here")
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def test_every_part_is_on_the_page_and_says_the_numbers(run):
    page = render(read_run_folder(run))
    for part in PARTS:
        assert f'<section id="{part}">' in page, part
    told = json.loads((run / "evaluation" / "metrics.json").read_text())
    for name, count in told["outcomes"].items():
        assert re.search(rf'class="outcome {name.lower()}"><b>{count}</b>', page.replace("<td colspan=2 ", "<td ")), (
            name
        )
    assert f"within 5 px in {told['outcomes']['TP']}" in page
    assert "continue the last motion" in page and "intervals from 20 blocks of 12 consecutive frames" in page
    assert "On 240 frames" in page and "IoU" not in page, "the words of boxes are not those of tracks"


def test_what_lies_in_the_folder_cannot_break_out_of_the_page(tmp_path):
    page = render(read_run_folder(make_track_run(tmp_path, frames=20, hostile=True)))
    assert "<script>alert" not in page and "<img src=x" not in page


def test_a_page_without_predictions_or_evaluation_is_still_made(tmp_path):
    run = make_track_run(tmp_path, clips=1, frames=12)
    (run / "evaluation" / "predictions.json").unlink()
    page = render(read_run_folder(run))
    assert "worst moments (no predictions of frames)" in page and "clips (fewer than two clips)" in page
    (run / "evaluation" / "metrics.json").unlink()
    page = render(read_run_folder(run))
    assert 'id="curves"' in page and "outcomes (no counts of outcomes)" in page


def test_a_picture_that_is_gone_leaves_the_drawing(tmp_path):
    run = make_track_run(tmp_path, clips=1, frames=10)
    for picture in (tmp_path / "clips" / "rally_0").glob("*.jpg"):
        picture.unlink()
    page = render(read_run_folder(run))
    assert page.count("The picture file is no longer there.") == 1 and '<g class="shot on"' in page


def facts(outcomes: str, *, errors=()) -> tuple[FrameFacts, ...]:
    names = {"r": "TP", "m": "FN"}
    return tuple(
        FrameFacts(number=n, truth=(1.0, 1.0), guess=None, outcome=names[o], error=dict(errors).get(n), entry={})
        for n, o in enumerate(outcomes)
    )


def test_the_stretch_and_the_moments_are_where_the_most_is_wrong(run):
    frames = facts("rrmrrrrmmmrr")
    assert [frame.number for frame in worst_stretch(frames, most=4)] == [6, 7, 8, 9]
    assert worst_stretch(frames, most=20) == frames
    clips = clips_of(read_run_folder(run))
    assert [clip.share_right for clip in clips] == sorted(clip.share_right for clip in clips)
    moments = worst_moments(clips, most=4, reach=5)
    assert len(moments) == 4
    seen = [(moment.clip, frame.number) for moment in moments for frame in moment.frames]
    assert len(seen) == len(set(seen)), "no frame is in two moments"
    assert all(not moment.frames[moment.worst].is_right for moment in moments)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_width_and_asks_for_nothing(tmp_path, browser, width):
    page = write_report(make_track_run(tmp_path, clips=3, frames=30, hostile=True))
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(page.as_uri(), width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert {url for url in browser.requests if not url.startswith("data:")} == {page.as_uri()}


def test_a_slider_shows_one_frame_and_says_which(run, browser):
    page = write_report(run)
    browser.open(page.as_uri(), width=900)
    shown = "[...document.querySelectorAll('.film')[0].querySelectorAll('.shot')].map(s => getComputedStyle(s).display)"
    count = len(browser.evaluate(shown))
    assert count == 25
    assert browser.evaluate(shown).count("none") == count - 1
    told = "document.querySelector('.film output').textContent"
    before = browser.evaluate(told)
    assert re.match(r"frame \d+: ", before)
    browser.evaluate("document.querySelector('.film input').focus()")
    browser.send(
        "Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39
    )
    after = browser.evaluate(told)
    assert int(re.search(r"\d+", after)[0]) == int(re.search(r"\d+", before)[0]) + 1
    assert browser.evaluate(shown).count("none") == count - 1
    assert browser.evaluate("document.querySelector('.film input').getAttribute('aria-valuetext')") == after
