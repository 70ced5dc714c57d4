"""How commands speak to people and to programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table

from pipeline.cli import App
from pipeline.collection import Collection

P = ParamSpec("P")
R = TypeVar("R")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def with_collection(function: Callable[Concatenate[Collection, P], R]) -> Callable[P, R]:
    """Give a command the collection it was called for."""

    @click.pass_obj
    @wraps(function)
    def wrapper(app: App, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(Collection.open(app.folder), *args, **kwargs)

    return wrapper


def console(*, stderr: bool = False) -> Console:
    """A terminal as wide as it is, or wide enough that nothing is cut off when the output is read by a program."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 160, highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    """JSON, for programs."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Rows under their headings."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(
            heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*row)
    console().print(table)
