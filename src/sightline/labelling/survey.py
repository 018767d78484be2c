"""Looking at every candidate once: what models say of it, how sure they are, and what it looks like.

Videos are decoded once, one frame in memory at a time. In: a panel, candidates. Out: `Seen`s. Next: track_survey.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from sightline.doctor.look import thumb_of
from sightline.images import ImageError, read_image
from sightline.labelling.boxes import Boxes
from sightline.labelling.candidates import Candidate, Candidates, Film
from sightline.labelling.disagreement import boxes_apart, points_apart
from sightline.labelling.diversity import appearance
from sightline.labelling.opinions import Answers, Found, Panel
from sightline.labelling.uncertainty import Doubt, doubt_of_box, doubt_of_boxes, doubt_of_points
from sightline.records import Detections, FoundPoints
from sightline.video.library import VideoError
from sightline.video.source import open_source
from sightline.writers import BoxPrediction, Prediction, from_detections

Watch = Callable[[int], None]
Broken = Callable[[str], None]
Labelled = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One candidate after it was looked at.

    Attributes:
        guess: what a person gets to correct; its `path` is the video's where the candidate is a frame of one.
        doubt: how unsure the models are, mean over them.
        disagreement: how far their answers lie apart.
        thumb: [32, 32] float32, grey levels, to know copies by; None where pictures that look alike may differ in what
            matters, as frames of a fixed camera do in the place of a small ball.
        feature: [D] float32, to tell pictures apart by.
    """

    candidate: Candidate
    guess: Prediction | BoxPrediction
    doubt: Doubt
    disagreement: float
    thumb: np.ndarray | None
    feature: np.ndarray


def survey(
    panel: Panel,
    candidates: Candidates,
    *,
    every_s: float,
    on_broken: Broken,
    boxes: Boxes | None = None,
    on_empty: Callable[[str], None] = lambda _: None,
    on_labelled: Labelled = lambda _, __: None,
    watch: Watch = lambda _: None,
) -> list[Seen]:
    """Look at all candidates.

    Args:
        panel: who is asked.
        candidates: pictures and videos.
        every_s: of a video one frame in so many seconds is looked at; 0 for every frame.
        on_broken: told why, for each picture or video that cannot be read.
        boxes: where the object is, for models of points that want a crop, where no label file knows it.
        on_empty: told the name of each picture or frame that has no box, and is not looked at.
        on_labelled: told the video and the time, in seconds, of each frame that people labelled.
        watch: told how many were looked at so far.
    """
    found: list[Seen] = []
    kinds = panel.channels | (set() if boxes is None else set(boxes.channels))

    def look(candidate: Candidate, images: dict[int, np.ndarray]) -> None:
        if boxes is not None and candidate.box is None:
            candidate = replace(candidate, box=boxes.of(candidate, images), box_source=boxes.name)
            if candidate.box is None:
                on_empty(candidate.name)
                return
        found.append(_look(panel, candidate, images))
        watch(len(found))

    for candidate in candidates.pictures:
        try:
            images = {channels: read_image(candidate.path, channels=channels) for channels in {3, *kinds}}
        except ImageError as error:
            on_broken(str(error))
            continue
        look(candidate, images)
    for film in candidates.films:
        try:
            for candidate, image in frames_of(film, every_s=every_s, on_labelled=on_labelled):
                look(candidate, _in_channels(image, kinds))
        except VideoError as error:
            on_broken(str(error))
    return found


def frames_of(film: Film, *, every_s: float, on_labelled: Labelled) -> Iterator[tuple[Candidate, np.ndarray]]:
    """Frames of a video that have no label as candidates, with their pixels [H, W, 3]; one in `every_s` seconds."""
    with open_source(film.path) as source:
        due = 0.0
        for frame in source:
            if frame.number in film.labelled:
                on_labelled(film.name, frame.time_s)
                continue
            if frame.time_s + 1e-6 < due:
                continue
            due = frame.time_s + every_s
            yield frame_of(film, number=frame.number, time_s=frame.time_s), frame.image


def frame_of(film: Film, *, number: int, time_s: float) -> Candidate:
    """A frame of a video file as a candidate; the name is that of the picture that will be made of it."""
    name = f"{film.name}/frame_{number:06d}.jpg"
    return Candidate(name=name, path=film.path, frame=number, time_s=time_s, film=film.name)


def _in_channels(image_rgb: np.ndarray, channels: set[int]) -> dict[int, np.ndarray]:
    images = {3: image_rgb}
    if 1 in channels:
        images[1] = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)[..., None]
    return images


def _look(panel: Panel, candidate: Candidate, images: dict[int, np.ndarray]) -> Seen:
    size_hw = (images[3].shape[0], images[3].shape[1])
    answers = panel.ask(images, box=candidate.box)
    return Seen(
        candidate=candidate,
        guess=_guess(panel, candidate, answers.first, size_hw),
        doubt=_doubt(panel, answers),
        disagreement=_disagreement(panel, answers, size_hw),
        thumb=thumb_of(images[3]),
        feature=appearance(images[3]) if answers.feature is None else answers.feature,
    )


def _guess(panel: Panel, candidate: Candidate, found: Found, size_hw: tuple[int, int]) -> Prediction | BoxPrediction:
    """The first model's answer as it would predict: boxes from their thresholds on."""
    if isinstance(found, Detections):
        kept = found.select(found.scores >= panel.thresholds[found.labels])
        return from_detections(
            kept, image_id=candidate.name, path=candidate.path, size_hw=size_hw, group=candidate.film
        )
    return Prediction(
        image_id=candidate.name,
        path=candidate.path,
        size_hw=size_hw,
        points_xy=found.points_xy,
        score=found.scores,
        visible=np.ones(len(found.points_xy), dtype=bool),
        box_xyxy=candidate.box if panel.takes_boxes else None,
        box_source=candidate.box_source if panel.takes_boxes else "",
        group=candidate.film,
        probability=found.probability,
    )


def _doubt(panel: Panel, answers: Answers) -> Doubt:
    """The mean over the models; of a single one its answer to the unchanged picture counts alone."""
    asked = answers.all[: len(panel.opinions)]
    calibrated = all(found.probability is not None for found in asked)
    doubts = []
    for found in asked:
        if isinstance(found, FoundPoints):
            doubts.append(doubt_of_points(found, names=panel.names, calibrated=calibrated))
        elif panel.finds == "one-box":
            doubts.append(doubt_of_box(found, names=panel.names, calibrated=calibrated))
        else:
            doubts.append(doubt_of_boxes(found, thresholds=panel.thresholds, names=panel.names))
    return Doubt(value=float(np.mean([one.value for one in doubts])), words=doubts[0].words)


def _disagreement(panel: Panel, answers: Answers, size_hw: tuple[int, int]) -> float:
    points = [found for found in answers.all if isinstance(found, FoundPoints)]
    if points:
        return points_apart(points, size_hw=size_hw)
    boxes = [found for found in answers.all if isinstance(found, Detections)]
    # Half of the threshold: what is in doubt counts, the hundreds of boxes below it do not.
    return boxes_apart(boxes, least=None if panel.finds == "one-box" else panel.thresholds / 2)
