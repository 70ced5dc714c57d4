"""How figures are written for people: times, dates, colours."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?")
_MOMENT = re.compile(r"(\d+:){0,2}\d+(\.\d{1,3})?")
PALETTE = ("#2f7f86", "#b4632d", "#5c6bb5", "#5f8a3a", "#a8476b", "#8a6d1d", "#3c76a6", "#7c5aa0")
"""Colours for themes whose codebook names none, in the order of the codebook."""


def clock(time_ms: int) -> str:
    """A time or a duration as a clock shows it, whole seconds.

    >>> clock(61_900), clock(3_661_000)
    ('1:01', '1:01:01')
    """
    minutes, seconds = divmod(time_ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def moment_ms(text: str) -> int | None:
    """A time as people write it, in seconds, minutes and seconds, or with hours; None when it is none.

    >>> moment_ms("95.5"), moment_ms("1:35.5"), moment_ms("1:00:00"), moment_ms("soon")
    (95500, 95500, 3600000, None)
    """
    if not _MOMENT.fullmatch(text):
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return round(seconds * 1000)


def spoken_duration(time_ms: int) -> str:
    """A long duration in words, rounded.

    >>> spoken_duration(20_000), spoken_duration(250_000), spoken_duration(9_000_000)
    ('20 s', '4 min', '2 h 30 min')
    """
    minutes = round(time_ms / 60_000)
    if minutes == 0:
        return f"{round(time_ms / 1000)} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shortened(text: str, most: int) -> str:
    """The text in at most so many letters, cut between words.

    >>> shortened("We lost eight people", 20), shortened("We lost eight people", 16)
    ('We lost eight people', 'We lost eight…')
    """
    return text if len(text) <= most else f"{text[: most - 1].rsplit(' ', 1)[0]}…"


def theme_colour(colour: str | None, position: int) -> str:
    """The theme's own colour when it is a plain hexadecimal one, else one by its place in the codebook.

    >>> theme_colour("#a1b2c3", 0), theme_colour("url(//x)", 9)
    ('#a1b2c3', '#b4632d')
    """
    if colour and _COLOUR.fullmatch(colour):
        return colour
    return PALETTE[position % len(PALETTE)]
