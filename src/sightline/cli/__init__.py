"""The command line, one file a command. Each imports what it needs when it runs, so that `--help` is quick.

Exit codes: 0 fine, 1 the thing checked is not fine, 2 the user's mistake, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from errno import ELOOP
from importlib.metadata import version
from io import TextIOWrapper
from typing import TypeGuard

from cyclopts import App, CycloptsError, Parameter

from sightline.cli import (
    anchors,
    audit,
    bench,
    check,
    compare,
    console,
    convert,
    demo,
    draw,
    evaluate,
    export,
    index,
    inspect,
    learning_curve,
    merge,
    next,
    pieces,
    predict,
    predict_many,
    recipes,
    remote,
    report,
    runs,
    score_track,
    sweep,
    track,
    train,
)
from sightline.cli.addresses import refuse_addresses, told
from sightline.errors import UserError, is_out_of_memory
from sightline.processes import loss_told, place

COMMANDS: tuple[Callable[..., int | None], ...] = (
    recipes.recipes,
    pieces.pieces,
    inspect.inspect,
    check.check,
    anchors.anchors,
    train.train,
    learning_curve.learning_curve,
    evaluate.evaluate,
    predict.predict,
    predict_many.predict_many,
    track.track,
    export.export,
    convert.convert,
    next.next,
    merge.merge,
    remote.remote,
    report.report,
    score_track.score_track,
    compare.compare,
    audit.audit,
    sweep.sweep,
    runs.runs,
    index.index,
    bench.bench,
    draw.draw,
    demo.demo,
)

app = App(
    name="sightline",
    help="Train, compare and run models that say where things are.",
    version=lambda: version("sightline"),
    default_parameter=Parameter(validator=refuse_addresses),
    error_formatter=told,
)
for _command in COMMANDS:
    app.command(_command)


def main() -> None:
    """Run a command; a user's mistake becomes one paragraph and exit code 2."""
    who = "sightline"
    if isinstance(sys.stdout, TextIOWrapper):  # a file's name may hold bytes that are no text, a terminal lack a sign
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        here = place(os.environ)
        if here.rank:
            console.out.quiet = True  # of several processes the first one speaks
            who = f"sightline, process {here.rank}"
        with loss_told(here):
            result = app(sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(2)  # the parser has said what is wrong
    except UserError as error:
        _tell(f"{who}: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; Python would complain once more while it closes
        _drop_output()
        sys.exit(0)
    except OSError as error:
        _tell_of_the_system(error, who=who)
        sys.exit(2)
    except UnicodeEncodeError as error:  # how Python keeps bytes that are no text
        _tell(
            f"{who}: what ends with {error.object[: error.end][-60:]!r} is no UTF-8 text. Most likely a file's name "
            "holds other bytes: rename that file."
        )
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if _is_loop(error.__context__):
            _tell_of_the_system(error.__context__, who=who)
            sys.exit(2)
        if not is_out_of_memory(error):
            raise
        said = (str(error).splitlines() or ["no more to be had"])[0][:200]
        _tell(
            f"{who}: The memory does not suffice ({said}). Take smaller batches (train.batch, evaluate.batch), a "
            "smaller data.input_hw or fewer data.workers."
        )
        sys.exit(2)
    sys.exit(result if isinstance(result, int) else 0)


def _is_loop(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether links lead to each other, which `Path.resolve` tells as a RuntimeError."""
    return isinstance(error, OSError) and error.errno == ELOOP


def _tell_of_the_system(error: OSError, *, who: str) -> None:
    _drop_output()  # which may be what is full
    where = error.filename or "standard output, the current folder, or a file without a name"
    said = (error.strerror or str(error)).lower()
    _tell(f"{who}: {where}: {said}. Check the path, its permissions and the room that is left.")


def _drop_output() -> None:
    """Send what is still to be written to nowhere."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(text: str) -> None:
    console.err.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
