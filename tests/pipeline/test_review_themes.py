"""The review's themes: what an editor says of a passage is kept, learned from, and answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from db import models
from pipeline.collection import Collection
from pipeline.review import app as review
from tests.samples.review_collection import THEMES, copy_collection, make_collection, write_codebook

BASE = "http://127.0.0.1"
GARDEN_ID, GONE_ID = 1, 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collection = make_collection(tmp_path_factory.mktemp("review") / "collection")
    write_codebook(collection)
    return collection.root


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Collection:
    return copy_collection(made, tmp_path / "collection")


@pytest.fixture
def client(collection: Collection) -> TestClient:
    app = review.create_app(collection, author="ailsa")
    return TestClient(app, base_url=BASE, headers={"X-Stories-Token": app.state.token})


def held(client: TestClient) -> dict:
    return client.get(f"/api/recordings/{GARDEN_ID}").json()


def say(client: TestClient, passage: dict, **themes: str | None):
    says = {key.replace("_", "-"): state for key, state in themes.items()}
    return client.put(f"/api/passages/{passage['id']}/themes", json={"themes": says})


def states(passages: list[dict], place: int) -> dict[str, str]:
    return {theme["key"]: theme["state"] for theme in passages[place]["themes"]}


def codings(collection: Collection) -> list[models.Coding]:
    with collection.sessions() as session:
        return list(session.scalars(select(models.Coding).order_by(models.Coding.id)))


def test_a_passage_says_its_themes_and_why(client):
    document = held(client)
    [first, _] = document["passages"]
    assert [theme["key"] for theme in document["codebook"]] == [key for key, *_ in THEMES]
    [theme] = first["themes"]
    assert (theme["key"], theme["state"], theme["score"]) == ("outdoors", "proposed", 0.5)
    assert theme["why"] == [
        "Twelve people came the first week, and every one of them had brought a flask of tea."
    ]


def test_a_theme_is_accepted(client, collection):
    [first, _] = held(client)["passages"]
    answer = say(client, first, being_known="accepted")
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"].startswith("Saved.")
    assert states(answer.json()["passages"], 0)["being-known"] == "accepted"
    assert answer.json()["passages"] == held(client)["passages"]
    assert [passage["segments"] for passage in answer.json()["passages"]] == [[0, 3], [4, 6]]
    [coding] = codings(collection)
    assert (coding.state, coding.author, coding.first_word) == ("accepted", "ailsa", "0")


def test_a_theme_is_rejected(client, collection):
    [first, _] = held(client)["passages"]
    answer = say(client, first, outdoors="rejected")
    assert answer.status_code == 200, answer.text
    assert "outdoors" not in states(answer.json()["passages"], 0)
    [rejected] = held(client)["passages"][0]["rejected"]
    assert (rejected["key"], rejected["state"]) == ("outdoors", "rejected")
    assert [coding.state for coding in codings(collection)] == ["rejected"]


@pytest.mark.parametrize("state", ["accepted", "rejected"])
def test_what_was_said_is_taken_back(client, collection, state):
    [first, _] = held(client)["passages"]
    before = say(client, first, outdoors=None).json()["passages"]
    say(client, first, outdoors=state)
    answer = say(client, first, outdoors=None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["passages"] == before
    assert codings(collection) == []


def test_the_newest_word_counts(client, collection):
    [first, _] = held(client)["passages"]
    say(client, first, outdoors="rejected")
    answer = say(client, first, outdoors="accepted", being_known="rejected")
    assert states(answer.json()["passages"], 0)["outdoors"] == "accepted"
    assert [coding.state for coding in codings(collection)] == ["accepted", "rejected"]


def test_a_theme_that_the_codebook_lacks_is_refused_and_nothing_is_kept(client, collection):
    [first, _] = held(client)["passages"]
    answer = say(client, first, outdoors="accepted", weather="accepted")
    assert answer.status_code == 404
    assert "The codebook has no theme 'weather'" in answer.json()["message"]
    assert codings(collection) == []


@pytest.mark.parametrize("number", [999, 10**30])
def test_a_passage_that_is_not_there(client, collection, number):
    answer = say(client, {"id": number}, outdoors="accepted")
    assert answer.status_code == 404
    assert answer.json()["message"].endswith(".")
    assert codings(collection) == []


def test_a_withdrawn_story_takes_no_themes(client, collection):
    with collection.sessions.begin() as session:
        row = session.scalars(
            select(models.Transcript).where(models.Transcript.recording_id == GONE_ID)
        ).one()
        passage = models.Passage(
            ordinal=0, first_word="0", last_word="8", start_ms=0, end_ms=900, quote="I", unsure=True
        )
        row.passages.append(passage)
        session.flush()
        number = passage.id
    assert say(client, {"id": number}, outdoors="accepted").status_code == 403
    assert codings(collection) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"themes": None},
        {"themes": ["outdoors"]},
        {"themes": {"outdoors": "proposed"}},
        {"themes": {"outdoors": True}},
        {"themes": {"outdoors": 7}},
        {"themes": {"outdoors": ["accepted"]}},
        {"themes": {"being-known": "accepted", "outdoors": ""}},
    ],
)
def test_what_is_no_state_is_refused_in_a_sentence(client, collection, body):
    [first, _] = held(client)["passages"]
    answer = client.put(f"/api/passages/{first['id']}/themes", json=body)
    assert answer.status_code == 422
    assert answer.json()["message"].endswith(".")
    assert codings(collection) == []


@pytest.mark.parametrize("headers", [{"X-Stories-Token": ""}, {"Origin": "http://evil.example"}])
def test_without_the_token_or_from_another_page_nothing_is_said(client, collection, headers):
    [first, _] = held(client)["passages"]
    body = {"themes": {"outdoors": "rejected"}}
    answer = client.put(f"/api/passages/{first['id']}/themes", json=body, headers=headers)
    assert answer.status_code == 403
    assert codings(collection) == []
