"""The command line, one file a command. Each imports what it needs when it runs, so that `--help` is quick.

Exit codes: 0 fine, 1 the thing checked is not fine, 2 the user's mistake, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version

from cyclopts import App, CycloptsError

from sightline.cli import (
    anchors,
    bench,
    check,
    compare,
    console,
    convert,
    demo,
    evaluate,
    export,
    inspect,
    pieces,
    predict,
    recipes,
    report,
    score_track,
    track,
    train,
)
from sightline.errors import UserError

COMMANDS: tuple[Callable[..., int | None], ...] = (
    recipes.recipes,
    pieces.pieces,
    inspect.inspect,
    check.check,
    anchors.anchors,
    train.train,
    evaluate.evaluate,
    predict.predict,
    track.track,
    export.export,
    convert.convert,
    report.report,
    score_track.score_track,
    compare.compare,
    bench.bench,
    demo.demo,
)

app = App(
    name="sightline",
    help="Train, compare and run models that say where things are.",
    version=lambda: version("sightline"),
)
for _command in COMMANDS:
    app.command(_command)


def main() -> None:
    """Run a command; a user's mistake becomes one paragraph and exit code 2."""
    if int(os.environ.get("RANK", "0")):
        console.out.quiet = True  # of several processes the first one speaks
    try:
        result = app(sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(2)  # the parser has said what is wrong
    except UserError as error:
        console.err.print(f"sightline: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; Python would complain once more while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)
