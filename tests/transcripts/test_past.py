"""Hypotheses that go on from each other's past, end, and need more room: looked up or copied, it is the same."""

import random

import pytest
import torch
from whisper.tokenizer import get_tokenizer

from transcripts.engines.decoding import Rules, Search, _Hypotheses
from transcripts.engines.past import ROOM, Past
from transcripts.engines.recalling import recall

HEADS, WIDTH, BEFORE, BEAMS, WINDOWS = 2, 16, 3, 3, 4


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def recalled(qkv: torch.Tensor, said: list[torch.Tensor]) -> torch.Tensor:
    """By general products; ``said`` are each hypothesis' keys and values (2, heads, tokens, width)."""
    queries = qkv[:, 0, :, None]
    each = [
        (query @ own[0].transpose(-1, -2)).softmax(-1) @ own[1]
        for query, own in zip(queries, said, strict=True)
    ]
    return torch.stack(each)[:, :, 0]


@pytest.mark.parametrize("noted", [True, False])
def test_each_hypothesis_recalls_what_it_said_itself(noted):
    draw = random.Random(1)
    kept = normal(2, WINDOWS, HEADS, BEFORE, WIDTH, seed=0)
    past = Past([kept], BEAMS, noted=noted)
    said = [kept[:, row // BEAMS] for row in range(WINDOWS * BEAMS)]
    for step in range(ROOM + 5):
        qkv = normal(len(said), 3, HEADS, WIDTH, seed=1 + step)
        if step == 0:  # a window's hypotheses have their first token in common
            qkv = qkv[::BEAMS].repeat_interleave(BEAMS, 0)
        said = [torch.cat([own, new[1:, :, None]], 2) for own, new in zip(said, qkv, strict=True)]
        past.make_room()
        assert torch.allclose(past.recall(0, qkv), recalled(qkv, said), atol=1e-5)
        past.at += 1
        if step in (9, ROOM):  # a window is finished
            stay = [row for row in range(len(said)) if row // BEAMS != 1]
            past.keep(torch.tensor(stay))
            said = [said[row] for row in stay]
        if step % 2:
            rows = [row - row % BEAMS + draw.randrange(BEAMS) for row in range(len(said))]
            past.follow(torch.tensor(rows), lambda: 1)
            said = [said[row] for row in rows]


@pytest.mark.parametrize("beams", [2, 5])
def test_beams_that_all_go_on_from_one_have_its_past_copied_or_looked_up(beams):
    tokenizer = get_tokenizer(False)
    hypotheses = _Hypotheses(Rules(tokenizer), Search(beams), WINDOWS, torch.device("cpu"), None)
    kept = normal(2, WINDOWS, HEADS, BEFORE, WIDTH, seed=0)
    noted, copied = (Past([kept], beams, noted=one) for one in (True, False))
    for step in range(25):
        scores = normal(WINDOWS * beams, tokenizer.timestamp_begin + 1501, seed=step)
        scores[:, tokenizer.eot] = float("-inf")
        hypotheses.extend(scores)
        qkv = normal(WINDOWS * beams, 3, HEADS, WIDTH, seed=100 + step)
        for past in (noted, copied):
            if hypotheses.moved is not None:
                past.follow(hypotheses.moved, hypotheses.common)
            past.make_room()
        assert torch.allclose(copied.recall(0, qkv), noted.recall(0, qkv), atol=1e-5), step
        noted.at += 1
        copied.at += 1


@pytest.mark.parametrize("at", [0, 1, 30])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_hypothesis_recalls_its_past_from_where_it_stands_and_its_newest_token(kind, at):
    qkv, cache = (normal(6, 3, 2, 64, seed=1) * 0.4).to(kind), normal(2, 6, 2, 32, 64, seed=2).to(kind)
    whose = torch.randint(6, (6, 32), generator=torch.Generator().manual_seed(at), dtype=torch.int32)
    whose[:, at] = torch.arange(6)
    wanted = cache.clone()
    wanted[:, :, :, at] = qkv[:, 1:].transpose(0, 1)
    heads, tokens = torch.arange(2)[:, None], torch.arange(at + 1)
    past = torch.stack([wanted[:, row.long(), heads, tokens] for row in whose[:, None, : at + 1]], 1).float()
    chances = (qkv[:, 0, :, None].float() @ past[0].transpose(-1, -2)).softmax(-1)
    recalled = recall(qkv, cache, whose, at)
    assert torch.allclose(recalled, (chances @ past[1])[:, :, 0], atol=1e-5)
    assert torch.equal(cache, wanted)
