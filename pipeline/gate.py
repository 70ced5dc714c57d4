"""The one consent gate: whatever leaves the collection asks here, and nothing else decides.

>>> decide("anonymous", Purpose.PUBLISH)
Decision(allowed=True, reason='the storyteller agreed to publication without their name', pseudonymise=True)
>>> decide(None, Purpose.PUBLISH).allowed
False
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What somebody wants to do with a story."""

    WORK = "work"
    """Look at it, listen, correct it, inside the collection."""
    EXPORT = "export"
    """Hand a transcript to another tool of the team."""
    VOICEPRINT = "voiceprint"
    """Keep a numeric likeness of the voice."""
    PUBLISH = "publish"
    """Put it on the site."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The gate's word: yes or no, why, and whether names must be left out."""

    allowed: bool
    reason: str
    pseudonymise: bool = False


_NOT_PUBLISHABLE = {
    None: "no consent is recorded for this story",
    "internal": "the storyteller agreed to use inside the team only",
    "withdrawn": "the storyteller has withdrawn the story",
}


def decide(scope: str | None, purpose: Purpose) -> Decision:
    """Whether consent of this ``scope`` covers ``purpose``.

    ``scope`` is the newest line of the story's consent log: public, anonymous, internal or withdrawn; None when
    nothing is recorded, which allows work inside the collection and nothing more.
    """
    if scope == "withdrawn":
        return Decision(False, _NOT_PUBLISHABLE["withdrawn"])
    if purpose is Purpose.PUBLISH:
        return _publish(scope)
    if purpose is Purpose.VOICEPRINT and scope == "anonymous":
        return Decision(False, "no voiceprint is kept of an anonymous storyteller", pseudonymise=True)
    return Decision(True, "it stays inside the team", pseudonymise=scope == "anonymous")


def decide_voiceprint(scope: str | None, role: str, *, sure: bool) -> Decision:
    """Whether a likeness of one speaker's voice may be kept, in a story of this consent.

    The rule protects whoever tells the story. In an anonymous story only a voice that an editor says is the
    interviewer's (``sure``) is kept: a machine's guess of the roles may be wrong, and then it would be the teller's.
    In a withdrawn story none is.

    >>> decide_voiceprint("anonymous", "interviewer", sure=True).allowed
    True
    >>> decide_voiceprint("anonymous", "interviewer", sure=False).allowed
    False
    """
    if scope == "anonymous" and role == "interviewer" and sure:
        return Decision(
            True, "the interviewer is not the storyteller, who stays anonymous", pseudonymise=True
        )
    return decide(scope, Purpose.VOICEPRINT)


def _publish(scope: str | None) -> Decision:
    if scope == "public":
        return Decision(True, "the storyteller agreed to publication")
    if scope == "anonymous":
        return Decision(True, "the storyteller agreed to publication without their name", pseudonymise=True)
    return Decision(False, _NOT_PUBLISHABLE.get(scope, f"the consent '{scope}' is not known"))
