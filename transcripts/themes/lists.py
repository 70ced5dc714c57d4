"""Several texts in one: a line each, further lines of the same text set in."""

from __future__ import annotations

from collections.abc import Iterable

_SET_IN = "  "


def listed(texts: Iterable[str], bullet: str = "") -> str:
    """The texts under each other.

    >>> listed(["One", "Two\\nmore"], "- ")
    '- One\\n- Two\\n  more'
    """
    return "\n".join(bullet + text.replace("\n", f"\n{_SET_IN}") for text in texts)


def unlisted(text: str, bullet: str = "") -> tuple[str, ...]:
    """The texts that ``listed`` put together; a line that begins none belongs to the one before it.

    >>> unlisted("- One\\n- Two\\n  more", "- ")
    ('One', 'Two\\nmore')
    """
    found: list[list[str]] = []
    for line in text.split("\n"):
        new = line.startswith(bullet) if bullet else bool(line.strip()) and not line.startswith(_SET_IN)
        if new:
            found.append([line.removeprefix(bullet)])
        elif found:
            found[-1].append(line.removeprefix(_SET_IN))
    return tuple(joined for lines in found if (joined := "\n".join(lines).strip()))
