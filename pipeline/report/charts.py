"""Figures drawn: Altair says what, vl-convert renders it to SVG and PNG with its own fonts, and asks nobody.

Numbers stand in every chart beside what is drawn, so that none depends on colour or length alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import vl_convert

from pipeline.report.figures import BY_SECTOR, NOT_TOLD, Changes, Counts, Crossed, Figure, Group, Together
from pipeline.report.tiles import TILES, area_of

PAPER, INK, SOFT, BLANK = "#ffffff", "#23282d", "#5d666e", "#f3f1ec"
"""What a page may put its own colours for."""
MAIN = "#1f6f78"
_SHADES = ["#d7ebea", "#0f4a51"]
_DARK = 0.55
"""From this much of the darkest shade on, white is read better than ink."""
_SHADE = alt.condition(
    "datum.shade > 0",
    alt.Color("shade:Q", scale=alt.Scale(domain=[0, 1], range=_SHADES), legend=None),
    alt.value(BLANK),
)
_PAINT = alt.Color("paint:N", scale=None)
_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
_WIDTH, _WIDE = 270, 420
_ROW = 30
_TILE_WIDTH, _TILE_HEIGHT = 68, 58
_MOST_ELSEWHERE = 8
_PNG_SCALE = 2

_VERSION = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure as it is drawn."""

    svg: str
    png: bytes


def draw(figure: Figure) -> Chart:
    """The figure as SVG, which says its numbers to those who do not see it, and as PNG."""
    spec = chart_of(figure).to_dict()
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_VERSION)
    told = html.escape(figure.alt(), quote=True)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{told}" ', 1)
    return Chart(svg, vl_convert.svg_to_png(svg, scale=_PNG_SCALE))


def chart_of(figure: Figure) -> Any:
    """What is to be drawn."""
    if isinstance(figure, Counts):
        chart = tile_map(figure) if _lies_in_scotland(figure) else bars(figure)
    elif isinstance(figure, Crossed):
        chart = heat_map(figure) if figure.name == BY_SECTOR else theme_bars(figure)
    elif isinstance(figure, Changes):
        chart = lines(figure)
    else:
        chart = pairs(figure)
    return _styled(chart if isinstance(figure, Counts) else chart.properties(title=_below(_legend(figure))))


def bars(figure: Counts) -> Any:
    """A bar a group, its number at its end."""
    rows = [
        {"label": group.label, "stories": len(group.stories), "told": group.label != NOT_TOLD}
        for group in figure.groups
    ]
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("label:N", sort=None, title=None),
        x=alt.X("stories:Q", axis=None, scale=alt.Scale(domain=[0, _most(rows, "stories")])),
    )
    colour = alt.condition("datum.told", alt.value(MAIN), alt.value(SOFT))
    drawn = base.mark_bar(height=18).encode(color=colour)
    numbers = base.mark_text(align="left", dx=6, color=INK).encode(text="stories:Q")
    return (drawn + numbers).properties(width=_WIDTH, height=_height(len(rows)))


def tile_map(figure: Counts) -> Any:
    """Scotland's council areas as tiles; what lies elsewhere is named below them."""
    stories = {group.label: len(group.stories) for group in figure.groups}
    rows = [
        {
            "column": tile.column,
            "row": tile.row,
            "label": "\n".join(tile.label),
            "number": stories.get(tile.name) or "",
            "share": stories.get(tile.name, 0),
        }
        for tile in TILES
    ]
    base = alt.Chart(_data(_shaded(rows))).encode(
        x=alt.X("column:O", axis=None, scale=alt.Scale(paddingInner=0.06, paddingOuter=0)),
        y=alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.06, paddingOuter=0)),
    )
    tiles = base.mark_rect(cornerRadius=4).encode(color=_SHADE)
    words = base.encode(color=_PAINT)
    names = words.mark_text(dy=-13, fontSize=12, lineBreak="\n", lineHeight=13).encode(text="label:N")
    numbers = words.mark_text(dy=18, fontSize=15, fontWeight="bold").encode(text="number:N")
    drawn = (tiles + names + numbers).properties(width=7 * _TILE_WIDTH, height=9 * _TILE_HEIGHT)
    drawn = drawn.properties(title=_below(elsewhere(figure)))
    return drawn.resolve_scale(color="independent")


def elsewhere(figure: Counts) -> list[str]:
    """The places that are no council area, and what is not told, in lines."""
    told = [f"{group.label} {len(group.stories)}" for group in figure.groups if area_of(group.label) is None]
    others = [one for one in told if not one.startswith(f"{NOT_TOLD} ")]
    lines = [f"No council area: {one}" for one in others[:_MOST_ELSEWHERE]]
    if len(others) > _MOST_ELSEWHERE:
        lines.append(f"and {len(others) - _MOST_ELSEWHERE} more places that are no council area")
    return [*lines, *told[len(others) :]]


def _lies_in_scotland(figure: Counts) -> bool:
    """Whether the figure is of places, and any of them on the map."""
    return figure.name == "place" and any(area_of(group.label) for group in figure.groups)


def theme_bars(figure: Crossed) -> Any:
    """A column a group, in it a bar a theme: the share of the group's stories; pale what is only proposed."""
    rows = [
        {
            "theme": theme.name,
            "group": _sized(group),
            "colour": readable(theme.colour),
            "accepted": 100 * cell.accepted / cell.of if cell.of else 0,
            "share": cell.share,
            "short": f"{cell.short} · {cell.share:.0f}%" if cell.total else "0",
        }
        for theme, cells in zip(figure.themes, figure.cells, strict=True)
        for group, cell in zip(figure.groups, cells, strict=True)
    ]
    width = max(120, _WIDE // len(figure.groups))
    # Room at the end of the longest bar for what is written there.
    domain = [0, max(_most(rows, "share") * width / (width - 60), 1)]
    base = alt.Chart().encode(
        y=alt.Y("theme:N", sort=None, title=None), color=alt.Color("colour:N", scale=None)
    )
    x = alt.X("share:Q", axis=None, scale=alt.Scale(domain=domain))
    proposed = base.mark_bar(height=16, opacity=0.3).encode(x=x)
    outline = base.mark_bar(height=16, filled=False, strokeWidth=1).encode(x=x)
    accepted = base.mark_bar(height=16).encode(x=alt.X("accepted:Q", axis=None))
    numbers = base.mark_text(align="left", dx=5).encode(x=x, text="short:N", color=alt.value(INK))
    layers = alt.layer(proposed, outline, accepted, numbers, data=_data(rows))
    column = alt.Column("group:N", sort=None, title=None, header=alt.Header(labelAnchor="start"))
    return layers.properties(width=width, height=_height(len(figure.themes))).facet(column=column, spacing=14)


def heat_map(figure: Crossed) -> Any:
    """A tile a theme and group, shaded by the share of the group's stories."""
    rows = [
        {
            "y": theme.name,
            "x": _sized(group),
            "share": cell.share,
            "short": cell.short if cell.total else "",
        }
        for theme, cells in zip(figure.themes, figure.cells, strict=True)
        for group, cell in zip(figure.groups, cells, strict=True)
    ]
    return _tiled(rows, len(figure.groups), len(figure.themes))


def pairs(figure: Together) -> Any:
    """A tile for every two themes, shaded by the share of stories in which both come up."""
    names = [theme.name for theme in figure.themes]
    rows = []
    for pair in figure.pairs:
        first, second = sorted((pair.first.name, pair.second.name), key=names.index)
        short = pair.cell.short if pair.cell.total else ""
        rows.append({"y": second, "x": first, "share": pair.cell.share, "short": short})
    rows.sort(key=lambda row: (names.index(str(row["x"])), names.index(str(row["y"]))))
    return _tiled(rows, len(names) - 1, len(names) - 1)


def lines(figure: Changes) -> Any:
    """A small chart a theme: its share in each phase."""
    crossed = figure.crossed
    names = [theme.name for theme in crossed.themes]
    rows = [
        {
            "theme": theme.name,
            "phase": group.label,
            "colour": readable(theme.colour),
            "share": cell.share,
            "short": f"{cell.share:.0f}%",
        }
        for theme, cells in zip(crossed.themes, crossed.cells, strict=True)
        for group, cell in zip(crossed.groups, cells, strict=True)
    ]
    top = max(_most(rows, "share"), 1)
    base = alt.Chart().encode(
        x=alt.X("phase:O", sort=None, title=None, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("share:Q", axis=None, scale=alt.Scale(domain=[0, top * 1.3])),
        color=alt.Color("colour:N", scale=None),
    )
    numbers = base.mark_text(dy=-11, fontSize=11).encode(text="short:N", color=alt.value(INK))
    drawn = alt.layer(
        base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=45, opacity=1), numbers
    )
    header = alt.Header(labelAnchor="start", labelLimit=190)
    return drawn.properties(width=max(150, 62 * len(crossed.groups)), height=80, data=_data(rows)).facet(
        facet=alt.Facet("theme:N", sort=names, title=None, header=header), columns=3, spacing=18
    )


def readable(colour: str) -> str:
    """The colour, darker or lighter as far as is needed to be seen on white and on a dark page alike.

    >>> readable("#1b7f79"), readable("#ffff00") == "#ffff00"
    ('#1b7f79', False)
    """
    red, green, blue = _channels(colour)
    while not 0.145 <= (light := _luminance(red, green, blue)) <= 0.3:
        red, green, blue = (c * 0.96 if light > 0.3 else c + (255 - c) * 0.04 for c in (red, green, blue))
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


def _channels(colour: str) -> tuple[float, float, float]:
    digits = colour.removeprefix("#")
    pairs = [digit * 2 for digit in digits] if len(digits) == 3 else [digits[i : i + 2] for i in (0, 2, 4)]
    red, green, blue = (float(int(pair, 16)) for pair in pairs)
    return red, green, blue


def _luminance(*channels: float) -> float:
    """As WCAG defines it, 0 to 1."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _tiled(rows: Sequence[dict[str, Any]], columns: int, lines: int) -> Any:
    """Tiles of ``y`` and ``x``, the darker the larger the share."""
    scale = alt.Scale(paddingInner=0.06, paddingOuter=0)
    across = alt.Axis(orient="top", labelAngle=-40, labelAlign="left", labelBaseline="middle")
    base = alt.Chart(_data(_shaded(rows))).encode(
        x=alt.X("x:N", sort=None, title=None, axis=across, scale=scale),
        y=alt.Y("y:N", sort=None, title=None, scale=scale),
    )
    tiles = base.mark_rect(cornerRadius=3).encode(color=_SHADE)
    numbers = base.mark_text().encode(text="short:N", color=_PAINT)
    drawn = (tiles + numbers).properties(width=56 * columns, height=_ROW * lines)
    return drawn.resolve_scale(color="independent")


def _shaded(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with how dark each is, 0 to 1, and the colour in which a number is read on it."""
    most = _most(rows, "share") or 1
    found = []
    for row in rows:
        shade = row["share"] / most
        paint = SOFT if not shade else "white" if shade >= _DARK else "#0d2225"
        found.append({**row, "shade": shade, "paint": paint})
    return found


def _below(lines: Sequence[str]) -> alt.TitleParams:
    """A note under the chart, for whoever sees it without its page."""
    return alt.TitleParams(text=list(lines), orient="bottom", anchor="start", offset=8)


def _legend(figure: Figure) -> list[str]:
    if isinstance(figure, Changes):
        return ["The share of each phase's stories in which the theme comes up, accepted or proposed"]
    return [
        "3+2: in 3 stories accepted by an editor, in 2 more proposed by the machine and not yet looked at"
    ]


def _sized(group: Group) -> str:
    return f"{group.label} ({len(group.stories)})"


def _most(rows: Iterable[dict[str, Any]], field: str) -> float:
    return max((float(row[field]) for row in rows), default=1.0)


def _height(rows: int) -> int:
    return _ROW * max(rows, 1)


def _data(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    return alt.InlineData(values=list(rows))


def _styled(chart: Any) -> Any:
    """Our fonts and colours; no name or frame of the program's own."""
    return (
        # Room at the sides, because another machine's letters may be wider.
        chart.configure(
            font=_FONT, background=PAPER, padding={"left": 24, "right": 20, "top": 8, "bottom": 8}, aria=False
        )
        .configure_view(stroke=None)
        .configure_axis(
            **{"domain": False, "ticks": False, "grid": False, "labelColor": INK},
            **{"labelFontSize": 13, "labelLimit": 220, "labelPadding": 6},
        )
        .configure_header(labelColor=INK, labelFontSize=13, labelFontWeight="bold", titleColor=INK)
        .configure_text(fontSize=13, color=INK)
        .configure_title(color=INK, fontSize=12, fontWeight="normal")
    )
