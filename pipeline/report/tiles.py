"""Scotland's 32 council areas as tiles of one size, drawn by us: neighbours stay neighbours, north stays up."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tile:
    """A council area: its name as the intake has it, its column and row from the north-west, its label in lines."""

    name: str
    column: int
    row: int
    label: tuple[str, ...]


TILES = tuple(
    Tile(name, column, row, tuple(label.split("/")))
    for name, column, row, label in (
        ("Shetland Islands", 6, 0, "Shetland"),
        ("Orkney Islands", 5, 1, "Orkney"),
        ("Na h-Eileanan Siar", 0, 2, "Na h-Eil./Siar"),
        ("Highland", 2, 2, "Highland"),
        ("Moray", 3, 2, "Moray"),
        ("Aberdeenshire", 4, 2, "Aberdeen-/shire"),
        ("Aberdeen City", 5, 2, "Aberdeen/City"),
        ("Argyll and Bute", 1, 3, "Argyll/& Bute"),
        ("Stirling", 2, 3, "Stirling"),
        ("Perth and Kinross", 3, 3, "Perth &/Kinross"),
        ("Angus", 4, 3, "Angus"),
        ("Dundee City", 5, 3, "Dundee"),
        ("West Dunbartonshire", 1, 4, "West/Dunb."),
        ("East Dunbartonshire", 2, 4, "East/Dunb."),
        ("Clackmannanshire", 3, 4, "Clack-/mannan."),
        ("Fife", 4, 4, "Fife"),
        ("Inverclyde", 0, 5, "Inver-/clyde"),
        ("Renfrewshire", 1, 5, "Renfrew-/shire"),
        ("Glasgow City", 2, 5, "Glasgow"),
        ("Falkirk", 3, 5, "Falkirk"),
        ("North Ayrshire", 1, 6, "North/Ayrshire"),
        ("East Renfrewshire", 2, 6, "East/Renfrew."),
        ("North Lanarkshire", 3, 6, "North/Lanark."),
        ("West Lothian", 4, 6, "West/Lothian"),
        ("City of Edinburgh", 5, 6, "Edinburgh"),
        ("East Lothian", 6, 6, "East/Lothian"),
        ("South Ayrshire", 1, 7, "South/Ayrshire"),
        ("East Ayrshire", 2, 7, "East/Ayrshire"),
        ("South Lanarkshire", 3, 7, "South/Lanark."),
        ("Midlothian", 5, 7, "Mid-/lothian"),
        ("Dumfries and Galloway", 3, 8, "Dumfries/& Gallow."),
        ("Scottish Borders", 4, 8, "Scottish/Borders"),
    )
)

_NOT_TELLING = frozenset("city of council area islands isles the scottish scotland".split())
_OTHER_NAMES = {
    "western": "Na h-Eileanan Siar",
    "outer hebrides": "Na h-Eileanan Siar",
    "eilean siar": "Na h-Eileanan Siar",
    "comhairle nan eilean siar": "Na h-Eileanan Siar",
    "argyll": "Argyll and Bute",
    "clacks": "Clackmannanshire",
    "dumfries": "Dumfries and Galloway",
    "highlands": "Highland",
}


def area_of(place: str) -> str | None:
    """The council area that is meant, None when it is none.

    >>> area_of("Edinburgh"), area_of("western isles"), area_of("Perth & Kinross Council"), area_of("Sweden")
    ('City of Edinburgh', 'Na h-Eileanan Siar', 'Perth and Kinross', None)
    """
    return _AREAS.get(_folded(place))


def _folded(place: str) -> str:
    """The words that tell one area from another."""
    plain = unicodedata.normalize("NFKD", place).encode("ascii", "ignore").decode().casefold()
    words = re.findall(r"[a-z]+", plain.replace("&", " and "))
    return " ".join(word for word in words if word not in _NOT_TELLING)


_AREAS = {_folded(tile.name): tile.name for tile in TILES} | _OTHER_NAMES
