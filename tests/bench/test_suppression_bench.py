from __future__ import annotations

import json
import math

import pytest
import torch

from sightline.bench import suppression
from sightline.bench.suppression import IOU, MOST, codec_for, measure, network_output, plain_suppress
from sightline.codecs.suppression import suppress


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("threshold", [0.01, 0.3])
def test_the_plain_loop_gives_the_same_boxes_as_ours(classes: int, threshold: float) -> None:
    codec = codec_for(side=128, classes=classes, threshold=threshold)
    raw = network_output(codec, objects=12)
    boxes, scores = codec.boxes_xyxy(raw)[0].clamp(0, 128), raw.logits[0].sigmoid()
    found = suppress(boxes[None], scores[None], score_threshold=threshold, iou=IOU, most=MOST)
    plain = plain_suppress(boxes.numpy(), scores.numpy(), threshold=threshold)
    assert len(plain) == found.valid.sum()
    assert len(plain) > 5
    for (score, label, place), ours, of_class, box in zip(
        plain, found.score[0], found.label[0], found.xyxy[0], strict=True
    ):
        assert score == pytest.approx(ours.item())
        assert label == of_class
        assert torch.equal(boxes[place], box)


def test_the_benchmark_times_suppression_and_decoding_of_every_scene() -> None:
    result = measure(side=64, repeats=1)
    assert len(result.rows) == 2 * len(suppression.SCENES) * len(suppression.CLASSES) * 2
    for line in json.loads(json.dumps(result.to_json()))["rows"]:
        assert line["unit"] == "ms"
        assert line["ours"] > 0
        assert line["bar"] == ""
        assert (line["ratio"] is not None) == line["what"].endswith("suppression")
        assert all(math.isfinite(v) for v in line["extra"].values())
