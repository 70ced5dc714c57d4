"""Numbers in addresses: short enough for any database."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor


class RowNumberConvertor(IntegerConvertor):
    """A row's number; what has more digits than a row can have is no address at all."""

    regex = "[0-9]{1,15}"


def register() -> None:
    """Make ``{name:row}`` known to routes; to be called before the first of them is made."""
    register_url_convertor("row", RowNumberConvertor())
