"""The study's storage: a journal file beside the runs, or a database that several machines share.

In: `SweepSettings`, --storage. Out: an Optuna study that belongs to exactly these settings; every failure of a storage
as a message. Next: claims.py
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightline.errors import MissingExtra, UserError

if TYPE_CHECKING:
    import optuna

JOURNAL = "journal.log"
_ATTRIBUTE = "sightline"
_CALLED = {
    "recipe": "the recipe (with --set and --use)",
    "space": "what is searched (--try)",
    "seeds": "--seeds",
    "objectives": "--objective",
    "limits": "--limit",
    "pruner": "--pruner",
    "data": "the data",
}


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """What all trials of a study have in common; with other settings it is another study.

    Attributes:
        recipe: the untouched experiment as YAML.
        space: the dimensions as written.
        seeds: trainings of each trial.
        objectives: beside the score: "time", "latency".
        limits: by name, the largest value that is good.
        pruner: "median", "wilcoxon" or "none".
        data: fingerprint of the data set.
        metric: what the score is.
        less_is_better: of the score.
    """

    recipe: str
    space: tuple[str, ...]
    seeds: int
    objectives: tuple[str, ...]
    limits: dict[str, float]
    pruner: str
    data: str
    metric: str
    less_is_better: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self) | {"space": list(self.space), "objectives": list(self.objectives)}

    @staticmethod
    def of(held: dict[str, Any]) -> SweepSettings:
        """From plain values."""
        values: dict[str, Any] = {**held, "space": tuple(held["space"]), "objectives": tuple(held["objectives"])}
        return SweepSettings(**values)


def require_optuna() -> None:
    """Raise MissingExtra where Optuna is not installed."""
    try:
        import optuna
    except ImportError:
        raise MissingExtra(feature="`sightline sweep`", extra="sweep") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # What this file uses of Optuna and is called experimental there is covered by tests here.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def shown(url: str | None, out: Path) -> str:
    """The storage as it may be told: without a password."""
    if url is None:
        return str(out / JOURNAL)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "--storage"


@contextmanager
def told(url: str | None, out: Path) -> Iterator[None]:
    """A storage that fails becomes a message; trained runs are on the disk and are kept."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    name = shown(url, out)
    kept = f"Runs that were trained are kept in {out}; the same command goes on when the storage is back."
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or getattr(error, "orig", None) or error).strip().splitlines()[0]
        state = "is locked by another program" if "locked" in reason.lower() else "cannot be reached or used"
        raise UserError(f"The storage {name} {state} ({reason}). {kept}") from error
    except OSError as error:
        if not is_of_journal(error):
            raise
        if error.errno == EIO:
            raise UserError(
                f"{name} cannot be read ({error.strerror}). Move it away and make it again from the run folders: "
                f"sightline sweep --rebuild {out}"
            ) from error
        raise UserError(f"The storage {name} is gone or cannot be written ({error.strerror}). {kept}") from error


def is_of_journal(error: BaseException) -> bool:
    """Whether it is the journal file that cannot be read or written."""
    return isinstance(error, OSError) and error.filename is not None and JOURNAL in str(error.filename)


def open_storage(url: str | None, out: Path) -> optuna.storages.BaseStorage:
    """The journal of a folder, or a database.

    Raises:
        UserError: no such database, a wrong URL, or a journal that is damaged.
        MissingExtra: the database's driver is not installed.
    """
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    if url is None:
        return _journal(out / JOURNAL)
    example = "Expected for example postgresql+psycopg://USER:PASSWORD@HOST/DATABASE."
    try:
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(f"--storage is no address of a database ({error}). {example}") from error
    except ImportError as error:
        if url.startswith("postgresql"):
            raise MissingExtra(feature="A sweep on PostgreSQL", extra="postgres") from error
        raise UserError(f"The driver of --storage is not installed ({error}). {example}") from error


def open_study(
    storage: optuna.storages.BaseStorage, settings: SweepSettings, *, name: str, where: str
) -> tuple[optuna.Study, bool]:  # fmt: skip
    """The study of these settings, made where there is none.

    Returns:
        The study, and whether it is new.

    Raises:
        UserError: the storage holds a study of this name with other settings; says which.
    """
    import optuna

    first: Literal["minimize", "maximize"] = "minimize" if settings.less_is_better else "maximize"
    rest: list[Literal["minimize", "maximize"]] = ["minimize"] * len(settings.objectives)
    names = [study.study_name for study in optuna.get_all_study_summaries(storage, include_best_trial=False)]
    if name in names:
        study = optuna.load_study(study_name=name, storage=storage)
        held = study.user_attrs.get(_ATTRIBUTE)
        if held is not None:
            _require_same(json.loads(held), settings, name=name, where=where)
            return study, False
        if study.get_trials(deepcopy=False):
            raise UserError(f"{where} holds a study {name!r} that no sweep made. Choose another --study or --out.")
    study = optuna.create_study(study_name=name, storage=storage, directions=[first, *rest], load_if_exists=True)
    study.set_user_attr(_ATTRIBUTE, json.dumps(settings.to_json()))
    return study, True


def _require_same(held: dict[str, Any], settings: SweepSettings, *, name: str, where: str) -> None:
    now = json.loads(json.dumps(settings.to_json()))
    differ = [called for key, called in _CALLED.items() if held.get(key) != now[key]]
    if not differ:
        return
    lines = [
        f"{_CALLED[key]} was {_short(held.get(key))} and is now {_short(now[key])}."
        for key in ("space", "seeds", "objectives", "limits", "pruner")
        if held.get(key) != now[key]
    ]
    raise UserError(
        f"{where} holds the study {name!r} with other settings: {', '.join(differ)} differ. {' '.join(lines)} "
        "Repeat the command that began it, or choose another --out (and --study) for a new one."
    )


def _short(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _journal(path: Path) -> optuna.storages.BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileSymlinkLock

    from sightline.sweep.journal import Journal

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = JournalFileSymlinkLock(str(path))
    _mend(path, lock)
    try:
        return JournalStorage(Journal(path, lock))
    except (KeyError, AssertionError) as error:
        raise OSError(EIO, f"it is damaged: {error!r}", str(path)) from error


def _mend(path: Path, lock: Any) -> None:  # noqa: ANN401 (Optuna's lock classes share no public type)
    """Cut off half a line that a killed process left at the end: whatever is appended to it could not be read."""
    if not path.is_file() or path.stat().st_size == 0:
        return
    lock.acquire()
    try:
        with path.open("r+b") as file:
            data = file.read()
            if not data.endswith(b"\n"):
                file.truncate(data.rfind(b"\n") + 1)
    finally:
        lock.release()
