"""From folders on the disk, or one exported file, to the stages of a tracker.

A tracker's folder holds tracker.yaml and the runs that it names; or a run that sees whole frames is given, and runs
that see windows beside it. A file holds all of that, and needs no torch. Next: tracker.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.errors import UserError
from sightline.track.config import TRACKER_FILE, Mode, ZoomConfig, changed, parse_tracker, preset, read_tracker
from sightline.track.radius import RADIUS_FILE, RadiusTable, parse_radius, read_radius
from sightline.track.stage import Stage, Stages

if TYPE_CHECKING:
    from sightline.track.eager import EagerStage

PUBLISHED_MODES: tuple[Mode, ...] = ("calib", "fast", "smart")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a user decides beside the folder.

    Attributes:
        fine: a run that sees windows, in place of the folder's.
        support: a second one.
        mode: in place of the folder's.
        preset: thresholds in place of the folder's.
        sets: `key=value` settings, applied last.
        device: "cpu" or "cuda".
    """

    fine: Path | None = None
    support: Path | None = None
    mode: Mode | None = None
    preset: str | None = None
    sets: Sequence[str] = ()
    device: str = "cpu"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a tracker is made of."""

    stages: Stages
    config: ZoomConfig
    radius: RadiusTable | None


def load_parts(path: Path, choice: Choice) -> Parts:
    """The stages, settings and error radius of a tracker's folder, of single runs, or of an exported file.

    Raises:
        UserError: there is no tracker and no run, or one that does not follow a point or sees the wrong part; or the
            file is damaged, or something is asked of it that was settled by its export.
    """
    if path.is_file():
        return _from_file(path, choice)
    config, folders = _resolved(path, choice)
    stages = Stages(
        coarse=_stage(folders["coarse"], crop="image", config=config, device=choice.device),
        fine=_optional(folders["fine"], config=config, device=choice.device),
        support=_optional(folders["support"], config=config, device=choice.device),
    )
    radius = read_radius(path)
    if radius is None and (last := folders["fine"] or folders["coarse"]) is not None:
        radius = read_radius(last)
    return Parts(stages=stages, config=config, radius=radius)


def _from_file(path: Path, choice: Choice) -> Parts:
    """What a file holds; mode, thresholds and settings can still be chosen."""
    from sightline.runtime.tracker_file import read_tracker_file
    from sightline.track.artefact_stage import artefact_stages

    for name, given in (("--fine", choice.fine), ("--support", choice.support)):
        if given is not None:
            raise UserError(f"{name}: {path} is an exported tracker, whose networks are settled. Export another one.")
    if choice.device != "cpu":
        raise UserError(f"{path} is an exported tracker, which runs on the CPU. Leave out --device {choice.device}.")
    stored = read_tracker_file(path)
    config = parse_tracker(stored.config, where=f"{path}: {TRACKER_FILE}")
    names = {"coarse": config.coarse, "fine": config.fine, "support": config.support}
    config = changed(config, sets=_checked_sets(choice, names), updates=_updates(choice, names))
    if config.fine is None and config.mode != "stream":
        raise UserError(f"mode {config.mode} needs a fine stage, and {path} has none. Use mode stream.")
    stages = artefact_stages(stored, from_planes=config.resize == "planes")
    if "coarse" not in stages or {"fine", "support"} & stages.keys() != {n for n, v in names.items() if v} - {"coarse"}:
        raise UserError(f"{path}: its card and its {TRACKER_FILE} name other stages. Export the tracker again.")
    return Parts(
        stages=Stages(coarse=stages["coarse"], fine=stages.get("fine"), support=stages.get("support")),
        config=config,
        radius=None if stored.radius is None else parse_radius(stored.radius, where=f"{path}: {RADIUS_FILE}"),
    )


def _updates(choice: Choice, names: Mapping[str, str | None]) -> dict[str, Any]:
    """What a choice changes: a preset without its runs, and the mode."""
    updates: dict[str, Any] = {} if choice.preset is None else preset(choice.preset).model_dump(mode="json")
    updates |= names
    if choice.mode is not None:
        updates["mode"] = choice.mode
    return updates


def _checked_sets(choice: Choice, names: Mapping[str, str | None]) -> Sequence[str]:
    """The settings, none of which may name runs."""
    stage_keys = {text.partition("=")[0].strip() for text in choice.sets} & set(names)
    if stage_keys:
        raise UserError(f"--set {sorted(stage_keys)[0]}: runs are named by RUN, --fine and --support.")
    return choice.sets


def _resolved(path: Path, choice: Choice) -> tuple[ZoomConfig, dict[str, Path | None]]:
    """Settings, and the folder of each stage."""
    if not path.is_dir():
        what = "neither a folder nor a file" if path.exists() else "not there"
        raise UserError(
            f"{path} is {what}. Give a tracker's folder ({TRACKER_FILE}), a run that follows a point, or an exported "
            "tracker."
        )
    is_tracker = (path / TRACKER_FILE).is_file()
    if is_tracker:
        config = read_tracker(path)
    else:
        config = preset("video" if choice.mode in PUBLISHED_MODES else "track-ball")
        config = config.model_copy(update={"fine": None, "support": None})
    names: dict[str, str | None] = {"coarse": config.coarse, "fine": config.fine, "support": config.support}
    folders = {kind: path / name if name is not None and is_tracker else None for kind, name in names.items()}
    if not is_tracker:
        folders["coarse"] = path
    updates = _updates(choice, names)
    for kind, given in (("fine", choice.fine), ("support", choice.support)):
        if given is not None:
            folders[kind], updates[kind] = given, str(given)
    sets = _checked_sets(choice, names)
    if choice.support is not None and folders["fine"] is None:
        raise UserError("--support is a second fine stage, and there is no first one. Give --fine RUN too.")
    mode = updates.get("mode", config.mode)
    if folders["fine"] is None and mode != "stream":
        raise UserError(f"mode {mode} needs a fine stage. Give --fine RUN, or use mode stream.")
    return changed(config, sets=sets, updates=updates), folders


def _optional(folder: Path | None, *, config: ZoomConfig, device: str) -> Stage | None:
    return None if folder is None else _stage(folder, crop="window", config=config, device=device)


def _stage(folder: Path | None, *, crop: str, config: ZoomConfig, device: str) -> EagerStage:
    """A run as a stage, checked to see what its place needs."""
    from sightline.checkpoint import RunFolder
    from sightline.pipeline import load_run
    from sightline.track.eager import DEFAULT_THRESHOLD, EagerStage

    assert folder is not None
    run = RunFolder(folder)
    experiment = run.experiment()
    if experiment.codec.finds != "track":
        found = {"points": "points in single pictures", "one-box": "one box", "boxes": "boxes"}
        raise UserError(
            f"{folder} finds {found[experiment.codec.finds]} (recipe {experiment.recipe}), and track needs a run that "
            "follows a point through video, such as one of track-ball or shuttle-s1-v4."
        )
    if experiment.data.crop != crop:
        place = {"image": "the coarse stage must see whole frames (data.crop=image)",
                 "window": "the fine stage must see windows of native pixels (data.crop=window)"}[crop]  # fmt: skip
        raise UserError(
            f"{folder} was trained with data.crop={experiment.data.crop} (recipe {experiment.recipe}), but {place}. "
            "Give the runs in their places: RUN the coarse one, --fine the fine one."
        )
    model, codec = load_run(run)
    return EagerStage(
        model,
        codec,
        experiment,
        threshold=run.load_thresholds().get("visible", DEFAULT_THRESHOLD),
        device=device,
        from_planes=config.resize == "planes",
        places=config.coarse_places,
    )
