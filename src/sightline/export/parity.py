"""Does the artefact answer as the run does? Compared on real pictures, and refused beyond stated bounds. Next: int8.py.

Points: the largest distance in pixels of the pictures. Boxes: each of the run's with the artefact's of its class that
covers it best. Where two candidates overlap by just what suppression allows, or have the same score, a last bit decides
which one stays, here and there differently; so a few in thousands may have no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, crop_to, pairwise_iou
from sightline.infer import Found, to_original
from sightline.predict import Predictor
from sightline.records import Detections, FoundPoints
from sightline.runtime.card import ParityCard
from sightline.view import warp

MOST_PX = 0.05  # of any point, in pixels of the original picture
LEAST_IOU = 0.99
MOST_SCORE = 0.01
MOST_STRAY = 0.001  # of all boxes: those without a counterpart, or with one that overlaps them by less
FEW = 2  # so many may stray where there are few boxes: what one decision of suppression changes
SAME_BOX = 0.5  # IoU from which on two boxes are of one object


def look(predictor: Predictor, image: np.ndarray, area: Box) -> Found:
    """What a run finds in an area, boxes of any score; as `Artefact.look`."""
    import torch

    data = predictor.experiment.data
    to_input = crop_to(area, data.input_hw)
    with torch.inference_mode():
        pixels = torch.from_numpy(warp(image, to_input, data.input_hw)).permute(2, 0, 1)[None]
        decoded = predictor.codec.decode(predictor.model(pixels))
    return to_original(decoded, to_input.matrix[None], sizes_hw=[(image.shape[0], image.shape[1])])[0]


def compare(run: Sequence[Found], artefact: Sequence[Found], *, source: str) -> ParityCard:
    """How far two lists of answers to the same pictures are apart.

    Args:
        run: what the run found.
        artefact: what the artefact found, in the same order.
        source: where the pictures came from.

    Raises:
        UserError: coordinates or scores that are not finite.
    """
    assert len(run) == len(artefact) > 0, (len(run), len(artefact))
    _require_numbers(run, who="The run")
    _require_numbers(artefact, who="The artefact")
    if isinstance(run[0], FoundPoints):
        return _compare_points(run, artefact, source=source)
    overlaps, scores, unmatched, apart = [1.0], [0.0], 0, 0
    for first, second in zip(run, artefact, strict=True):
        assert isinstance(first, Detections) and isinstance(second, Detections)
        pairs = pair_up(first, second)
        unmatched += len(first) + len(second) - 2 * len(pairs)
        for a, b in pairs:
            overlaps.append(float(pairwise_iou(first.boxes_xyxy[[a]], second.boxes_xyxy[[b]])[0, 0]))
            if overlaps[-1] < LEAST_IOU:
                apart += 1
            else:
                scores.append(float(abs(first.scores[a] - second.scores[b])))
    return ParityCard(
        pictures=len(run),
        data=source,
        boxes=sum(len(found.scores) for found in run),
        least_iou=min(overlaps),
        largest_score=max(scores),
        unmatched=unmatched,
        apart=apart,
    )


def _compare_points(run: Sequence[Found], artefact: Sequence[Found], *, source: str) -> ParityCard:
    distances, scores = [], []
    for first, second in zip(run, artefact, strict=True):
        assert isinstance(first, FoundPoints) and isinstance(second, FoundPoints)
        distances.append(np.linalg.norm(first.points_xy - second.points_xy, axis=1))
        scores.append(np.abs(first.scores - second.scores))
    apart = np.concatenate(distances)
    return ParityCard(
        pictures=len(run),
        data=source,
        largest_px=float(apart.max()),
        mean_px=float(apart.mean()),
        largest_score=float(np.concatenate(scores).max()),
    )


def _require_numbers(answers: Sequence[Found], *, who: str) -> None:
    for place, found in enumerate(answers):
        places = found.points_xy if isinstance(found, FoundPoints) else found.boxes_xyxy
        if not (np.isfinite(places).all() and np.isfinite(found.scores).all()):
            raise UserError(f"{who} gives coordinates that are not finite for picture {place + 1}. Train it again.")


def pair_up(first: Detections, second: Detections) -> list[tuple[int, int]]:
    """Positions of boxes that belong together: of one class, best overlap first, each once."""
    overlap = pairwise_iou(first.boxes_xyxy, second.boxes_xyxy)
    overlap = np.where(first.labels[:, None] == second.labels[None], overlap, 0.0)
    pairs = []
    while overlap.size and overlap.max() >= SAME_BOX:
        a, b = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs.append((int(a), int(b)))
        overlap[a], overlap[:, b] = 0.0, 0.0
    return pairs


def nothing_found(parity: ParityCard) -> bool:
    """Whether a detector gave no box at all, so that nothing was compared."""
    return parity.least_iou is not None and parity.boxes == 0


def refusal(parity: ParityCard) -> str | None:
    """Why an artefact is not as good as its run; None where it is."""
    if nothing_found(parity):
        return (
            f"the run finds no box in any of {parity.pictures} pictures of {parity.data}, so there is nothing to "
            "compare (codec.score_threshold is the least score that it gives); train it longer, or give pictures of "
            "what it was trained on by --data"
        )
    if parity.largest_px is not None:
        if parity.largest_px <= MOST_PX:
            return None
        return (
            f"a point is {parity.largest_px:.3f} px from where the run finds it (mean {parity.mean_px:.4f} px over "
            f"{parity.pictures} pictures); allowed are {MOST_PX} px"
        )
    assert parity.least_iou is not None
    told = []
    stray, allowed = parity.unmatched + 2 * parity.apart, max(FEW, round(MOST_STRAY * 2 * parity.boxes))
    if stray > allowed:
        told.append(
            f"{stray} boxes of the two have no counterpart with an IoU of {LEAST_IOU} (the least IoU is "
            f"{parity.least_iou:.4f}); allowed are {allowed}"
        )
    if parity.largest_score > MOST_SCORE:
        told.append(f"a score differs by {parity.largest_score:.4f}, allowed {MOST_SCORE}")
    return "; ".join(told) or None
