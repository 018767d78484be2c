"""Every recipe of pictures becomes a graph that answers as its network does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.config import Experiment, SkeletonConfig
from sightline.errors import UserError
from sightline.export.graph import to_onnx
from sightline.export.parity import compare, look, nothing_found, refusal
from sightline.export.run import card_of
from sightline.inspect import count_parameters
from sightline.model import build, without_pretrained
from sightline.predict import Predictor
from sightline.recipes import RECIPES
from sightline.runtime.artefact import Artefact
from sightline.runtime.artefact_file import Stored

SMALL = ((64, 64), (128, 128))  # tried in this order, then the recipe's own size
MOST_PARAMETERS = 45_000_000  # more is the same operations once more, and gigabytes
REFUSED = ("faster-rcnn",)  # its second stage takes as many proposals as there are, and branches on how many
PICTURES = tuple(name for name, make in RECIPES.items() if make().codec.finds != "track")


@cache
def small(name: str) -> Experiment:
    """The recipe with names of points or classes, without weights to be looked for, at the least size it takes."""
    experiment = without_pretrained(RECIPES[name]())
    update: dict[str, object] = {}
    if experiment.codec.finds == "points" and not experiment.skeleton.names:
        update["skeleton"] = SkeletonConfig(names=("a", "b", "c"))
    if experiment.codec.finds != "points" and not experiment.classes:
        update["classes"] = ("a", "b")
    if isinstance(experiment.codec, AnchorsCodecConfig):  # weights from data matter to the loss alone
        update["codec"] = experiment.codec.model_copy(update={"alpha_frequent": ()})
    experiment = experiment.model_copy(update=update)
    for input_hw in SMALL:
        tried = experiment.model_copy(update={"data": experiment.data.model_copy(update={"input_hw": input_hw})})
        try:
            with torch.device("meta"):
                build(tried)
        except (UserError, RuntimeError, ValueError, AssertionError):
            continue
        return tried
    return experiment


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_a_recipe_is_exported(name: str) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    experiment = small(name)
    with torch.device("meta"):
        if count_parameters(build(experiment)[0])["total"] > MOST_PARAMETERS:
            pytest.skip("too large to be built in a test")
    torch.manual_seed(0)
    model, codec = build(experiment)
    predictor = Predictor(model, codec, experiment)
    if name in REFUSED:
        with pytest.raises(UserError, match=f"Recipe '{name}' cannot be exported"):
            to_onnx(predictor.model, codec, experiment)
        return
    graph = to_onnx(predictor.model, codec, experiment)
    card = card_of(experiment, engine="onnx", int8=False, thresholds={})
    artefact = Artefact.of(Stored(card=card, graph=graph), threads=1)
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (*size, experiment.data.channels), dtype=np.uint8) for size in [(70, 90), (300, 200)]
    ]
    areas = [(0.0, 0.0, float(image.shape[1]), float(image.shape[0])) for image in images]
    run = [look(predictor, image, area) for image, area in zip(images, areas, strict=True)]
    found = [artefact.look(image, area) for image, area in zip(images, areas, strict=True)]
    parity = compare(run, found, source="noise")
    assert refusal(parity) is None or nothing_found(parity), parity
