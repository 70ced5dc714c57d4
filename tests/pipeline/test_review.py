"""The review as an application: pages, the JSON interface, and what it refuses."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from db import models
from db.search import search
from pipeline.collection import Collection
from pipeline.errors import ConfigError
from pipeline.looks import clock, spoken_duration, theme_colour
from pipeline.review import app as review
from pipeline.review.files import inside
from pipeline.review.listing import PAGE
from pipeline.review.pages import marked_parts
from tests.samples.review_collection import GARDEN, copy_collection, make_collection

BASE = "http://127.0.0.1"
GARDEN_ID, CARER_ID, STAFF_ID, GONE_ID, BROKEN_ID = 1, 2, 3, 4, 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("review") / "collection").root


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Collection:
    return copy_collection(made, tmp_path / "collection")


@pytest.fixture(scope="module")
def reader(made: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """For tests that change nothing."""
    return client_of(copy_collection(made, tmp_path_factory.mktemp("reader") / "collection"))


@pytest.fixture
def client(collection: Collection) -> TestClient:
    return client_of(collection)


def client_of(collection: Collection) -> TestClient:
    app = review.create_app(collection, author="ailsa")
    return TestClient(app, base_url=BASE, headers={"X-Stories-Token": app.state.token})


def held(client: TestClient, recording_id: int = GARDEN_ID) -> dict:
    answer = client.get(f"/api/recordings/{recording_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def text_of(segment: dict) -> str:
    return "".join(word[3] for word in segment["words"]).strip()


def segment_url(document: dict, place: int) -> str:
    transcript = document["transcript"]
    return f"/api/transcripts/{transcript['id']}/segments/{transcript['segments'][place]['id']}"


def edits(collection: Collection) -> list[models.Edit]:
    with collection.sessions() as session:
        return list(session.scalars(select(models.Edit).order_by(models.Edit.id)))


# Small things


@pytest.mark.parametrize(
    ("time_ms", "shown"), [(0, "0:00"), (999, "0:00"), (59_999, "0:59"), (3_600_000, "1:00:00")]
)
def test_clock(time_ms, shown):
    assert clock(time_ms) == shown


@pytest.mark.parametrize(("time_ms", "shown"), [(0, "0 s"), (29_000, "29 s"), (3_600_000, "1 h 0 min")])
def test_spoken_duration(time_ms, shown):
    assert spoken_duration(time_ms) == shown


@pytest.mark.parametrize("colour", [None, "", "red", "#12345", "#abc;}", "url(http://x)", "#GGGGGG"])
def test_only_plain_hexadecimal_colours_are_taken_from_a_codebook(colour):
    assert theme_colour(colour, 0) == theme_colour(None, 0) != colour


@pytest.mark.parametrize(
    ("marked", "parts"),
    [
        ("", []),
        ("plain", [(False, "plain")]),
        ("\x02all\x03", [(True, "all")]),
        ("\x02a\x03 and \x02b\x03", [(True, "a"), (False, " and "), (True, "b")]),
    ],
)
def test_marked_parts(marked, parts):
    assert marked_parts(marked) == parts


# Pages


@pytest.mark.parametrize(
    "expected",
    [
        "Keeping in touch",
        "The garden that opened early",
        "Margaret Lindsay",
        "2 waiting",
        "Anonymous storyteller",
        "recordings/cut-off.mp4 ends too early to be read; copy it from the phone again.",
        "is text, not sound; take it out of the folder",
        "the storyteller has withdrawn the story",
    ],
)
def test_the_list_says(reader, expected):
    assert expected in reader.get("/").text


@pytest.mark.parametrize(
    "hidden", ["Isla Bain", "Eilidh Ross", "A story taken back", f"/recordings/{GONE_ID}"]
)
def test_the_list_does_not_name_the_anonymous_or_show_what_was_withdrawn(reader, hidden):
    assert hidden not in reader.get("/").text


def test_the_list_shows_work_in_progress(client, collection):
    with collection.sessions.begin() as session:
        run = session.scalars(select(models.StageRun).where(models.StageRun.stage == "transcribe")).first()
        run.state = "running"
    page = client.get("/").text
    assert "writing down what is said" in page
    assert 'data-refresh="yes"' in page


@pytest.mark.parametrize(
    ("phase", "titles"), [("1", {"garden that"}), ("2", {"same number", "among staff"}), ("9", set())]
)
def test_a_phase_shows_its_own_recordings_only(reader, phase, titles):
    page = reader.get("/", params={"phase": phase}).text
    assert {
        title for title in ("garden that", "same number", "among staff", "broke off") if title in page
    } == titles


def test_a_long_list_has_pages(client, collection):
    with collection.sessions.begin() as session:
        session.add_all(
            models.Recording(
                sha256=f"{n:064}",
                kind="audio",
                container="wav",
                bytes=1,
                duration_ms=1000,
                files=[
                    models.SourceFile(path=f"recordings/{n:03}.wav", bytes=1, mtime_ns=0, sha256=f"{n:064}")
                ],
            )
            for n in range(PAGE)
        )
    first, second = (client.get("/", params={"page": page}).text for page in ("1", "2"))
    assert first.count('scope="row"') == PAGE
    assert second.count('scope="row"') == 5
    assert client.get("/", params={"page": "99"}).text == second
    assert client.get("/", params={"page": "-1"}).text == first


def test_an_empty_collection_says_what_to_do(tmp_path):
    (tmp_path / "stories.toml").touch()
    app = review.create_app(Collection.open(tmp_path), author="ailsa")
    assert "stories process" in TestClient(app, base_url=BASE).get("/").text


def test_search_finds_marks_and_leads_to_the_sentence(reader):
    page = reader.get("/", params={"q": "flask"}).text
    segment = held(reader)["transcript"]["segments"][3]["id"]
    assert "<mark>flask</mark>" in page
    assert f'href="/recordings/{GARDEN_ID}#w-{segment}"' in page


def test_search_leaves_withdrawn_stories_out(reader):
    page = reader.get("/", params={"q": "husband"}).text
    assert f"/recordings/{CARER_ID}#" in page
    assert f"/recordings/{GONE_ID}#" not in page
    assert "Isla Bain" not in page


@pytest.mark.parametrize(
    "typed", ['"', "<script>alert(1)</script>", "NEAR(", "a:b", "*", "'; DROP TABLE", "%", "x" * 5000]
)
def test_anything_can_be_typed_into_the_search_box(reader, typed):
    answer = reader.get("/", params={"q": typed})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_what_people_write_is_text_and_never_markup(client, collection):
    nasty = '<img src=x onerror="alert(1)">'
    with collection.sessions.begin() as session:
        story = session.get(models.Recording, GARDEN_ID).story
        story.title = story.phase = story.storyteller.name = nasty
    for path in ("/", f"/recordings/{GARDEN_ID}", "/?q=flask"):
        page = client.get(path).text
        assert nasty not in page
        assert "&lt;img" in page


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/recordings/99", 404, "There is no recording 99"),
        ("/recordings/99999999999999999999999", 404, "There is no"),
        (f"/recordings/{GONE_ID}", 403, "the storyteller has withdrawn the story"),
        ("/nowhere", 404, "There is nothing here"),
        (f"/api/recordings/{GONE_ID}", 403, "the storyteller has withdrawn the story"),
        ("/api/recordings/99", 404, "There is no recording 99"),
        (f"/media/recordings/{GONE_ID}/web", 403, "the storyteller has withdrawn the story"),
    ],
)
def test_what_is_not_there_or_not_allowed_is_explained(reader, path, status, said):
    answer = reader.get(path)
    assert answer.status_code == status
    assert said in answer.text


# Reading a recording


def test_a_recording_holds_its_words_with_their_times(reader):
    segments = held(reader)["transcript"]["segments"]
    assert [text_of(segment) for segment in segments] == [text for _, text in GARDEN]
    assert [segment["speaker"] for segment in segments] == [who for who, _ in GARDEN]
    starts = [word[1] for segment in segments for word in segment["words"]]
    assert starts == sorted(starts)


def test_a_recording_holds_passages_themes_and_clips_by_the_place_of_their_segments(reader):
    document = held(reader)
    assert [passage["segments"] for passage in document["passages"]] == [[0, 3], [4, 6]]
    assert [[theme["name"] for theme in passage["themes"]] for passage in document["passages"]] == [
        ["Meeting outdoors"],
        ["What matters to people"],
    ]
    assert [(clip["segments"], clip["state"]) for clip in document["clips"]] == [
        ([1, 3], "proposed"),
        ([5, 6], "proposed"),
    ]
    assert set(document["renditions"]) == {"web", "poster", "waveform"}


def test_an_unsure_passage_names_the_nearest_theme_and_proposes_none(reader):
    [passage] = held(reader, CARER_ID)["passages"]
    assert passage["themes"] == []
    assert passage["nearest"]["name"]


def test_a_recording_without_a_transcript_can_be_opened(reader):
    document = held(reader, BROKEN_ID)
    assert (document["transcript"], document["clips"], document["passages"]) == (None, [], [])
    assert document["failures"] == [
        "recordings/cut-off.mp4 ends too early to be read; copy it from the phone again."
    ]


def test_a_passage_whose_words_are_gone_is_found_by_its_time(client, collection):
    with collection.sessions.begin() as session:
        passage = session.scalars(select(models.Passage).order_by(models.Passage.id)).first()
        passage.first_word, passage.last_word = "e9.0", "e9.1"
    assert held(client)["passages"][0]["segments"] == [0, 3]


# Correcting


def test_an_edited_sentence_is_in_the_journal_and_can_be_found(client, collection):
    before = held(client)
    body = {"text": "So we carried  the benches out.", "revision": 0, "place": 2}
    answer = client.put(segment_url(before, 2), json=body)
    assert answer.status_code == 200, answer.text
    saved = answer.json()
    assert saved["revision"] == 1
    assert text_of(saved["segment"]) == "So we carried the benches out."
    assert saved["message"].startswith("Saved")
    [entry] = edits(collection)
    assert (entry.kind, entry.author, entry.revision) == ("retext", "ailsa", 1)
    assert entry.change["text"] == "So we carried the benches out."
    after = held(client)["transcript"]["segments"]
    assert text_of(after[2]) == "So we carried the benches out."
    assert (
        after[:2] + after[3:] == before["transcript"]["segments"][:2] + before["transcript"]["segments"][3:]
    )
    with collection.sessions() as session:
        assert [hit.recording_id for hit in search(session, "benches")] == [GARDEN_ID]


def test_a_conflict_tells_what_the_sentence_says_now_and_loses_nothing(client, collection):
    document = held(client)
    url = segment_url(document, 2)
    assert client.put(url, json={"text": "Theirs stands.", "revision": 0, "place": 2}).status_code == 200
    answer = client.put(url, json={"text": "Mine comes late.", "revision": 0, "place": 2})
    assert answer.status_code == 409
    assert answer.json()["text"] == "Theirs stands."
    assert answer.json()["revision"] == 1
    assert text_of(held(client)["transcript"]["segments"][2]) == "Theirs stands."
    assert len(edits(collection)) == 1
    url = f"{url.rpartition('/')[0]}/{answer.json()['segment']['id']}"
    assert client.put(url, json={"text": "Mine comes late.", "revision": 1, "place": 2}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"\xff\xfe", 422),
        (b'{"revision": 0, "place": 0}', 422),
        (b'{"text": "a", "place": 0}', 422),
        (b'{"text": 7, "revision": 0, "place": 0}', 422),
        (b'{"text": "a", "revision": true, "place": 0}', 422),
        (b'{"text": "  \\n ", "revision": 0, "place": 0}', 422),
        (json.dumps({"text": "a" * 300_000, "revision": 0, "place": 0}).encode(), 422),
    ],
)
def test_what_is_no_edit_is_refused_in_a_sentence(client, collection, body, status):
    answer = client.put(segment_url(held(client), 0), content=body)
    assert answer.status_code == status
    assert answer.json()["message"].endswith(".")
    assert edits(collection) == []


@pytest.mark.parametrize("path", ["/api/transcripts/99/segments/0", "/api/transcripts/1/segments/e7.7"])
def test_a_sentence_that_is_not_there_cannot_be_edited(client, path):
    assert client.put(path, json={"text": "a", "revision": 0, "place": 2}).status_code == 404


def test_withdrawn_stories_cannot_be_edited(client, collection):
    with collection.sessions() as session:
        row = session.scalars(
            select(models.Transcript).where(models.Transcript.recording_id == GONE_ID)
        ).one()
    answer = client.put(
        f"/api/transcripts/{row.id}/segments/0", json={"text": "a", "revision": 0, "place": 2}
    )
    assert answer.status_code == 403
    assert edits(collection) == []


def test_a_speaker_gets_a_name_and_a_part(client, collection):
    answer = client.put(
        f"/api/recordings/{GARDEN_ID}/speakers/2", json={"name": " Margaret  Lindsay ", "role": "storyteller"}
    )
    assert answer.status_code == 200, answer.text
    assert [speaker["label"] for speaker in answer.json()["speakers"]] == ["Speaker 1", "Margaret Lindsay"]
    assert answer.json()["revision"] == held(client)["transcript"]["revision"]
    with collection.sessions() as session:
        speaker = session.scalars(select(models.Speaker).where(models.Speaker.number == 2)).one()
        assert (speaker.name, speaker.role, speaker.role_by) == ("Margaret Lindsay", "storyteller", "editor")


@pytest.mark.parametrize(
    ("number", "body", "status"),
    [
        (9, {"name": "A", "role": ""}, 404),
        (1, {"name": "A", "role": "king"}, 422),
        (1, {"name": "A" * 201, "role": ""}, 422),
        (1, {"name": "A"}, 422),
    ],
)
def test_a_speaker_is_not_named_wrongly(client, collection, number, body, status):
    answer = client.put(f"/api/recordings/{GARDEN_ID}/speakers/{number}", json=body)
    assert answer.status_code == status
    assert edits(collection) == []


def test_a_voice_that_is_probably_somebody_is_suggested_and_confirmed(client, collection):
    # One voice, as the encoder heard it in two recordings.
    with collection.sessions.begin() as session:
        for recording in (GARDEN_ID, STAFF_ID):
            speaker = session.scalars(
                select(models.Speaker).where(models.Speaker.recording_id == recording)
            ).first()
            speaker.embedding = np.full(256, 1 / 16, np.float32).tobytes()
            asked = speaker.number
    client.put(f"/api/recordings/{GARDEN_ID}/speakers/1", json={"name": "Ailsa", "role": "interviewer"})
    (one,) = client.get(f"/api/recordings/{STAFF_ID}/suggestions").json()["suggestions"]
    assert (one["number"], one["name"]) == (asked, "Ailsa")
    assert one["sentence"].startswith(f"Speaker {asked} is probably Ailsa (interviewer), 0.9")
    assert client.get(f"/api/recordings/{GARDEN_ID}/suggestions").json() == {"suggestions": []}

    place = f"/api/recordings/{STAFF_ID}/speakers/{asked}"
    answer = client.post(f"{place}/confirm", json={"person": one["person"]})
    assert answer.status_code == 200, answer.text
    speaker = next(item for item in answer.json()["speakers"] if item["number"] == asked)
    assert (speaker["label"], speaker["role"], speaker["recordings"]) == ("Ailsa", "interviewer", 2)
    assert client.get(f"/api/recordings/{STAFF_ID}/suggestions").json() == {"suggestions": []}
    client.put(place, json={"name": "Ailsa Reid", "role": "interviewer", "everywhere": True})
    assert held(client)["speakers"][0]["label"] == "Ailsa Reid"
    assert client.post(f"{place}/confirm", json={"person": 10**30}).status_code == 404
    assert client.get(f"/api/recordings/{GONE_ID}/suggestions").status_code == 403


# Clips


def test_an_approved_clip_is_cut_and_its_files_can_be_played(client, collection):
    [_, clip] = held(client)["clips"]
    answer = client.post(f"/api/clips/{clip['slug']}/approve", json={})
    assert answer.status_code == 200, answer.text
    [_, approved] = answer.json()["clips"]
    assert approved["state"] == "approved"
    assert approved["approved"]["author"] == "ailsa"
    at = datetime.fromisoformat(approved["approved"]["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 600
    assert abs(approved["cut"]["duration_ms"] - (clip["end_ms"] - clip["start_ms"])) <= 50
    media = client.get(approved["cut"]["url"])
    assert media.headers["content-type"] == "video/mp4"
    assert client.get(approved["cut"]["captions"]).text.startswith("WEBVTT")
    with collection.sessions() as session:
        row = session.scalars(select(models.Clip).where(models.Clip.slug == clip["slug"])).one()
        assert [approval.author for approval in row.approvals] == ["ailsa"]

    rejected = client.post(f"/api/clips/{clip['slug']}/reject", json={}).json()["clips"][1]
    assert (rejected["state"], rejected["approved"]) == ("rejected", None)


def test_correcting_an_approved_clip_asks_for_another_look(client):
    document = held(client)
    slug = document["clips"][1]["slug"]
    client.post(f"/api/clips/{slug}/approve", json={})
    saved = client.put(
        segment_url(document, 5), json={"text": "It did, very much.", "revision": 0, "place": 5}
    ).json()
    assert saved["clips"][1]["state"] == "needs review"
    assert "very much" in saved["clips"][1]["quote"]


def test_without_consent_a_clip_is_refused_with_the_gates_reason(client, collection):
    document = held(client, STAFF_ID)
    assert document["consent"] == {
        "allowed": False,
        "reason": "the storyteller agreed to use inside the team only",
        "pseudonymise": False,
    }
    answer = client.post(f"/api/clips/{document['clips'][0]['slug']}/approve", json={})
    assert answer.status_code == 403
    assert "the storyteller agreed to use inside the team only" in answer.json()["message"]
    with collection.sessions() as session:
        assert session.scalars(select(models.Approval)).all() == []
        assert session.scalars(select(models.ClipFile)).all() == []


def test_an_approval_of_other_bytes_is_none(client, collection):
    slug = held(client, CARER_ID)["clips"][0]["slug"]
    with collection.sessions.begin() as session:
        clip = session.scalars(select(models.Clip).where(models.Clip.slug == slug)).one()
        clip.state = "approved"
        clip.approvals.append(models.Approval(media_sha256="0" * 64, text_sha256="0" * 64, author="x"))
    assert held(client, CARER_ID)["clips"][0]["approved"] is None


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_clip_that_is_not_there(client, verdict):
    assert client.post(f"/api/clips/nothing-here/{verdict}", json={}).status_code == 404


def test_a_clip_whose_recording_is_gone_says_where_it_was(client, collection):
    (collection.recordings / "carer.m4a").unlink()
    slug = held(client, CARER_ID)["clips"][0]["slug"]
    answer = client.post(f"/api/clips/{slug}/approve", json={})
    assert answer.status_code == 404
    assert "recordings/carer.m4a" in answer.json()["message"]


# Media


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-50", 206, slice(-50, None)),
        ("bytes=999999999-", 416, None),
    ],
)
def test_media_is_served_in_ranges(client, collection, wanted, status, part):
    answer = client.get(f"/media/recordings/{GARDEN_ID}/web", headers={"Range": wanted})
    assert answer.status_code == status
    if part is not None:
        whole = (collection.recordings / "margaret.mp4").read_bytes()
        assert answer.content == whole[part]
        assert answer.headers["content-range"].endswith(f"/{len(whole)}")


def test_the_waveform_is_json(reader):
    assert reader.get(f"/media/recordings/{GARDEN_ID}/waveform").json()["peaks"]


@pytest.mark.parametrize(
    "path",
    [
        f"/media/recordings/{GARDEN_ID}/speech",
        f"/media/recordings/{GARDEN_ID}/..",
        f"/media/recordings/{GARDEN_ID}/..%2F..%2Fstories.db",
        "/media/recordings/1/web/../../../../stories.db",
        "/media/clips/..%2f..%2fstories.db/media",
        "/media/stories.db",
        "/static/..%2fapp.py",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/stories.db",
    ],
)
def test_nothing_else_is_served(reader, path):
    answer = reader.get(path)
    assert answer.status_code == 404
    assert b"SQLite" not in answer.content
    assert b"import" not in answer.content


def test_a_path_in_the_database_that_leads_elsewhere_is_not_served(client, collection, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    link = collection.derived / "link.mp4"
    link.symlink_to(secret)
    for stored in (
        str(secret),
        "../secret.mp4",
        "derived/../../secret.mp4",
        "derived/link.mp4",
        "stories.db",
        "derived",
    ):
        assert inside(collection, stored) is None, stored
        with collection.sessions.begin() as session:
            row = session.scalars(select(models.Rendition).where(models.Rendition.kind == "web")).first()
            row.path = stored
        answer = client.get(f"/media/recordings/{GARDEN_ID}/web")
        assert answer.status_code == 404
        assert b"secret" not in answer.content.replace(stored.encode(), b"")


def test_a_media_type_from_the_database_cannot_become_a_page(client, collection):
    with collection.sessions.begin() as session:
        for row in session.scalars(select(models.Rendition)):
            row.media_type = "text/html"
    answer = client.get(f"/media/recordings/{GARDEN_ID}/web")
    assert answer.headers["content-type"] == "application/octet-stream"


# Keeping others out


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8765", "0.0.0.0", "", "[::1"]
)
@pytest.mark.parametrize("path", ["/", f"/api/recordings/{GARDEN_ID}", "/static/review.css", "/api/token"])
def test_other_hosts_names_are_refused(reader, host, path):
    assert reader.get(path, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:1", "LOCALHOST"])
def test_loopback_names_are_served(reader, host):
    assert reader.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Stories-Token": ""},
        {"X-Stories-Token": "guess"},
        {"X-Stories-Token": "gueßt".encode()},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_changes_that_another_page_may_have_caused_are_refused(client, collection, headers):
    document = held(client)
    slug = document["clips"][0]["slug"]
    body = {"text": "Not theirs to say.", "revision": 0, "place": 0}
    assert client.put(segment_url(document, 0), json=body, headers=headers).status_code == 403
    assert client.post(f"/api/clips/{slug}/reject", json={}, headers=headers).status_code == 403
    assert edits(collection) == []
    assert held(client)["clips"][0]["state"] == "proposed"


def test_the_reviews_own_pages_may_change(client):
    headers = {"Origin": BASE, "Sec-Fetch-Site": "same-origin"}
    body = {"text": "Ours to say.", "revision": 0, "place": 0}
    assert client.put(segment_url(held(client), 0), json=body, headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_reading_addresses_take_no_changes(client, method):
    assert client.request(method, f"/api/recordings/{GARDEN_ID}").status_code == 405


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/nowhere", 404),
        (f"/recordings/{GARDEN_ID}", 200),
        (f"/api/recordings/{GARDEN_ID}", 200),
        (f"/media/recordings/{GARDEN_ID}/web", 200),
        ("/static/review.css", 200),
    ],
)
def test_every_answer_carries_the_strict_headers(reader, path, status):
    answer = reader.get(path)
    assert answer.status_code == status
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    assert "cache-control" in answer.headers


def test_a_fault_inside_is_told_without_its_trace(collection):
    app = review.create_app(collection, author="ailsa")
    with collection.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE passage_themes")
    client = TestClient(app, base_url=BASE, raise_server_exceptions=False)
    answer = client.get(f"/api/recordings/{GARDEN_ID}")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.json()["message"]
    assert "passage_themes" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_pages_load_nothing_from_elsewhere():
    root = Path(review.__file__).parent
    for file in [*root.glob("static/*"), *root.glob("templates/*")]:
        text = file.read_text()
        assert "https://" not in text, file
        assert " style=" not in text, file
        assert "<script>" not in text, file


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_the_review_is_served_on_this_machine_only(collection, host):
    with pytest.raises(ConfigError, match="this machine only"):
        review.serve(collection, author="ailsa", host=host)


def test_a_port_that_is_taken_is_told(collection):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigError, match="Port"):
        review.serve(collection, author="ailsa", port=taken.getsockname()[1])
