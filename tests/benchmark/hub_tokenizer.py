"""openai-whisper's tokenizer in the form that faster-whisper reads, which it would else fetch from a hub."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from whisper.tokenizer import get_encoding


def write(path: Path, multilingual: bool, languages: int) -> None:
    """Write a tokenizer.json."""
    encoding = get_encoding("multilingual" if multilingual else "gpt2", num_languages=languages)
    ranks: dict[bytes, int] = encoding._mergeable_ranks
    letters = _letters()

    def spelled(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [_merged(token, rank, ranks) for token, rank in sorted(ranks.items(), key=lambda one: one[1])]
    tokenizer = Tokenizer(
        BPE(
            {spelled(token): rank for token, rank in ranks.items()},
            [(spelled(pair[0]), spelled(pair[1])) for pair in merges if pair],
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = sorted(encoding._special_tokens.items(), key=lambda one: one[1])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text, _ in special])
    assert all(tokenizer.token_to_id(text) == number for text, number in special)
    tokenizer.save(str(path))


def _merged(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """The two tokens that this one was merged of: what the merges before it make of its bytes."""
    parts = [token[place : place + 1] for place in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(one + other, rank) for one, other in pairwise(parts)]
        best = min(pairs)
        if best >= rank:
            return None
        place = pairs.index(best)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _letters() -> dict[int, str]:
    """GPT-2's letter for each byte: itself where it can be printed."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}
