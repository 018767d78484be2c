"""Frames of clips, seen by trackers: every frame passes, in order, since an answer needs what came before it.

In: trackers, candidates. Out: `Seen`s of one frame in a while. Next: choose.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.labelling.candidates import Candidate, Candidates, Film
from sightline.labelling.disagreement import out_of_step, sights_apart
from sightline.labelling.diversity import appearance
from sightline.labelling.opinions import skeleton_of_track
from sightline.labelling.survey import Broken, Labelled, Seen, Watch, frame_of
from sightline.labelling.uncertainty import Doubt, doubt_of_sight
from sightline.records import Skeleton
from sightline.track.point import TrackPoint
from sightline.track.tracker import Tracker
from sightline.track.zoom import least_visible
from sightline.video.folder_source import numbered_pictures
from sightline.video.library import VideoError
from sightline.video.source import open_source
from sightline.writers import Prediction


@dataclass(frozen=True, kw_only=True, eq=False)
class Trackers:
    """One or several trackers of one point; the first one's answers are given to people."""

    all: tuple[Tracker, ...]
    skeleton: Skeleton

    @staticmethod
    def load(paths: Sequence[Path], *, device: str) -> Trackers:
        """Trackers' folders, runs that see whole frames, or exported trackers.

        Raises:
            UserError: one is not there or damaged, or they follow different points.
        """
        from sightline.track.load import Choice

        names = {path: skeleton_of_track(path) for path in paths}
        first = names[paths[0]]
        for path, skeleton in names.items():
            if skeleton.names != first.names:
                raise UserError(
                    f"{paths[0]} follows '{first.names[0]}' and {path} follows '{skeleton.names[0]}'. Give trackers "
                    "of one point."
                )
        trackers = []
        for path in paths:
            used = device
            if path.is_dir():
                from sightline.devices import pick_device

                used = pick_device(device)
            trackers.append(Tracker.load(path, Choice(device="cpu" if path.is_file() else used)))
        return Trackers(all=tuple(trackers), skeleton=first)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Kept:
    """A frame that may be chosen, by its number in the clip."""

    number: int
    candidate: Candidate
    size_hw: tuple[int, int]
    feature: np.ndarray


def survey_tracks(
    trackers: Trackers,
    candidates: Candidates,
    *,
    every_s: float,
    on_broken: Broken,
    on_labelled: Labelled = lambda _, __: None,
    watch: Watch = lambda _: None,
) -> list[Seen]:
    """Follow the point through every clip; pictures of one folder, numbered, are the frames of a clip.

    Arguments as in `survey.survey`.
    """
    found: list[Seen] = []
    done = 0

    def tell(frames: int) -> None:
        watch(done + frames)

    for film, pictures in _films(candidates):
        try:
            seen, frames = _of_film(trackers, film, pictures, every_s=every_s, on_labelled=on_labelled, watch=tell)
        except VideoError as error:
            on_broken(str(error))
            continue
        found += seen
        done += frames
    return found


def _films(candidates: Candidates) -> list[tuple[Film, dict[int, Candidate]]]:
    """Videos, and folders of numbered frames with their pictures by number."""
    films: list[tuple[Film, dict[int, Candidate]]] = [(film, {}) for film in candidates.films]
    folders: dict[Path, dict[Path, Candidate]] = {}
    for picture in candidates.pictures:
        folders.setdefault(picture.path.parent, {})[picture.path] = picture
    for folder, pictures in folders.items():
        numbered = numbered_pictures(folder)
        first = min(numbered, default=0)
        by_number = {number - first: pictures[path] for number, path in numbered.items() if path in pictures}
        films.append((Film(name=folder.name, path=folder), by_number))
    return films


def _of_film(
    trackers: Trackers,
    film: Film,
    pictures: dict[int, Candidate],
    *,
    every_s: float,
    on_labelled: Labelled,
    watch: Watch,
) -> tuple[list[Seen], int]:
    """The frames of one clip that may be chosen, and how many passed."""
    said: list[dict[int, TrackPoint]] = [{} for _ in trackers.all]
    kept: list[_Kept] = []
    for tracker in trackers.all:
        tracker.reset()
    with open_source(film.path) as source:
        due = 0.0
        for frame in source:
            for tracker, points in zip(trackers.all, said, strict=True):
                points[frame.number] = tracker.step(frame)
            watch(len(said[0]))
            if frame.number in film.labelled or (pictures and frame.number not in pictures):
                on_labelled(str(film.path) if pictures else film.name, frame.time_s)
                continue
            if frame.time_s + 1e-6 < due:
                continue
            due = frame.time_s + every_s
            candidate = frame_of(film, number=frame.number, time_s=frame.time_s)
            if pictures:
                candidate = replace(pictures[frame.number], time_s=frame.time_s, film=str(film.path))
            kept.append(
                _Kept(
                    number=frame.number,
                    candidate=candidate,
                    size_hw=frame.size_hw,
                    feature=appearance(frame.image),
                )
            )
    return [_seen(trackers, one, said) for one in kept], len(said[0])


def _seen(trackers: Trackers, one: _Kept, said: Sequence[dict[int, TrackPoint]]) -> Seen:
    number = one.number
    points = [answers[number] for answers in said]
    doubts = [
        doubt_of_sight(point.score, threshold=_threshold(tracker))
        for tracker, point in zip(trackers.all, points, strict=True)
    ]
    if len(points) > 1:
        apart = sights_apart(points, size_hw=one.size_hw)
    else:
        before, after = said[0].get(number - 1), said[0].get(number + 1)
        apart = out_of_step(before, points[0], after, size_hw=one.size_hw)
    first = points[0]
    guess = Prediction(
        image_id=one.candidate.name,
        path=one.candidate.path,
        size_hw=one.size_hw,
        points_xy=np.array([[first.x, first.y]]),
        score=np.array([first.score]),
        visible=np.array([first.visible]),
        group=one.candidate.film,
    )
    height, width = one.size_hw
    # All frames of a fixed camera look alike: where the point is tells them apart as well.
    place = np.array([first.x / width, first.y / height, float(first.visible)], dtype=np.float32)
    feature = np.concatenate([one.feature, place])
    doubt = Doubt(value=float(np.mean([d.value for d in doubts])), words=doubts[0].words)
    return Seen(candidate=one.candidate, guess=guess, doubt=doubt, disagreement=apart, thumb=None, feature=feature)


def _threshold(tracker: Tracker) -> float:
    """From which probability on the tracker says that the point is visible."""
    stages, config = tracker.stages, tracker.config
    if stages.fine is not None:
        return least_visible(config, stages.fine)
    return stages.coarse.threshold if config.coarse_visible is None else config.coarse_visible
