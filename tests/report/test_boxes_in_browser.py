"""The report of boxes in a browser: it fits its width, asks for nothing, and its switches work."""

from __future__ import annotations

import pytest
from box_runs import CLASSES, make_boxes_run
from chromium import PROGRAM, Chromium

from sightline.report.page import write_report


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no Chromium here")
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(
    ("task", "classes", "size_hw", "hostile"),
    [("boxes", CLASSES, (72, 96), True), ("one-box", CLASSES, (96, 64), True),
     ("boxes", [f"class {k}" for k in range(80)], (32, 256), False), ("boxes", list("abcdefghijkl"), (72, 96), False)],
)  # fmt: skip
def test_the_page_fits_its_width_and_asks_for_nothing(tmp_path, browser, width, task, classes, size_hw, hostile):
    run = make_boxes_run(tmp_path, task=task, pictures=17, classes=classes, size_hw=size_hw, hostile=hostile)
    page = write_report(run)
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(page.as_uri(), width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    browser.evaluate("document.querySelector('.zoom').click()")
    assert browser.evaluate("document.querySelector('dialog').open && !!document.querySelector('dialog svg image')")
    assert browser.evaluate("document.querySelector('dialog').getBoundingClientRect().right") <= width
    assert browser.complaints == []
    assert {url for url in browser.requests if not url.startswith("data:")} == {page.as_uri()}


def test_the_layers_of_pictures_can_be_switched(tmp_path, browser):
    run = make_boxes_run(tmp_path)
    write_report(run)
    browser.open((run / "report.html").as_uri(), width=900)

    def display(selector: str) -> object:
        return browser.evaluate(f"getComputedStyle(document.querySelector('{selector}')).display")

    assert display(".tile .names") == "none", "names are off until asked for"
    browser.evaluate("document.querySelector('[data-layer=names]').click()")
    assert display(".tile .names") != "none"
    for name in ("truth", "right", "wrong", "missed"):
        assert display(f".tile .{name}") != "none"
        browser.evaluate(f"document.querySelector('[data-layer={name}]').click()")
        assert display(f".tile .{name}") == "none"
    assert display(".sample.right") != "none", "the switch itself stays"
