import pytest

from pipeline.gate import Purpose, decide, decide_voiceprint


@pytest.mark.parametrize(
    ("scope", "purpose", "allowed", "pseudonymise"),
    [
        ("public", Purpose.PUBLISH, True, False),
        ("anonymous", Purpose.PUBLISH, True, True),
        ("internal", Purpose.PUBLISH, False, False),
        ("withdrawn", Purpose.PUBLISH, False, False),
        (None, Purpose.PUBLISH, False, False),
        ("something new", Purpose.PUBLISH, False, False),
        ("public", Purpose.VOICEPRINT, True, False),
        ("anonymous", Purpose.VOICEPRINT, False, True),
        ("withdrawn", Purpose.VOICEPRINT, False, False),
        ("internal", Purpose.EXPORT, True, False),
        ("anonymous", Purpose.EXPORT, True, True),
        ("withdrawn", Purpose.EXPORT, False, False),
        ("withdrawn", Purpose.WORK, False, False),
        (None, Purpose.WORK, True, False),
    ],
)
def test_the_gate(scope: str | None, purpose: Purpose, allowed: bool, pseudonymise: bool) -> None:
    decision = decide(scope, purpose)
    assert (decision.allowed, decision.pseudonymise) == (allowed, pseudonymise)
    assert decision.reason


@pytest.mark.parametrize(
    ("scope", "role", "sure", "allowed"),
    [
        ("public", "storyteller", False, True),
        ("internal", "", False, True),
        (None, "", False, True),
        ("anonymous", "storyteller", True, False),
        ("anonymous", "", True, False),
        ("anonymous", "other", True, False),
        ("anonymous", "interviewer", False, False),
        ("anonymous", "interviewer", True, True),
        ("withdrawn", "interviewer", True, False),
    ],
)
def test_whose_voiceprint_may_be_kept(scope: str | None, role: str, sure: bool, allowed: bool) -> None:
    decision = decide_voiceprint(scope, role, sure=sure)
    assert decision.allowed == allowed
    assert decision.reason
