"""Trackers: recipes that are trained one after another and work together. Next: ../track/config.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrackerRecipe:
    """The stages of a tracker by the names of their recipes, and the preset of its thresholds."""

    coarse: str
    fine: str
    preset: str
    support: str | None = None

    def stages(self) -> dict[str, str]:
        """Folder of a stage -> recipe, in the order of training."""
        names = {"coarse": self.coarse, "fine": self.fine, "support": self.support}
        return {stage: name for stage, name in names.items() if name is not None}


TRACKERS: dict[str, TrackerRecipe] = {
    "track-ball": TrackerRecipe(coarse="track-ball-coarse", fine="track-ball-fine", preset="track-ball"),
    "shuttle": TrackerRecipe(coarse="shuttle-s1-v4", fine="shuttle-s2-v5", support="shuttle-s2-v7", preset="video"),
    "shuttle-light": TrackerRecipe(
        coarse="shuttle-light-s1-v4", fine="shuttle-light-s2-v5", support="shuttle-light-s2-v7", preset="video"
    ),
}
