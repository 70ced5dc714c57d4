"""The report as one page that holds all it needs: no script, no font, no address of another machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report import figures
from pipeline.report.charts import BLANK, INK, PAPER, SOFT, readable
from pipeline.report.figures import Changes, Counts, Crossed, Figure, Together
from pipeline.report.making import Report

_FOLDER = Path(__file__).parent / "templates"
_COLOURS = {PAPER: "none", INK: "var(--ink)", SOFT: "var(--soft)", BLANK: "var(--sunk)"}


def render(report: Report, charts: Mapping[str, str], made_on: date) -> str:
    """The page, with the SVG of each figure's chart, by the figure's name."""
    by_name = {figure.name: figure for figure in report.figures}
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            origins=_there(by_name, figures.NAMES[:5]),
            themes=_there(by_name, figures.NAMES[5:9]),
            phases=by_name.get(figures.BY_PHASE),
            change=by_name.get("change"),
            charts={name: inline(svg) for name, svg in charts.items()},
            made_on=made_on,
            style=Markup((_FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        )
    )


def inline(svg: str) -> Markup:
    """A chart as part of a page: it takes the page's colours, light or dark.

    >>> inline('<svg width="9"><rect fill="#ffffff"/><text fill="#23282d">R&amp;D</text></svg>')
    Markup('<svg width="9"><rect fill="none"/><text fill="var(--ink)">R&amp;D</text></svg>')
    """
    painted = re.sub(r'(?<==")#[0-9a-f]{6}(?=")', lambda found: _COLOURS.get(found[0], found[0]), svg)
    return Markup(painted)  # noqa: S704 - made by vl-convert, which escapes what it is given


def kind(figure: Figure) -> str:
    """Which table shows the figure's numbers."""
    kinds: dict[type, str] = {Counts: "counts", Crossed: "crossed", Changes: "changes", Together: "together"}
    return kinds[type(figure)]


def points(difference: float | None) -> str:
    """A change in words, with a sign.

    >>> points(12.5), points(-3.0), points(0.0), points(None)
    ('+12.5 points', '−3 points', 'no change', '')
    """
    if difference is None:
        return ""
    return f"{difference:+g} points".replace("-", "−") if difference else "no change"


def _there(by_name: Mapping[str, Figure], names: Iterable[str]) -> list[Figure]:
    return [by_name[name] for name in names if name in by_name]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(kind=kind, points=points, readable=readable)
    return environment
