"""The commands: each parses, calls one function of a room and prints; a module for each room.

Rooms are imported inside the commands, so that `reseen -h` answers at once.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cyclopts import App, ArgumentCollection, CycloptsError
from cyclopts.config import Dict

from reseen.cli.data import check, prepare, synthesize
from reseen.cli.experiments import demo, evaluate, reproduce
from reseen.cli.gallery import calibrate, gallery_app, search
from reseen.cli.network import embed, export, train
from reseen.cli.tracking import track
from reseen.cli.web import serve
from reseen.errors import ReseenError
from reseen.network.config import Config

app = App(
    name="reseen",
    help="Find the same person again in another camera's video.",
    suppress_keyboard_interrupt=False,
)


def main() -> None:
    """Run a command and end with its exit code; a user's mistake is one line and code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: what follows `reseen` on the command line.

    Returns:
        The exit code: 0 well, 1 a check found problems, 2 a mistake or bad input, 130 Ctrl-C.
    """
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, ReseenError) as error:
        print(f"reseen: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"reseen: stopped. {interrupt}".rstrip(), file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _fill_settings(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give every setting that is not on the command line its value from preset and file."""
    given = {argument.name: argument.tokens[0].value for argument in arguments if argument.tokens}
    if "--preset" not in {argument.name for argument in arguments}:
        return
    config = Config.preset(given.get("--preset", "paper"))
    if "--config" in given:
        config = Config.load(Path(given["--config"]), config)
    values = asdict(config)
    for command in reversed(commands):  # else a table with the name of a command is passed over
        values = {command: values}
    Dict(values, source="settings")(app, commands, arguments)


app.config = [_fill_settings]
for command in (
    demo,
    synthesize,
    check,
    prepare,
    train,
    evaluate,
    embed,
    reproduce,
    export,
    track,
    gallery_app,
    search,
    calibrate,
    serve,
):
    app.command(command)
