"""How commands speak: to people in lines, to machines in JSON, about refusals in one sentence and an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Annotated, Any

import click
import typer

from bandung.gateway.domain.errors import Refusal, Status

AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON document instead of text.")]

_TRACEBACK_ENV = "BANDUNG_TRACEBACK"


class ExitCode(IntEnum):
    """How a command ends; `docs/operate.md` lists them."""

    DONE = 0
    NOT_WELL = 1
    """A check or a status command found something wrong, and said what."""
    USAGE = 2
    REFUSED = 3
    UNAVAILABLE = 4
    DEFECT = 70
    INTERRUPTED = 130


class Failure(Exception):
    """A command could not do its work; the text is for whoever typed it."""

    def __init__(self, text: str, code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(text)
        self.code = code


def subcommands(help_text: str) -> typer.Typer:
    """Return a group of commands in the style of this program."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def report(document: Mapping[str, Any], lines: Callable[[], list[str]] | list[str], *, as_json: bool) -> None:
    """Write what a command found: the document for machines, or the lines for people."""
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2, default=str))
        return
    for line in lines if isinstance(lines, list) else lines():
        typer.echo(line)


def not_well() -> typer.Exit:
    """Return what a command raises to end with `NOT_WELL`."""
    return typer.Exit(ExitCode.NOT_WELL)


def run(command: typer.Typer, arguments: list[str] | None = None) -> int:
    """Run a command line to its exit code. No exception gets out, and no traceback is shown unasked."""
    try:
        returned = command(arguments, standalone_mode=False)
    except (click.exceptions.Exit, click.Abort, click.ClickException) as ended:
        return _ended(ended)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Refusal as refusal:
        return _refused(refusal)
    except Failure as failure:
        typer.echo(str(failure), err=True)
        return failure.code
    except Exception as error:  # noqa: BLE001  (the last resort: whoever typed a command gets a sentence)
        return _defect(error)
    return returned if isinstance(returned, int) else ExitCode.DONE


def _ended(ended: click.exceptions.Exit | click.Abort | click.ClickException) -> int:
    if isinstance(ended, click.ClickException):
        ended.show()
        return ended.exit_code
    return ended.exit_code if isinstance(ended, click.exceptions.Exit) else ExitCode.INTERRUPTED


def _refused(refusal: Refusal) -> int:
    typer.echo(refusal.message, err=True)
    if refusal.private:
        typer.echo(f"(for you alone) {refusal.private}", err=True)
    return ExitCode.UNAVAILABLE if refusal.kind.spec.status is Status.UNAVAILABLE else ExitCode.REFUSED


def _defect(error: Exception) -> int:
    if os.environ.get(_TRACEBACK_ENV):
        traceback.print_exc(file=sys.stderr)
    typer.echo(f"{type(error).__name__}: {error}", err=True)
    typer.echo(f"This should not happen. Set {_TRACEBACK_ENV}=1 to see where it did.", err=True)
    return ExitCode.DEFECT
