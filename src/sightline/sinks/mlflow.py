"""MLflow: one run for each run folder, in an SQLite file beside the runs, or on a server.

mlflow-skinny is enough for all of it. MLflow 3 refuses its former store of plain files, so a place without a scheme
becomes an SQLite file; `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db`, of the full package, shows it.
Next: live.py
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.sinks.contents import Contents, Logged

if TYPE_CHECKING:
    from mlflow import MlflowClient

FILE = "mlflow.db"  # beside the run folders, which share it
ARTIFACTS = "mlflow-artifacts"  # beside that
KEY_TAG = "sightline.run"
LARGEST = {"metrics": 1000, "params": 100}  # of one request
LONGEST = {"key": 250, "param": 500, "tag": 5000}
# What MLflow reads of the environment, where the user has not decided: nothing is told to its makers, and a server that
# is gone is found out within a minute instead of an hour.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MlflowSink:
    """Settings as parameters, values by optimiser step, final scores, report.html as artefact."""

    def __init__(self, run: Path, where: str | None) -> None:
        """Write to RUNS/mlflow.db, or to `where`: a folder, a file that ends in .db, or a tracking URI."""
        self.uri = uri_of(where, beside=run.resolve().parent)
        self.run_id: str | None = None
        self._client: MlflowClient | None = None

    @property
    def shown_at(self) -> str:
        """The server, or the command that shows the file."""
        return f"mlflow ui --backend-store-uri {self.uri}" if "://" in self.uri and _file(self.uri) else self.uri

    @property
    def client(self) -> MlflowClient:
        """Connected when it is first needed; importing MLflow takes seconds."""
        if self._client is None:
            for name, value in QUIET.items():
                os.environ.setdefault(name, value)
            file = _file(self.uri)
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = MlflowClient(tracking_uri=self.uri)
        return self._client

    def replace(self, contents: Contents) -> None:
        """A new MLflow run in place of earlier ones of this run folder."""
        experiment = self._experiment(contents.about.get("recipe", "sightline"))
        for earlier in self.client.search_runs([experiment], filter_string=f"tags.`{KEY_TAG}` = '{contents.key}'"):
            self.client.delete_run(earlier.info.run_id)
        tags = {f"sightline.{name}": value[: LONGEST["tag"]] for name, value in contents.about.items()}
        tags |= {KEY_TAG: contents.key, "sightline.folder": str(contents.path.resolve())}
        made = self.client.create_run(
            experiment, start_time=round(contents.began * 1000), tags=tags, run_name=contents.path.resolve().name
        )
        self.run_id = made.info.run_id
        from mlflow.entities import Param

        params = [Param(_legal(name), value[: LONGEST["param"]]) for name, value in contents.settings.items()]
        for start in range(0, len(params), LARGEST["params"]):
            self.client.log_batch(self._id, params=params[start : start + LARGEST["params"]])
        self.add(contents.logged)

    def add(self, logged: Sequence[Logged]) -> None:
        """Append values, many in a request."""
        from mlflow.entities import Metric

        metrics = [Metric(_legal(each.name), each.value, round(each.time * 1000), each.step) for each in logged]
        for start in range(0, len(metrics), LARGEST["metrics"]):
            self.client.log_batch(self._id, metrics=metrics[start : start + LARGEST["metrics"]])

    def finish(self, contents: Contents) -> None:
        """Final scores at the last step, the report, and how it ended."""
        step, at = contents.last_step, contents.ended
        self.add([Logged(name=name, value=value, step=step, time=at) for name, value in contents.final.items()])
        self.client.set_tag(self._id, "sightline.state", contents.about["state"])
        report = contents.path / "report.html"
        if report.is_file():
            self.client.log_artifact(self._id, str(report))
        status = "FINISHED" if contents.is_finished else "KILLED"
        self.client.set_terminated(self._id, status=status, end_time=round(at * 1000))

    def close(self) -> None:
        """Nothing is held open."""

    @property
    def _id(self) -> str:
        assert self.run_id is not None, "replace comes first"
        return self.run_id

    def _experiment(self, name: str) -> str:
        """The id of MLflow's experiment of this name, which another run may be making at the same time."""
        from mlflow.exceptions import MlflowException

        found: Any = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        file = _file(self.uri)
        # Otherwise artefacts would lie wherever the command was started.
        place = None if file is None else (file.parent / ARTIFACTS / name).as_uri()
        try:
            return self.client.create_experiment(name, artifact_location=place)
        except MlflowException:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id


def uri_of(where: str | None, *, beside: Path) -> str:
    """MLflow's tracking URI of a place: a URI as it is; of a path the SQLite file there."""
    if where is not None and re.match(r"[a-z][a-z0-9+.-]*:", where):
        return where
    path = beside if where is None else Path(where).absolute()
    return f"sqlite:///{path if path.suffix == '.db' else path / FILE}"


def needs_database(where: str | None) -> bool:
    """Whether MLflow opens the store itself, for which it needs more than its client."""
    return not uri_of(where, beside=Path()).startswith(("http:", "https:", "databricks", "file:"))


def _file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _legal(name: str) -> str:
    """MLflow's names hold letters, digits and a few signs; class names may hold others."""
    return re.sub(r"[^\w\-. :/]", "_", name)[: LONGEST["key"]]
