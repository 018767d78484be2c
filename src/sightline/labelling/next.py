"""The whole of `sightline next`, in order: candidates, a look at each, the choice, what is written.

In: paths. Out: `Asked`. Next: ../cli/next.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.doctor.look import look_at_pictures
from sightline.errors import UserError
from sightline.files import new_folder
from sightline.labelling.boxes import read_box_source
from sightline.labelling.candidates import Candidates, find_candidates
from sightline.labelling.choose import Choice, choose
from sightline.labelling.deliver import PAGE, deliver, require_empty, require_formats
from sightline.labelling.opinions import Kind, Panel, kind_of
from sightline.labelling.page import Told, write_page
from sightline.labelling.survey import Labelled, Seen, survey
from sightline.predict_files import Names

_SEVERAL = (
    "Pictures count as uncertain by the models' scores, and as disputed by how far the models' answers lie apart. "
)
_CHANGED = (
    "Pictures count as uncertain by the model's scores, and as disputed by how far its answers to the picture, its "
    "mirror image and small shifts of it lie apart. "
)
_NEIGHBOURS = (
    "Frames count as uncertain by the probability that the point is visible, and as disputed by how badly the answer "
    "fits those to the frames before and behind. "
)
_THEN = (
    "Both become ranks and are averaged. Then the picture worth most is taken, and again and again the one whose rank "
    "times its distance to all that were taken is largest; near copies of what is taken or labelled already drop out."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What came of it.

    Attributes:
        looked_at: how many pictures and frames.
        labelled: how many pictures and frames were left out because people labelled them.
        like_labelled: how many because they look like one of these, or lie too near to it in time.
        empty: the pictures and frames in which --boxes finds nothing.
        broken: why, for each picture or video that could not be read.
    """

    choices: tuple[Choice, ...]
    looked_at: int
    labelled: int
    like_labelled: int
    broken: tuple[str, ...]
    written: tuple[Path, ...]
    has_films: bool
    empty: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line."""
        known = f", {self.labelled:,} labelled already" if self.labelled else ""
        known += f", {self.like_labelled:,} like a labelled one" if self.like_labelled else ""
        known += f", {len(self.empty):,} without a box" if self.empty else ""
        return f"{len(self.choices):,} chosen of {self.looked_at:,} looked at{known}"

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "chosen": [
                {
                    "rank": choice.rank,
                    "picture": choice.seen.candidate.name,
                    "source": str(choice.seen.candidate.path),
                    "frame": choice.seen.candidate.frame,
                    "time_s": choice.seen.candidate.time_s,
                    "uncertainty": choice.seen.doubt.value,
                    "disagreement": choice.seen.disagreement,
                    "distance": choice.distance,
                    "why": choice.why,
                }
                for choice in self.choices
            ],
            "looked_at": self.looked_at,
            "labelled": self.labelled,
            "like_labelled": self.like_labelled,
            "without_box": list(self.empty),
            "broken": list(self.broken),
            "written": [str(path) for path in self.written],
        }


def choose_next(
    runs: Sequence[Path],
    data: Sequence[Path],
    out: Path,
    *,
    count: int,
    formats: Sequence[str],
    every_s: float,
    apart_s: float,
    seed: int,
    format: str | None,
    device: str,
    boxes: Path | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> Asked:
    """Look, choose and write; see `cli.next` for the arguments.

    Raises:
        UserError: the folder is not empty, there is nothing to label or nothing that can be read, or runs, formats
            and data do not fit together.
    """
    require_empty(out, data)
    kinds: dict[Path, Kind] = {path: kind_of(path) for path in runs}
    if len(set(kinds.values())) > 1:
        told = "; ".join(f"{path} {_DOES[kind]}" for path, kind in kinds.items())
        raise UserError(f"The runs are of different tasks: {told}. Give runs of one task.")
    if boxes is not None and kinds[runs[0]] == "track":
        raise UserError(f"--boxes is for models of points in single pictures; {runs[0]} follows one. Leave it out.")
    candidates = find_candidates(data, format=format)
    broken: list[str] = []
    empty: list[str] = []
    times: dict[str, list[float]] = {}

    def on_labelled(film: str, time_s: float) -> None:
        times.setdefault(film, []).append(time_s)

    if kinds[runs[0]] == "track":
        seen, names, how = _follow(
            runs, candidates, formats=formats, every_s=every_s, device=device, on_broken=broken.append,
            on_labelled=on_labelled, watch=watch,
        )  # fmt: skip
    else:
        seen, names, how = _look(
            runs, candidates, formats=formats, every_s=every_s, device=device, boxes=boxes, on_broken=broken.append,
            on_empty=empty.append, on_labelled=on_labelled, watch=watch,
        )  # fmt: skip
    if not seen and empty and not broken:
        raise UserError(
            f"--boxes {boxes} finds nothing in any of the {len(empty):,} pictures, so no points can be guessed. Give "
            "what finds these objects, or a CSV of boxes."
        )
    if not seen and times and not broken:
        raise UserError(
            f"All {candidates.count_labelled:,} pictures and frames are labelled already. Give other pictures or "
            "videos."
        )
    if not seen:
        raise UserError("\n  ".join(["None of the pictures can be read, so there is nothing to choose from:", *broken]))
    # A tracker's frames are not told apart by their looks.
    known = {} if kinds[runs[0]] == "track" else look_at_pictures(candidates.labelled)
    chosen = choose(
        seen,
        count=count,
        apart_s=apart_s,
        seed=seed,
        labelled_thumbs=[one.thumb for one in known.values()],
        labelled_times=times,
    )
    if not chosen.choices:
        near = f", or lie within --apart {apart_s:g} seconds of one" if times else ""
        raise UserError(
            f"All {len(seen):,} pictures without labels show nearly the same as labelled ones{near}: nothing is worth "
            "labelling. Give other pictures."
        )
    told = Told(models=[str(path) for path in runs], looked_at=len(seen), how=how + _THEN)
    with new_folder(out) as aside:
        delivered = deliver(chosen.choices, aside, names=names, formats=formats)
        page = write_page(delivered.choices, aside / PAGE, names=names, told=told)
    return Asked(
        choices=tuple(chosen.choices),
        looked_at=len(seen),
        labelled=candidates.count_labelled,
        empty=tuple(empty),
        like_labelled=chosen.like_labelled,
        broken=tuple(broken),
        written=tuple(out / path.relative_to(aside) for path in (page, *delivered.written)),
        has_films=any(one.candidate.film for one in seen),
    )


_DOES: dict[Kind, str] = {"pictures": "looks at single pictures", "track": "follows a point through clips"}


def _look(
    runs: Sequence[Path],
    candidates: Candidates,
    *,
    formats: Sequence[str],
    every_s: float,
    device: str,
    boxes: Path | None,
    on_broken: Callable[[str], None],
    on_empty: Callable[[str], None],
    on_labelled: Labelled,
    watch: Callable[[int], None],
) -> tuple[list[Seen], Names, str]:
    panel = Panel.load(runs, device=device)
    require_formats(formats, classes=panel.classes)
    if boxes is not None and panel.classes:
        raise UserError(f"--boxes is for models of points; {runs[0]} finds boxes itself. Leave it out.")
    if boxes is not None and not any(opinion.finder.takes_boxes for opinion in panel.opinions):
        raise UserError(
            f"{runs[0]} looks at whole pictures (data.crop=image): a box changes nothing. Leave --boxes out."
        )
    source = None if boxes is None else read_box_source(boxes, candidates, device=device)
    seen = survey(
        panel, candidates, every_s=every_s, on_broken=on_broken, boxes=source, on_empty=on_empty,
        on_labelled=on_labelled, watch=watch,
    )  # fmt: skip
    names = Names(skeleton=panel.skeleton, classes=panel.classes)
    return seen, names, _SEVERAL if len(runs) > 1 else _CHANGED


def _follow(
    runs: Sequence[Path],
    candidates: Candidates,
    *,
    formats: Sequence[str],
    every_s: float,
    device: str,
    on_broken: Callable[[str], None],
    on_labelled: Labelled,
    watch: Callable[[int], None],
) -> tuple[list[Seen], Names, str]:
    from sightline.labelling.track_survey import Trackers, survey_tracks

    trackers = Trackers.load(runs, device=device)
    require_formats(formats, classes=())
    seen = survey_tracks(
        trackers, candidates, every_s=every_s, on_broken=on_broken, on_labelled=on_labelled, watch=watch
    )
    return seen, Names(skeleton=trackers.skeleton), _SEVERAL if len(runs) > 1 else _NEIGHBOURS
