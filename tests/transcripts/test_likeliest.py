"""The tokens that are found likeliest in one pass, beside what general functions find."""

import pytest
import torch
from whisper.tokenizer import get_tokenizer

from transcripts.engines.decoding import Rules, _Times, logsumexp

VOCABULARY = 51_864
TOKENIZER = get_tokenizer(multilingual=False)
BEGIN = TOKENIZER.timestamp_begin


def scored(seed: int, kind: torch.dtype, **liked: float) -> torch.Tensor:
    """Scores of three hypotheses; some tokens are liked more."""
    scores = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(seed)) * 4
    for token, score in liked.items():
        scores[:, int(token.removeprefix("t"))] = score
    return scores.to(kind)


def generally(rules: Rules, scores: torch.Tensor, times: _Times, first: bool, count: int):
    scores = scores.float()
    rules.apply(scores, times, first)
    best, tokens = scores.topk(count)
    return best - logsumexp(scores)[:, None], tokens


TIMES = {
    "after words": _Times(torch.tensor([False] * 3), torch.tensor([False] * 3), torch.tensor([-1, 0, 700])),
    "after one timestamp": _Times(
        torch.tensor([True] * 3), torch.tensor([False] * 3), torch.tensor([0, 9, 1499])
    ),
    "after two": _Times(torch.tensor([True] * 3), torch.tensor([True] * 3), torch.tensor([0, 9, 1400])),
    "one of each": _Times(
        torch.tensor([False, True, True]), torch.tensor([True, False, True]), torch.tensor([30, 31, 32])
    ),
}
LIKED = {
    "nothing": {},
    "a word": {"t640": 60.0},
    "the end": {f"t{TOKENIZER.eot}": 60.0},
    "a timestamp": {f"t{BEGIN + 1_450}": 60.0},
    "what is never written": {f"t{TOKENIZER.non_speech_tokens[5]}": 60.0, f"t{TOKENIZER.no_speech}": 61.0},
    "all timestamps a little": {f"t{BEGIN + step}": 14.5 for step in range(1_501)},
}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("liked", LIKED)
@pytest.mark.parametrize("times", TIMES)
def test_one_pass_finds_what_general_functions_find(times, liked, kind, first):
    rules, scores = Rules(TOKENIZER), scored(1, kind, **LIKED[liked])
    wanted, tokens = generally(rules, scores, TIMES[times], first, 6)
    found, which = rules.likeliest(scores.clone(), TIMES[times], first, 6)
    assert torch.allclose(found.clamp(min=-1e20), wanted.clamp(min=-1e20), atol=1e-4)
    apart = wanted.diff(dim=1) < 0  # which of two that are alike comes first, nobody promised
    sure = torch.nn.functional.pad(apart, (1, 0), value=True) & torch.nn.functional.pad(apart, (0, 1))
    assert which[sure].equal(tokens[sure])


def test_the_greatest_alone():
    rules, scores = Rules(TOKENIZER), scored(2, torch.float32)
    wanted, tokens = generally(rules, scores, TIMES["one of each"], False, 1)
    found, which = rules.likeliest(scores, TIMES["one of each"], False, 1)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert which.equal(tokens)


def test_where_fewer_may_follow_the_others_are_impossible():
    rules, scores = Rules(TOKENIZER), scored(3, torch.float32)
    scores[:, : TOKENIZER.eot] -= 1_000  # the end is likely, and after a timestamp words are not
    late = _Times(torch.tensor([True] * 3), torch.tensor([False] * 3), torch.tensor([1_500] * 3))
    found, which = rules.likeliest(scores, late, False, 6)
    assert (found[:, 2:] < -1e20).all()
    assert sorted(which[0, :2].tolist()) == [TOKENIZER.eot, BEGIN + 1_500]
