"""`stories report`: a real collection counted, drawn and quoted, as far as consent goes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree, html
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, mapping
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.report.figures import NAMES
from pipeline.stages.ingest import ingest
from tests.pipeline.test_exchange import ISLA, MARGARET, recorded
from transcripts.span import Span

SECTORS = (
    "Story origins by sector: Unpaid carer 1,Public body 1,Private company 1,Independent Care Home 1,"
    "Government agency 1,Education 3,Statutory agency 6,Health / NHS 6,Third sector 19"
)
PLACES = (
    "Story origins by location: Stirling 1,Shetland Islands 1,Renfrewshire 1,North Lanarkshire 1,North Ayrshire 1,"
    "East Renfrewshire 1,Dumfries and Galloway 1,Aberdeen City 1,Falkirk 2,East Ayrshire 2,Inverclyde 2,Midlothian 2,"
    "South Lanarkshire 2,Dundee City 3,Fife 5,City of Edinburgh 5,Glasgow City 11"
)
"""As the sites have them that the project began with."""
THEMES = (
    ("kindness", "Kindness", "#ffee00"),
    ("being-known", "Being known", None),
    ("rest", "Rest", "nonsense"),
)


def run(collection: Collection, *arguments: str | Path) -> str:
    done = CliRunner().invoke(stories, ["-C", str(collection.root), "report", *map(str, arguments)])
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def reported(collection: Collection, *arguments: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(collection, "--json", *arguments))
    return found


def figure(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in report["figures"] if one["name"] == name]
    return dict(found)


def counts(alt: str) -> dict[str, int]:
    return {
        label: int(number) for label, number in re.findall(r"([^,:]+?) (\d+)(?:,|$)", alt.partition(": ")[2])
    }


# The seeds' own counts


@pytest.mark.parametrize(
    ("column", "name", "alt", "stories_told"),
    [("sector", "sector", SECTORS, 39), ("place", "place", PLACES, 42)],
)
def test_the_seeds_counts_come_out_of_an_intake_that_holds_them(
    tmp_path: Path, column: str, name: str, alt: str, stories_told: int
) -> None:
    collection = taken_in(tmp_path, column, [label for label, n in counts(alt).items() for _ in range(n)])
    report = reported(collection)
    assert report["stories"] == stories_told
    assert counts(figure(report, name)["alt"]) == counts(alt)
    numbers = [row["stories"] for row in figure(report, name)["rows"]]
    assert numbers == sorted(counts(alt).values(), reverse=True)
    folder = collection.derived / "report"
    assert read_csv(folder / f"charts/{name}.csv")[1:] == [
        [row[report_heading(name)], str(row["stories"])] for row in figure(report, name)["rows"]
    ]
    if name == "sector":
        line = f'{{{{< float loc="left" maxwidth="100" src="../images/sector.png" alt="{SECTORS}" >}}}}'
        assert line in (folder / "floats.md").read_text().splitlines()


def report_heading(name: str) -> str:
    return {"place": "location"}.get(name, name)


def taken_in(root: Path, column: str, values: Sequence[str]) -> Collection:
    """A collection with a short recording and a line in the intake for each value, taken in as `process` does."""
    (root / "recordings").mkdir()
    (root / "stories.toml").write_text("")
    with (root / "intake.csv").open("w", newline="") as out:
        lines = csv.writer(out)
        lines.writerow(["file", column, "consent"])
        for number, value in enumerate(values):
            sound(root / f"recordings/{number}.wav", number)
            lines.writerow([f"{number}.wav", value, "public"])
    collection = Collection.open(root)
    assert len(ingest(collection, [], lambda path, share: None).works) == len(values)
    return collection


def sound(path: Path, number: int) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8_000)
        out.writeframes(number.to_bytes(2, "little") * 800)


def read_csv(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


# A collection with every kind of consent


@dataclass(frozen=True)
class Told:
    name: str
    consent: str | None
    sector: str
    place: str
    phase: str
    passages: tuple[tuple[int, int, dict[str, str]], ...]


TOLD = (
    Told(
        "Margaret Ross",
        "public",
        "Third sector",
        "Fife",
        "1",
        ((1, 2, {"kindness": "accepted", "being-known": "proposed"}),),
    ),
    Told("Isla Bain", "anonymous", "Unpaid carer", "Unst", "2", ((0, 1, {"being-known": "accepted"}),)),
    Told("Gordon Reid", "internal", "Third sector", "Sweden", "2", ((1, 2, {"kindness": "proposed"}),)),
    Told("Ann Orr", None, "", "", "2", ((0, 0, {"kindness": "rejected"}),)),
    Told("Eilidh Muir", "withdrawn", "Health / NHS", "Norway", "2", ((0, 1, {"kindness": "accepted"}),)),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "collection"
    root.mkdir()
    (root / "stories.toml").write_text('[collection]\ntitle = "Keeping <in> touch"\n')
    collection = Collection.open(root)
    with collection.sessions.begin() as session:
        add_themes(session)
        for letter, told in zip("abcde", TOLD, strict=True):
            lines = ISLA if told.name in ("Isla Bain", "Eilidh Muir") else MARGARET
            file = f"{told.name.split()[0].lower()}.wav"
            row = recorded(collection, session, file, letter, story_of(told), lines, list(told.passages))
            if told.consent in ("public", "anonymous", "internal"):
                approve(collection, session, row, *told.passages[0][:2])
        recorded(collection, session, "stray.wav", "f", None, MARGARET, [(1, 1, {"kindness": "accepted"})])
    collection.engine.dispose()
    return root


def add_themes(session: Session) -> None:
    for position, (key, name, colour) in enumerate(THEMES):
        session.add(models.Theme(key=key, name=name, colour=colour, position=position))
    session.add(models.Theme(key="gone", name="Retired", retired=True))
    session.flush()


def story_of(told: Told) -> models.Story:
    key = told.name.lower().replace(" ", "-")
    teller = models.Storyteller(key=key, name=told.name, sector=told.sector, place=told.place)
    row = models.Story(key=key, title=f"{told.name}'s year", phase=told.phase, storyteller=teller)
    row.consents = [models.Consent(scope=told.consent, source="intake")] if told.consent else []
    return row


def approve(
    collection: Collection, session: Session, recording: models.Recording, first: int, last: int
) -> None:
    """A clip of these lines, approved as it is, on the theme that an editor accepted or else the machine proposed."""
    row = store.current_transcript(session, recording.id)
    assert row is not None
    session.flush()
    segments = mapping.current_transcript(session, row).segments[first : last + 1]
    span = Span(segments[0].start_ms, segments[-1].end_ms)
    states = {label.state: label.theme for label in row.passages[0].themes}
    captions = excerpts.captions_of(segments, span, excerpts.caption_names(recording))
    clip = models.Clip(
        slug=f"clip-{recording.id}",
        recording=recording,
        theme=states.get("accepted", states.get("proposed")),
        title="A clip",
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        state="approved",
    )
    clip.links = [
        models.ClipLink(
            transcript_id=row.id,
            first_word=segments[0].words[0].id,
            last_word=segments[-1].words[-1].id,
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            quote="",
        )
    ]
    hashes = {}
    for kind, data in (("media", b"media"), ("captions", captions), ("poster", b"poster")):
        path = collection.derived_for(recording.sha256) / kind
        path.write_bytes(data)
        hashes[kind] = hashlib.sha256(data).hexdigest()
        clip.files.append(
            models.ClipFile(
                kind=kind,
                path=collection.stored(path),
                media_type="audio/mp4",
                bytes=len(data),
                sha256=hashes[kind],
                fingerprint="",
            )
        )
    clip.approvals = [
        models.Approval(media_sha256=hashes["media"], text_sha256=hashes["captions"], author="an editor")
    ]
    session.add(clip)


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Collection:
    return Collection.open(shutil.copytree(made, tmp_path / "collection"))


def everything(folder: Path) -> str:
    """All text that was written."""
    return "\n".join(
        path.read_text() for path in folder.rglob("*") if path.suffix in (".html", ".svg", ".csv", ".md")
    )


def quoted(report: dict[str, Any]) -> dict[tuple[str, str], list[tuple[str, str, str]]]:
    return {
        (cell["theme"], cell["phase"]): [(one["who"], one["recording"], one["at"]) for one in cell["quotes"]]
        for cell in report["quotes"]
    }


def test_the_team_sees_all_but_what_was_withdrawn(collection: Collection) -> None:
    said = run(collection)
    assert "1 story left out: the storyteller has withdrawn the story" in said
    assert "1 recording has no line in intake.csv" in said
    assert "4 stories, 10 charts" in said
    report = reported(collection)
    assert counts(figure(report, "sector")["alt"]) == {"Third sector": 2, "Unpaid carer": 1, "Not told": 1}
    assert counts(figure(report, "place")["alt"]) == {"Fife": 1, "Unst": 1, "Sweden": 1, "Not told": 1}
    assert quoted(report) == {
        ("kindness", "Phase 1"): [("Margaret Ross", "margaret.wav", "0:01")],
        ("being-known", "Phase 1"): [("Margaret Ross", "margaret.wav", "0:01")],
        ("being-known", "Phase 2"): [("Anonymous", "bbbbbbbb", "0:00")],
        ("kindness", "Phase 2"): [("Gordon Reid", "gordon.wav", "0:01")],
    }
    folder = collection.derived / "report"
    text = everything(folder)
    assert "My name is [name] [name]" in text
    assert not re.search("Isla|Bain|Eilidh|Muir|Norway", text + json.dumps(report["quotes"]))
    assert (folder / "floats.md").read_text().startswith("<!-- Counts for the team.")


def test_everybody_sees_only_what_may_be_published_and_only_approved_words(collection: Collection) -> None:
    said = run(collection, "--for", "public")
    for line in (
        "agreed to use inside the team only",
        "no consent is recorded",
        "without place",
        "without sector",
    ):
        assert line in said
    report = reported(collection, "--for", "public")
    assert report["stories"] == 2
    assert counts(figure(report, "place")["alt"]) == {"Fife": 1, "Not told": 1}
    assert counts(figure(report, "sector")["alt"]) == {"Third sector": 1, "Not told": 1}
    assert quoted(report) == {
        ("kindness", "Phase 1"): [("Margaret Ross", "", "0:01")],
        ("being-known", "Phase 2"): [("Anonymous", "", "0:00")],
    }
    text = everything(collection.derived / "report-public") + json.dumps(report["quotes"])
    assert not re.search("Isla|Bain|Unst|Unpaid|Gordon|Sweden|Eilidh|Norway|Orr|bbbbbbbb|wav", text)
    assert not (collection.derived / "report").exists()


def test_the_public_reads_no_words_that_are_no_longer_approved(collection: Collection) -> None:
    with collection.sessions.begin() as session:
        for approval in session.query(models.Approval):
            approval.revoked_at = models.now()
    assert not reported(collection, "--for", "public")["quotes"]
    assert reported(collection)["quotes"]


def test_proposed_and_accepted_are_told_apart_everywhere(collection: Collection) -> None:
    report = reported(collection)
    rows = figure(report, "themes")["rows"]
    assert [(row["theme"], row["accepted"], row["proposed"], row["share %"]) for row in rows] == [
        ("Kindness", 1, 1, 50.0),
        ("Being known", 1, 1, 50.0),
        ("Rest", 0, 0, 0.0),
    ]
    assert figure(report, "themes")["alt"].endswith("Kindness 2 (1 proposed),Being known 2 (1 proposed)")
    assert [row["change in points"] for row in figure(report, "change")["rows"]][:2] == [None, -66.7]
    assert figure(report, "together")["rows"][0]["passages"] == 1
    assert "theme proposed by the machine" in (collection.derived / "report/index.html").read_text()


def test_the_page_holds_all_it_needs_and_can_be_read_without_seeing(collection: Collection) -> None:
    report = reported(collection)
    folder = collection.derived / "report"
    text = (folder / "index.html").read_text()
    root = html.fromstring(text)
    assert root.findtext(".//h1") == "Keeping <in> touch"
    assert not root.xpath("//script|//img|//iframe|//link[not(starts-with(@href, 'data:'))]")
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org/)[a-z]", text)
    shown = root.xpath("//figure")
    assert [one.get("aria-labelledby") for one in shown] == [f"figure-{name}" for name in NAMES]
    for one, told in zip(shown, report["figures"], strict=True):
        (svg,) = one.xpath(".//svg")
        assert (svg.get("role"), svg.get("aria-label")) == ("img", told["alt"])
        assert len(one.xpath(".//table/tbody/tr")) > 0
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert set(root.xpath("//@aria-labelledby")) <= set(ids)
    assert all((folder / link).is_file() for link in root.xpath("//figure//a/@href"))
    levels = [int(heading.tag[1]) for heading in root.iter("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {path.name for path in (folder / "charts").iterdir()} == {
        f"{name}.{suffix}" for name in NAMES for suffix in ("svg", "png", "csv")
    }
    for path in (folder / "charts").glob("*.svg"):
        etree.parse(path)


def test_a_second_report_replaces_the_first_and_leaves_files_of_others(
    collection: Collection, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(collection, "--out", out, "--images", "/img/")
    assert 'src="/img/change.png"' in (out / "floats.md").read_text()
    (out / "charts/mine.svg").write_text("mine")
    with collection.sessions.begin() as session:
        for story in session.query(models.Story):
            story.phase = "1"
    report = reported(collection, "--out", out)
    assert [one["name"] for one in report["figures"]] == list(NAMES[:-1])
    assert not list(out.glob("charts/change.*"))
    assert (out / "charts/mine.svg").read_text() == "mine"
    assert "Fewer than two phases are told" in (out / "index.html").read_text()
    assert not [path for path in out.rglob("*") if ".part" in path.name]


def test_a_floats_text_cannot_end_its_shortcode(collection: Collection) -> None:
    with collection.sessions.begin() as session:
        for teller in session.query(models.Storyteller):
            teller.sector = 'A "quoted" >}} sector'
    run(collection)
    line = next(
        one
        for one in (collection.derived / "report/floats.md").read_text().splitlines()
        if "sector.png" in one
    )
    assert line.endswith('A \\"quoted\\" > }} sector 4" >}}')


@pytest.mark.parametrize(
    ("themes", "said"),
    [(True, "No theme is proposed or accepted"), (False, "The codebook has no themes yet")],
)
def test_stories_without_themes_are_still_counted(tmp_path: Path, themes: bool, said: str) -> None:
    collection = taken_in(tmp_path, "sector", ["Education"])
    if themes:
        with collection.sessions.begin() as session:
            add_themes(session)
    assert "1 story, 5 charts" in run(collection)
    assert said in (collection.derived / "report/index.html").read_text()


def test_an_empty_collection_has_an_honest_page(tmp_path: Path) -> None:
    (tmp_path / "stories.toml").write_text("")
    collection = Collection.open(tmp_path)
    assert "There is no story to count yet." in run(collection)
    text = (tmp_path / "derived/report/index.html").read_text()
    assert "There is no story to count yet" in text
    assert "<figure" not in text
    assert (tmp_path / "derived/report/floats.md").read_text().strip().startswith("<!--")
