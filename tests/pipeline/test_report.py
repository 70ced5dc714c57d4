"""The report's figures and charts: what is counted, for whom, and how it is drawn and told."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import pytest
from lxml import etree

from pipeline.gate import Purpose, decide
from pipeline.report import charts, figures, page, quotes
from pipeline.report.audience import SMALLEST, Audience, Story, admit, treatment
from pipeline.report.charts import draw, elsewhere, readable
from pipeline.report.figures import NOT_TOLD, Cell, Counts, coming_up, grouped
from pipeline.report.reading import Mark, Theme
from pipeline.report.tiles import TILES, area_of
from transcripts.formats.places import LaidOut, Place

TEAM, PUBLIC = Audience.TEAM, Audience.PUBLIC
THEMES = (
    Theme("kind", "Kindness", "#2f6f8f"),
    Theme("known", 'Being <known> & "seen"', "#b4632d"),
    Theme("rest", "Rest", "#5c6bb5"),
)
SVG = "{http://www.w3.org/2000/svg}"


def mark(story: int, theme: str, *, accepted: bool = True, passage: int = 0, score: float = 0.5) -> Mark:
    return Mark(story, story, passage or story, theme, accepted, score, "0", "1", 1_000 * passage, 2_000)


def told(stories: Sequence[Story], what: str) -> list[tuple[str, int]]:
    return [(group.label, len(group.stories)) for group in grouped(stories, what)]


# Consent


@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize(
    "scope", ["public", "anonymous", "internal", "withdrawn", None, "a word of tomorrow"]
)
def test_nothing_is_told_that_the_gate_does_not_let_out(scope: str | None, audience: Audience) -> None:
    decision = decide(scope, Purpose.PUBLISH if audience is PUBLIC else Purpose.EXPORT)
    how = treatment(scope, audience)
    assert how.counted == decision.allowed
    assert how.named == (decision.allowed and not decision.pseudonymise)
    assert how.guarded == (audience is PUBLIC and decision.pseudonymise)
    assert bool(how.reason) == (not how.counted)


@pytest.mark.parametrize(
    ("audience", "counted", "places", "left_out"),
    [
        (TEAM, [1, 2, 3, 4], ["Fife", "Unst", "Angus", "Moray"], ["withdrawn"]),
        (PUBLIC, [1, 2], ["Fife", ""], ["no consent", "team only", "withdrawn", "1 story without place"]),
    ],
)
def test_what_consent_does_not_cover_is_left_out_and_said(
    audience: Audience, counted: list[int], places: list[str], left_out: list[str]
) -> None:
    told_by = [
        ("Fife", "public"),
        ("Unst", "anonymous"),
        ("Angus", "internal"),
        ("Moray", None),
        ("Bute", "withdrawn"),
    ]
    stories = [Story(n, place=place, scope=scope) for n, (place, scope) in enumerate(told_by, start=1)]
    admitted = admit(stories, audience)
    assert [story.id for story in admitted.stories] == counted
    assert [story.place for story in admitted.stories] == places
    assert len(admitted.left_out) == len(left_out)
    assert all(word in line for word, line in zip(left_out, admitted.left_out, strict=True))


@pytest.mark.parametrize(("others", "shown"), [(SMALLEST - 2, ""), (SMALLEST - 1, "Carer")])
def test_somebody_anonymous_is_not_alone_in_a_public_count(others: int, shown: str) -> None:
    stories = [
        Story(0, sector="Carer", role="Carer", scope="anonymous"),
        *(Story(n, sector="carer", role="Carer", scope="public") for n in range(1, others + 1)),
        Story(9, sector="Carer", role="Carer", scope="internal"),
    ]
    hidden = admit(stories, PUBLIC).stories[0]
    assert (hidden.sector, hidden.role) == (shown, shown)
    assert admit(stories, TEAM).stories[0].sector == "Carer"
    assert any("without sector or role" in line for line in admit(stories, PUBLIC).left_out) == (not shown)


# Places


def test_the_map_has_every_council_area_once_and_north_up() -> None:
    assert len({tile.name for tile in TILES}) == len({(tile.column, tile.row) for tile in TILES}) == 32
    at = {tile.name: tile for tile in TILES}
    south = [
        "Shetland Islands",
        "Orkney Islands",
        "Highland",
        "Stirling",
        "Glasgow City",
        "East Renfrewshire",
    ]
    south += ["East Ayrshire", "Dumfries and Galloway"]
    assert [at[name].row for name in south] == sorted({at[name].row for name in south})
    east = ["Inverclyde", "Renfrewshire", "Glasgow City", "Falkirk"]
    assert [at[name].column for name in east] == sorted({at[name].column for name in east})
    assert all(area_of(tile.name) == tile.name for tile in TILES)


@pytest.mark.parametrize(
    ("place", "area"),
    [
        ("Edinburgh", "City of Edinburgh"),
        (" glasgow ", "Glasgow City"),
        ("City of Dundee", "Dundee City"),
        ("Aberdeen", "Aberdeen City"),
        ("Aberdeenshire", "Aberdeenshire"),
        ("Western Isles", "Na h-Eileanan Siar"),
        ("Outer Hebrides", "Na h-Eileanan Siar"),
        ("Comhairle nan Eilean Siar", "Na h-Eileanan Siar"),
        ("Shetland", "Shetland Islands"),
        ("The Scottish Borders", "Scottish Borders"),
        ("Argyll & Bute Council", "Argyll and Bute"),
        ("East Lothian, Scotland", "East Lothian"),
        ("Sweden", None),
        ("Edinburgh and Glasgow", None),
        ("Scotland", None),
        ("", None),
    ],
)
def test_places_are_known_as_people_write_them(place: str, area: str | None) -> None:
    assert area_of(place) == area


# Figures


def test_groups_are_spelled_as_most_are_and_what_is_not_told_comes_last() -> None:
    spelled = ["third sector", "Third sector", "Third  sector", "Education", "", " ", "A\x00B"]
    stories = [Story(n, sector=sector) for n, sector in enumerate(spelled)]
    assert told(stories, "sector") == [("Third sector", 3), ("AB", 1), ("Education", 1), (NOT_TOLD, 2)]
    figure = figures.origins(stories)[0]
    assert figure.alt() == "Story origins by sector: Education 1,AB 1,Third sector 3,Not told 2"
    assert figure.rows()[-1] == (NOT_TOLD, 2)


def test_phases_are_in_their_order_and_methods_and_places_have_their_names() -> None:
    phases = [Story(n, phase=phase) for n, phase in enumerate(["10", "2", "", "Phase 2", "Before"])]
    assert told(phases, "phase") == [("Before", 1), ("Phase 2", 2), ("Phase 10", 1), (NOT_TOLD, 1)]
    assert told([Story(1, method="self-recorded")], "method") == [("Self-recorded", 1)]
    places = [Story(n, place=place) for n, place in enumerate(["Edinburgh", "City of Edinburgh", "Sweden"])]
    assert told(places, "place") == [("City of Edinburgh", 2), ("Sweden", 1)]


STORIES = [
    Story(1, sector="Health", phase="1"),
    Story(2, sector="Health", phase="1"),
    Story(3, sector="Third", phase="2"),
    Story(4, sector="", phase=""),
]
MARKS = [
    mark(1, "kind", accepted=False),
    mark(1, "kind", passage=11),
    mark(1, "known", accepted=False, passage=11),
    mark(2, "kind", accepted=False),
    mark(3, "known"),
    mark(4, "known", accepted=False),
    mark(7, "kind"),
]
"""Story 7 is not counted. In story 1 "kind" was accepted once, and comes up twice."""


def test_a_theme_counts_once_a_story_and_an_editors_word_wins() -> None:
    marked = coming_up(THEMES, MARKS, STORIES)
    overall = figures.overall(marked)
    assert [theme.key for theme in overall.themes] == ["known", "kind", "rest"]
    assert [row[0] for row in overall.cells] == [Cell(1, 2, 4), Cell(1, 1, 4), Cell(0, 0, 4)]
    assert [cell.short for (cell,) in overall.cells] == ["1+2", "1+1", "0"]
    assert [cell.share for (cell,) in overall.cells] == [75, 50, 0]


def test_themes_are_crossed_with_phases_and_change_leaves_out_what_is_not_told() -> None:
    marked = coming_up(THEMES, MARKS, STORIES)
    phases = grouped(STORIES, "phase")
    crossed = figures.crossed(figures.BY_PHASE, "Themes by phase", "phase", phases, marked)
    kind = crossed.themes.index(THEMES[0])
    assert crossed.cells[kind] == (Cell(1, 1, 2), Cell(0, 0, 1), Cell(0, 0, 1))
    assert 'Phase 1, of 2: Being <known> & "seen" 1 (1 proposed),Kindness 2 (1 proposed); ' in crossed.alt()
    change = figures.changes(phases, marked)
    assert change is not None
    assert [group.label for group in change.crossed.groups] == ["Phase 1", "Phase 2"]
    assert [change.points(kind, phase) for phase in range(3)] == [None, -100, None]
    assert ("Kindness", "Phase 2", 0, 0, 1, 0, -100) in change.rows()
    assert "Kindness 100% to 0%" in change.alt()
    assert figures.changes(phases[:1], marked) is None


def test_themes_come_up_together_in_stories_and_on_passages() -> None:
    pairs = figures.together(coming_up(THEMES, MARKS, STORIES))
    assert pairs is not None
    (pair,) = pairs.pairs
    assert ({pair.first.key, pair.second.key}, pair.cell, pair.passages) == (
        {"kind", "known"},
        Cell(0, 1, 4),
        1,
    )
    assert figures.together(coming_up(THEMES, MARKS[:1], STORIES)) is None


# Quotes


def test_every_story_is_quoted_before_one_is_quoted_twice() -> None:
    stories = [Story(1, phase="1"), Story(2, phase="1")]
    marks = [
        mark(1, "kind", passage=11, score=0.9, accepted=False),
        mark(1, "kind", passage=12, score=0.1),
        mark(1, "kind", passage=13, score=0.2),
        mark(2, "kind", passage=21, score=0.3, accepted=False),
    ]
    marked = coming_up(THEMES, marks, stories)
    phases = figures.crossed(figures.BY_PHASE, "", "phase", grouped(stories, "phase"), marked)
    chosen = quotes.choose(phases, marks, most=3)["kind", "Phase 1"]
    assert [one.passage for one in chosen.marks] == [13, 21, 12]
    assert chosen.more == 1


@pytest.mark.parametrize(
    ("voices", "expected"), [(1, "How so?\nMargaret: Well"), (2, "Ann: How so?\nMargaret: Well")]
)
def test_where_several_speak_a_quote_says_who_begins(voices: int, expected: str) -> None:
    text = "Ann: And how so?\nMargaret: Well yes\n".replace("And how", "How")
    places = [
        Place(str(n), text.index(word), text.index(word) + len(word), n, n)
        for n, word in enumerate(("How", "so?", "Well", "yes"))
    ]
    laid = LaidOut(text, tuple(places))
    assert quotes.said(laid, places[0], places[2], voices=voices) == expected


# Charts


def every_figure() -> list[figures.Figure]:
    places = ["Edinburgh", "Edinburgh", "Sweden", ""]
    stories = [
        Story(s.id, s.sector, "R&D <lead>", place, s.phase, "interview")
        for s, place in zip(STORIES, places, strict=True)
    ]
    marked = coming_up(THEMES, MARKS, stories)
    phases, sectors = grouped(stories, "phase"), grouped(stories, "sector")
    found: list[figures.Figure | None] = [
        *figures.origins(stories),
        figures.overall(marked),
        figures.crossed(figures.BY_PHASE, "Themes by phase", "phase", phases, marked),
        figures.crossed(figures.BY_SECTOR, "Themes by sector", "sector", sectors, marked),
        figures.together(marked),
        figures.changes(phases, marked),
    ]
    return [figure for figure in found if figure]


FIGURES = {figure.name: figure for figure in every_figure()}


def test_every_figure_has_a_name_that_is_known() -> None:
    assert tuple(FIGURES) == figures.NAMES


@pytest.mark.parametrize("name", FIGURES)
def test_a_chart_is_an_svg_that_tells_its_numbers_and_a_png_of_the_same_shape(name: str) -> None:
    drawn = draw(FIGURES[name])
    root = etree.fromstring(drawn.svg.encode())
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("aria-label")) == ("img", FIGURES[name].alt())
    width, height = float(root.get("width")), float(root.get("height"))
    assert drawn.png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", drawn.png[16:24]) == pytest.approx((width * 2, height * 2), abs=2)
    assert not root.xpath("//@id"), "two charts in one page must not share an id"
    assert not [value for value in root.xpath("//@href") if value]
    etree.fromstring(page.inline(drawn.svg).encode())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sector", {"Health", "Third", NOT_TOLD, "2", "1"}),
        ("role", {"R&D <lead>", "4"}),
        ("place", {"Edinburgh", "2", "Shetland", "No council area: Sweden 1", f"{NOT_TOLD} 1"}),
        ("themes", {"All stories (4)", "1+2 · 75%", 'Being <known> & "seen"', "0"}),
        ("themes-by-phase", {"Phase 1 (2)", "1+1 · 100%", f"{NOT_TOLD} (1)"}),
        ("themes-by-sector", {"Health (2)", "1+1", "Kindness"}),
        ("together", {"Kindness", "+1"}),
        ("change", {"Kindness", "Phase 1", "Phase 2", "100%", "0%"}),
    ],
)
def test_a_chart_holds_labels_and_numbers_as_text(name: str, words: set[str]) -> None:
    root = etree.fromstring(draw(FIGURES[name]).svg.encode())
    assert words <= {"".join(text.itertext()) for text in root.iter(f"{SVG}text", f"{SVG}tspan")}


@pytest.mark.parametrize("name", FIGURES)
def test_a_chart_asks_for_nothing_from_elsewhere(name: str) -> None:
    spec = charts.chart_of(FIGURES[name]).to_dict()
    assert '"url"' not in json.dumps({key: value for key, value in spec.items() if key != "$schema"})


def test_places_outside_the_map_are_named_and_a_map_without_any_is_none() -> None:
    many = [Story(n, place=f"Town {n}") for n in range(20)]
    figure = figures.origins(many)[-1]
    assert elsewhere(figure)[-1] == "and 12 more places that are no council area"
    assert "Shetland" not in draw(figure).svg
    assert all(f"Town {n} 1" in figure.alt() for n in range(20))


@pytest.mark.parametrize("colour", ["#000", "#ffffff", "#ffff00", "#0000ff", "#1b7f79", "#888"])
def test_theme_colours_are_seen_on_light_and_on_dark(colour: str) -> None:
    def contrast(one: str, other: str) -> float:
        light, dark = sorted((charts._luminance(*charts._channels(c)) for c in (one, other)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    shown = readable(colour)
    assert contrast(shown, "#ffffff") >= 2.9
    assert contrast(shown, "#1d2125") >= 2.9


def test_an_empty_figure_is_drawn_too() -> None:
    assert draw(Counts("sector", "Story origins by sector", "sector", ())).png
