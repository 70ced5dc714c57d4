"""Themes: where subjects change, which themes passages have, how fast that is, and what a project file keeps."""

from __future__ import annotations

import random
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np

from tests.benchmark import labels, segmentation
from tests.benchmark.report import Row, publish
from transcripts.formats.refi import Code, Coding, Project, Selection, Source, User, guid
from transcripts.formats.refi.archive import pack, unpack
from transcripts.themes import embed
from transcripts.themes.embed import CachedEmbedder
from transcripts.themes.label import ground, split_vectors

COUNTS = (0, 5, 20, 50)
MANY = 10_000


def main(arguments: list[str]) -> int:
    """Measure and publish; ``--quick`` does a small part."""
    quick = "--quick" in arguments
    model = embed.minilm()
    rows = [*_boundaries(quick), *_labels(model, quick), *_speed(500 if quick else MANY), *_exchange()]
    return publish("themes", rows)


def _boundaries(quick: bool) -> list[Row]:
    rows: list[Row] = []
    for found, pk_goal, f1_goal in (
        (segmentation.choi(quick), 5.0, None),
        *((one, 12.0, 0.85) for one in segmentation.spoken(quick)),
    ):
        if found.ours is None:
            rows.append(Row(f"{found.name}: Pk", None, "%", pk_goal, note=found.missing or ""))
            continue
        note = f"{found.documents} documents, {found.segments} parts, {found.sentences} sentences"
        rows.append(Row(f"{found.name}: Pk", found.ours.pk, "%", pk_goal, note=note))
        rows.append(Row(f"{found.name}: WindowDiff", found.ours.window_diff, "%"))
        name = f"{found.name}: boundaries within one sentence, F1"
        rows.append(Row(name, found.ours.f1, "", f1_goal, "higher"))
        for way in ("nothing", "texttiling", "ruptures"):
            told = getattr(found, way)
            if told is not None:
                rows.append(Row(f"{found.name}: Pk by {way}", told.pk, "%"))
    return rows


def _labels(model: embed.SentenceEmbedder, quick: bool) -> list[Row]:
    told = labels.read(model)
    draws = 2 if quick else labels.DRAWS
    rows = [
        Row(
            "labels of 300 passages, by the codebook alone: macro-F1",
            labels.zero_shot(told), "%", 75, "higher", "8 themes, 40 stories; no setting was chosen on them",
        )
    ]  # fmt: skip
    listed = labels.curve(told, COUNTS, draws, as_listed=True)
    name = "the same, stories nobody looked at, after {} passages of others in the order of `themes next`"
    rows += [Row(name.format(count), listed[count].f1, "%") for count in COUNTS]
    fell = max(listed[before].f1 - listed[after].f1 for before, after in pairwise(COUNTS))
    rows.append(Row("the most that it fell from one of these to the next", max(0.0, fell), "points", 0))
    changed = labels.curve(told, COUNTS, draws, as_listed=True, corrections=True)
    rows += [
        Row(
            f"the same, after {count} passages whose themes had to be changed",
            changed[count].f1, "%", 85 if count == COUNTS[-1] else None, "higher",
            f"{changed[count].looked_at:.0f} looked at, those that were right accepted",
        )
        for count in COUNTS[1:]
    ]  # fmt: skip
    drawn = labels.curve(told, COUNTS, draws)
    rows += [
        Row(f"the same, after {count} passages drawn at random", drawn[count].f1, "%") for count in COUNTS[1:]
    ]
    for folder, name in (("indirect", "told by the way"), ("plain", "as in an interview")):
        others = labels.read(model, labels.FOLDER / folder)
        many = len(others.told)
        rows.append(
            Row(
                f"{many} passages {name}, by the codebook alone",
                labels.zero_shot(others), "%", note="settings chosen on these",
            )
        )  # fmt: skip
        after = labels.curve(others, (50,), draws, as_listed=True)
        rows.append(Row("the same, after 50 in the order of `themes next`", after[50].f1, "%"))
    return rows


def _speed(many: int) -> list[Row]:
    """Passages of the sets, each sentence made another by a number, so that none is in the cache."""
    model = embed.minilm(2)
    told = labels.read(model).told
    book = labels.codebook.load(labels.FOLDER / "codebook.yaml")
    texts = [
        [f"{sentence} {number}" for sentence in told[number % len(told)].sentences] for number in range(many)
    ]
    with tempfile.TemporaryDirectory() as folder:
        first = _embedded_and_scored(texts, book, CachedEmbedder(model, Path(folder)))
        again = _embedded_and_scored(texts, book, CachedEmbedder(model, Path(folder)))
    sentences = sum(len(one) for one in texts)
    return [
        Row(f"{many:,} passages ({sentences:,} sentences) embedded and scored, 2 cores", first, "s"),
        Row("the same with the cache", again, "s", 5),
    ]


def _exchange() -> list[Row]:
    """A project of 20 recordings with 100 codings each, at random milliseconds, written and read back."""
    draw = random.Random(20261125)
    codes = tuple(Code(guid("code", number), f"Theme {number}") for number in range(8))
    user = User(guid("user"), "Ruth")
    sources = tuple(_source(draw, number, codes, user) for number in range(20))
    project = Project("measured", users=(user,), codes=codes, sources=sources, user=user.guid)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "measured.qdpx")
        with path.open("wb") as out:
            pack(project, {}, out)
        read = unpack(path)
    selections = [one for source in sources for one in source.selections]
    back = {one.guid: (one.start, one.end) for source in read.project.sources for one in source.selections}
    off = sum(back.get(one.guid) != (one.start, one.end) for one in selections)
    return [
        Row(
            f".qdpx written and read back: selections of {len(selections)} not to the millisecond", off, "", 0
        ),
        Row("the same: equal in every value", float(read.project == project), "", 1, "higher", "1: yes"),
    ]


def _source(draw: random.Random, number: int, codes: tuple[Code, ...], user: User) -> Source:
    spans = [sorted(draw.sample(range(12 * 3_600_000), 2)) for _ in range(100)]
    selections = tuple(
        Selection(
            guid("selection", number, place), *span,
            codings=(Coding(guid("coding", number, place), draw.choice(codes).guid, user.guid),),
            user=user.guid,
        )
        for place, span in enumerate(spans)
    )  # fmt: skip
    name = f"recording-{number}.m4a"
    return Source(guid("source", number), "audio", name, f"relative:///{name}", selections=selections)


def _embedded_and_scored(
    texts: list[list[str]], book: labels.Codebook, embedder: embed.SentenceEmbedder
) -> float:
    start = perf_counter()
    scores = ground(split_vectors(texts, embedder), texts, book, embedder).labelled().scores
    assert np.isfinite(scores).all()
    return perf_counter() - start


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
