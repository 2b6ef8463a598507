"""The commands: each parses, calls one function of a room and prints; a module for each room.

Rooms are imported inside the commands, so that `reseen -h` answers at once.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

from cyclopts import App, ArgumentCollection, CycloptsError, Group, Parameter
from cyclopts.config import Dict

from reseen.cli.about import doctor, presets, version
from reseen.cli.data import check, prepare, synthesize
from reseen.cli.experiments import demo, evaluate, reproduce
from reseen.cli.gallery import gallery_app, search
from reseen.cli.identities import calibrate, identify
from reseen.cli.models import models_app
from reseen.cli.network import embed, export, finetune, train
from reseen.cli.service import ingest, watch
from reseen.cli.tracking import track
from reseen.cli.web import serve
from reseen.errors import ReseenError
from reseen.files import require_file, require_unicode, writing
from reseen.network.config import Config
from reseen.progress import PlainFormatter, log, plain, progress_log

app = App(
    name="reseen",
    help="Find the same person again in another camera's video.",
    version=version,
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative_iterable=()),
)
app.meta.suppress_keyboard_interrupt = False
app.meta.group_parameters = Group("Messages", sort_key=9)
app.register_install_completion_command()
LONGEST_SHOWN = 200
"""Letters of a file's name in a message."""

LEAST_ADDRESS_SPACE = 3_000_000_000
"""Bytes that a process maps before it has embedded its first picture (2.9e9 measured)."""

AS_VALUE: dict[str, Any] = {
    "exit_on_error": False,
    "print_error": False,
    "result_action": "return_value",
}


class Stopped(KeyboardInterrupt):
    """SIGTERM or SIGHUP has come.

    After a KeyboardInterrupt itself in text that is executed, as dataclasses do when a module is
    loaded, `python -m` ends by SIGINT whatever exit code is asked for.
    """


def main() -> None:
    """Run a command and end with its exit code; a user's mistake is one line and code 2.

    SIGTERM and SIGHUP do what Ctrl-C does at that moment, and end with 143 and 129.
    """
    received: list[int] = []
    _prepare_output()

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)
        on_interrupt = signal.getsignal(signal.SIGINT)
        if not callable(on_interrupt) or on_interrupt is signal.default_int_handler:
            raise Stopped
        on_interrupt(number, frame)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as it is under nohup
            signal.signal(number, stop)
    code = run(sys.argv[1:])
    sys.exit(128 + received[0] if received else code)


def _prepare_output() -> None:
    """Let output that was closed (`>&-`) or knows few signs (ASCII) break no command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115, for as long as it runs
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: Sequence[str]) -> int:
    """Run a command.

    Args:
        arguments: what follows `reseen` on the command line.

    Returns:
        The exit code: 0 well, 1 a check found problems, 2 a mistake or bad input, 130 Ctrl-C.
    """
    try:
        require_unicode(*arguments)
        code = app.meta(arguments, **AS_VALUE)
        sys.stdout.flush()
    except OSError as error:
        return _end_without_output(error)
    except (CycloptsError, ReseenError) as error:  # in the options of `launch`
        print(plain(f"reseen: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before `launch` has begun, or after it
        print("reseen: stopped.", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


def _end_without_output(error: OSError) -> int:
    """End where nothing can be printed, without a word where its reader has left."""
    if error.strerror is None:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be printed
    if isinstance(error, BrokenPipeError):
        return 1
    print(f"reseen: {error.strerror}", file=sys.stderr)
    return 2


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[bool, Parameter(negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
    log_file: Annotated[Path | None, Parameter(name="--log")] = None,
) -> object:
    """Run a command, with its messages where they are wanted.

    Args:
        quiet: No progress; notes and mistakes are said all the same.
        verbose: Also say what runs here, and where in the program a mistake came up.
        log_file: File to append all messages to, each with its time.
    """
    os.umask(0o077)  # pictures of people, and what is said of them, are for their owner's eyes only
    with _messages(quiet, verbose, log_file):
        try:
            if log.isEnabledFor(logging.DEBUG):
                log.debug(f"{version()}: {' '.join(words[:1])}")  # further words may be secret
            _check_address_space()
            return app(words, **AS_VALUE)
        except (CycloptsError, ReseenError) as error:
            log.error(f"reseen: {error}")
            log.debug("where it came up:", exc_info=error)
            return 2
        except OSError as error:
            if error.filename is None:
                raise
            log.error(f"reseen: {str(error.filename)[:LONGEST_SHOWN]}: {error.strerror}")
            log.debug("where it came up:", exc_info=error)
            return 2
        except (MemoryError, RuntimeError, ImportError) as error:
            told = "memory" in str(error) or "failed to map" in str(error)  # PyTorch, the loader
            if not isinstance(error, MemoryError) and not told:
                raise
            log.error("reseen: not enough memory is free here; free some and start again")
            log.debug("where it came up:", exc_info=error)
            return 2
        except KeyboardInterrupt as interrupt:
            log.error(f"reseen: stopped. {interrupt}".rstrip())
            return 130


def _check_address_space() -> None:
    """Refuse where less may be mapped than the libraries need before any work.

    They would abort there, or turn in a circle that no signal ends (OpenBLAS, when it begins).
    """
    if sys.platform == "win32":
        return
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    if resource.RLIM_INFINITY != allowed < LEAST_ADDRESS_SPACE:
        raise ReseenError(
            f"only {allowed / 1e9:.1f} GB of addresses may be used here (ulimit -v, prlimit --as), "
            f"and {LEAST_ADDRESS_SPACE / 1e9:.0f} GB or more are needed, most never filled; "
            "limit resident memory instead, as systemd and containers do"
        )


@contextmanager
def _messages(quiet: bool, verbose: bool, log_file: Path | None) -> Iterator[None]:
    """Show what is logged on stderr, and add all of it to a file where one is named."""
    shown = logging.StreamHandler()
    shown.setFormatter(PlainFormatter())
    shown.setLevel(logging.DEBUG if verbose else logging.INFO)
    handlers: list[logging.Handler] = [shown]
    if log_file is not None:
        with writing(log_file):
            require_file(log_file, "write")  # to open a pipe that nobody reads would never end
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        form = "%(asctime)s %(levelname)s %(message)s"
        handlers[-1].setFormatter(PlainFormatter(form, "%Y-%m-%d %H:%M:%S%z"))
    log.setLevel(logging.DEBUG if verbose or log_file else logging.INFO)
    progress_log.setLevel(logging.WARNING if quiet else logging.NOTSET)
    for handler in handlers:
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            log.removeHandler(handler)
            handler.close()


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


def _refuse_fractions(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse a fraction where a whole number is meant; it would be rounded in silence."""
    for argument in arguments:
        for token in argument.tokens:
            if argument.hint in (int, int | None) and "." in token.value:
                raise ReseenError(f"{argument.name} takes a whole number, not {token.value}")


app.config = [_refuse_fractions, _fill_settings]
COMMANDS: dict[str, tuple[Any, ...]] = {
    "From people sorted by camera to scores": (
        synthesize,
        check,
        prepare,
        train,
        finetune,
        evaluate,
        embed,
        reproduce,
        export,
        presets,
    ),
    "From video to a gallery": (track, ingest, watch),
    "A gallery of people": (gallery_app, search, calibrate, identify, serve),
    "Around it": (demo, doctor, models_app),
}
for number, (title, commands) in enumerate(COMMANDS.items()):
    group = Group(title, sort_key=number)
    for place, command in enumerate(commands):
        if isinstance(command, App):
            command.group, command.sort_key = group, place
            app.command(command)
        else:
            app.command(command, group=group, sort_key=place)
for flag in ("--help", "--version", "--install-completion"):
    app[flag].group = "Around it"
