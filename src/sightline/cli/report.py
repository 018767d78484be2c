"""`sightline report`: a run's page once more."""

from __future__ import annotations

from pathlib import Path

from sightline.cli import console


def report(run: Path) -> int:
    """Write a run's report.html again from what lies in its folder."""
    from sightline.report.page import write_report

    console.say(f"report  {write_report(run)}")
    return 0
