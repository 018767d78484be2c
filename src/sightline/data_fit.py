"""What the training boxes decide about a model before it is built: shapes of anchors, weights of classes.

Next: prepare.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sightline.anchors.generate import AnchorRule, SquareAnchors
from sightline.anchors.look import AnchorsReport, look
from sightline.codecs.anchor_fit import fit_codec, is_open
from sightline.codecs.anchor_free import AnchorFreeCodecConfig
from sightline.codecs.anchor_rules import AnchorsConfig, DataAnchors, plain_rule
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.geometry import crop_to
from sightline.model import Locator, without_pretrained
from sightline.pieces import fake_images
from sightline.recipes.driving_ladder import resampled
from sightline.records import Objects, Record
from sightline.transforms import base_box, placed_objects
from sightline.types import RawDense

LOW_RECALL = 0.9


def input_objects(records: Sequence[Record], experiment: Experiment) -> list[Objects]:
    """The boxes of each picture in pixels of the plain, unaugmented input."""
    data = experiment.data
    placed = []
    for record in records:
        assert record.size_hw is not None, f"{record.image_id}: scan the data set first"
        to_input = crop_to(base_box(record, record.size_hw, data), data.input_hw)
        objects = placed_objects(record.objects, to_input, data)
        placed.append(objects.select(~objects.crowd))
    return placed


def levels_of(experiment: Experiment) -> tuple[tuple[int, int], ...]:
    """(h, w) of each level of a dense head, found without weights and without computing.

    Raises:
        UserError: the recipe's head is not dense.
    """
    with torch.device("meta"):
        model = Locator(without_pretrained(experiment)).eval()
    with torch.no_grad():
        raw = model.to("meta")(fake_images(experiment.data.channels, experiment.data.input_hw))
    if not isinstance(raw, RawDense):
        raise UserError(
            f"{experiment.recipe} has no boxes at every cell (its head is '{experiment.head.kind}'), so there is "
            "nothing to look at. Choose a recipe such as boxes, retinanet or driving-ssd."
        )
    return raw.sizes_hw


def fit_to_data(experiment: Experiment, records: Sequence[Record], decisions: list[str]) -> Experiment:
    """The experiment with what its codec leaves to the training boxes filled in; unchanged where it leaves nothing."""
    codec = experiment.codec
    if not isinstance(codec, AnchorsCodecConfig) or not is_open(codec):
        return experiment
    objects = input_objects(records, experiment)
    boxes = np.concatenate([each.boxes_xyxy for each in objects])
    fitted = fit_codec(
        codec,
        boxes_wh=boxes[:, 2:] - boxes[:, :2],
        labels=np.concatenate([each.labels for each in objects]),
        num_classes=len(experiment.classes),
        levels_hw=levels_of(experiment),
        input_hw=experiment.data.input_hw,
    )
    if fitted.anchors != codec.anchors:
        decisions.append(f"anchors are taken from the {len(boxes)} training boxes: {fitted.anchors.kind}")
    if fitted.alpha_classes != codec.alpha_classes:
        weights = zip(experiment.classes, fitted.alpha_classes, strict=True)
        decisions.append("class weights: " + ", ".join(f"{name} {weight:g}" for name, weight in weights))
    return resampled(experiment.model_copy(update={"codec": fitted}))


def anchor_report(experiment: Experiment, records: Sequence[Record], decisions: list[str]) -> AnchorsReport | None:
    """What the anchors do for the training boxes, with a warning where they miss many; None without anchors."""
    codec = experiment.codec
    if not isinstance(codec, AnchorsCodecConfig | AnchorFreeCodecConfig):
        return None
    found = look_at_anchors(experiment, records)
    if isinstance(codec, AnchorsCodecConfig) and codec.assigner == "fixed" and found.coverage.recall < LOW_RECALL:
        decisions.append(
            f"warning: these anchors match at most {100 * found.coverage.recall:.0f} % of the training boxes "
            "at IoU 0.5; `sightline anchors` shows more, --set codec.anchors={kind: data} takes them from the data"
        )
    return found


def look_at_anchors(experiment: Experiment, records: Sequence[Record]) -> AnchorsReport:
    """What the experiment's anchors do for the boxes of these records, and whether automatic ones would do better.

    Args:
        experiment: fitted to the data set (`prepare`).
        records: scanned.

    Raises:
        UserError: its head is not dense, or there are no boxes.
    """
    levels_hw, input_hw = levels_of(experiment), experiment.data.input_hw
    boxes = [each.boxes_xyxy for each in input_objects(records, experiment)]
    return look(boxes, rule=_rule(experiment, levels_hw), levels_hw=levels_hw, input_hw=input_hw)


def _rule(experiment: Experiment, levels_hw: tuple[tuple[int, int], ...]) -> AnchorRule:
    codec = experiment.codec
    if isinstance(codec, AnchorFreeCodecConfig):
        return SquareAnchors(cells=codec.anchor_cells)
    anchors: AnchorsConfig | None = getattr(codec, "anchors", None)
    if anchors is None or isinstance(anchors, DataAnchors):
        raise UserError(f"codec '{codec.kind}' of {experiment.recipe} has no anchors that could be looked at.")
    return plain_rule(anchors, levels_hw=levels_hw, input_hw=experiment.data.input_hw)
