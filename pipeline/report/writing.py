"""The report's files: the page, each chart as SVG, PNG and table, and the lines that put charts into a Hugo page."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from media.files import atomic_path
from pipeline.publish.text import clean
from pipeline.report.audience import Audience
from pipeline.report.charts import draw
from pipeline.report.figures import NAMES, Figure
from pipeline.report.making import Report
from pipeline.report.page import render

IMAGES = "../images/"
"""Where pages of a site find their images."""


def write(report: Report, folder: Path, images: str = IMAGES) -> list[Path]:
    """Write the report into ``folder``; charts of an earlier one that this one does not have are taken out."""
    charts = {figure.name: draw(figure) for figure in report.figures}
    files: dict[str, bytes] = {}
    for figure in report.figures:
        files[f"charts/{figure.name}.svg"] = charts[figure.name].svg.encode()
        files[f"charts/{figure.name}.png"] = charts[figure.name].png
        files[f"charts/{figure.name}.csv"] = table(figure)
    files["floats.md"] = floats(report, images).encode()
    page = render(report, {name: chart.svg for name, chart in charts.items()}, date.today())
    files["index.html"] = page.encode()
    for name in _possible() - files.keys():
        (folder / name).unlink(missing_ok=True)
    for name, data in files.items():
        with atomic_path(folder / name) as made:
            made.write_bytes(data)
    return [folder / name for name in files]


def table(figure: Figure) -> bytes:
    """The numbers as a table for spreadsheets, which take a file for UTF-8 by the mark at its start."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(figure.headings)
    rows.writerows(figure.rows())
    return out.getvalue().encode("utf-8-sig")


def floats(report: Report, images: str) -> str:
    """A line a chart for a page of a Hugo site."""
    lines = [float_line(figure, images) for figure in report.figures]
    if report.audience is Audience.TEAM:
        lines.insert(
            0, "<!-- Counts for the team. `stories report --for public` makes those for a site. -->\n"
        )
    return "\n".join(lines) + "\n"


def float_line(figure: Figure, images: str) -> str:
    """The shortcode that shows a chart, with its numbers for those who do not see it."""
    src, alt = (_quoted(text) for text in (f"{images}{figure.name}.png", figure.alt()))
    return f'{{{{< float loc="left" maxwidth="100" src="{src}" alt="{alt}" >}}}}'


def plain(report: Report) -> dict[str, Any]:
    """The report for programs."""
    return {
        "title": report.title,
        "for": report.audience.value,
        "stories": report.stories,
        "left_out": list(report.left_out),
        "figures": [
            {
                "name": figure.name,
                "title": figure.title,
                "alt": figure.alt(),
                "rows": [dict(zip(figure.headings, row, strict=True)) for row in figure.rows()],
            }
            for figure in report.figures
        ],
        "quotes": [
            {"theme": theme, "phase": phase, **asdict(quoted)}
            for (theme, phase), quoted in report.quotes.items()
        ],
    }


def _quoted(text: str) -> str:
    """Text within a shortcode's quotation marks, on one line, that does not end the shortcode."""
    safe = clean(text).replace("\\", "\\\\").replace('"', '\\"')
    return safe.replace(">}}", "> }}").replace("%}}", "% }}")


def _possible() -> set[str]:
    return {f"charts/{name}.{suffix}" for name in NAMES for suffix in ("svg", "png", "csv")}
