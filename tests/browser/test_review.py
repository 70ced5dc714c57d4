"""The review in a real browser, against a real server: what an editor does in an afternoon."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from db import models
from pipeline.collection import Collection
from pipeline.editing import name_speaker, retext_segment
from pipeline.review.app import create_app
from tests.samples.review_collection import copy_collection, make_collection

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_collection(tmp_path_factory.mktemp("review") / "collection").root


@pytest.fixture
def collection(made: Path, tmp_path: Path) -> Collection:
    return copy_collection(made, tmp_path / "collection")


@pytest.fixture
def address(collection: Collection) -> Iterator[str]:
    config = uvicorn.Config(
        create_app(collection, author="ailsa"), port=0, lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(base_url=address, viewport={"width": 1360, "height": 900})
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith(address) or troubles.append(f"left: {asked.url}"))
    yield page
    context.close()
    assert troubles == []


def opened(page: Page, recording: int = 1, fragment: str = "") -> Page:
    page.goto(f"/recordings/{recording}{fragment}")
    page.wait_for_selector(".desk[aria-busy=false]")
    until(page, "document.querySelector('#player :is(video, audio)').readyState >= 1")
    return page


def until(page: Page, condition: str, timeout_s: float = 20) -> None:
    """Wait for a condition; the page's own policy forbids Playwright's way, which evaluates text."""
    end = time.monotonic() + timeout_s
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(40)


def now_ms(page: Page) -> int:
    return page.evaluate("Math.round(document.querySelector('#player :is(video, audio)').currentTime * 1000)")


def word(page: Page, text: str):
    return page.locator("#transcript .word", has_text=re.compile(f"^{re.escape(text)}$"))


def word_start(collection: Collection, text: str, recording: int = 1) -> int:
    with collection.sessions() as session:
        return session.scalars(
            select(models.Word.start_ms)
            .join(models.Transcript, models.Transcript.id == models.Word.transcript_id)
            .where(models.Transcript.recording_id == recording, models.Word.text == f" {text}")
        ).one()


def edits(collection: Collection) -> list[models.Edit]:
    with collection.sessions() as session:
        return list(session.scalars(select(models.Edit).order_by(models.Edit.id)))


@pytest.mark.parametrize(("recording", "text"), [(1, "flask"), (2, "visits")])
def test_a_click_on_a_word_plays_it_and_lights_it_up(page, collection, recording, text):
    opened(page, recording)
    word(page, text).click()
    start_ms = word_start(collection, text, recording)
    until(page, "!document.querySelector('#player :is(video, audio)').paused")
    assert start_ms - 50 <= now_ms(page) <= start_ms + 3000
    until(page, "document.querySelector('.word.now')")
    lit = page.evaluate("document.querySelector('.segment.here').textContent")
    assert text in lit or now_ms(page) > start_ms + 1000
    page.keyboard.press("Space")
    until(page, "document.querySelector('#player :is(video, audio)').paused")


def test_the_word_at_a_moment_is_the_one_that_is_lit(page, collection):
    opened(page)
    for text in ("chairs", "Twelve", "matters"):
        middle = word_start(collection, text) + 60
        page.evaluate(f"document.querySelector('#player video').currentTime = {middle / 1000}")
        expect(page.locator(".word.now")).to_have_text(text)


def test_an_edited_sentence_is_saved_in_the_journal(page, collection):
    opened(page)
    segment = page.locator(".segment").nth(2)
    segment.hover()
    segment.get_by_role("button", name="Edit this sentence").click()
    field = segment.get_by_role("textbox", name="Text of this sentence")
    expect(field).to_be_focused()
    field.fill("So we carried the benches out into the garden and met there.")
    field.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(segment.locator(".text")).to_have_text(
        "So we carried the benches out into the garden and met there."
    )
    expect(segment).to_be_focused()
    [entry] = edits(collection)
    assert entry.change["text"] == "So we carried the benches out into the garden and met there."
    assert entry.author == "ailsa"
    expect(page.locator(".clip blockquote").first).to_contain_text("benches")
    page.reload()
    expect(page.locator(".segment .text").nth(2)).to_contain_text("benches")


def test_the_keyboard_is_enough(page, collection):
    opened(page)
    page.locator(".segment").nth(1).focus()
    page.keyboard.press("Tab")
    expect(page.locator(".segment").nth(2)).to_be_focused()
    page.keyboard.press("Space")
    until(page, "!document.querySelector('#player video').paused")
    assert now_ms(page) >= word_start(collection, "So") - 50
    page.keyboard.press("Space")
    until(page, "document.querySelector('#player video').paused")
    page.keyboard.press("Enter")
    expect(page.locator("#help")).to_contain_text("hear this sentence")
    page.keyboard.type(" Again.")
    page.keyboard.press("Tab")
    until(page, "!document.querySelector('#player video').paused")
    expect(page.locator(".segment textarea")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".segment textarea")).to_have_count(0)
    expect(page.locator(".segment").nth(2)).to_be_focused()
    assert edits(collection) == []


def test_two_editors_on_one_sentence_lose_nothing(page, collection):
    opened(page)
    page.locator(".segment").nth(2).focus()
    page.keyboard.press("Enter")
    retext_segment(collection, 1, segment_id(collection, 2), "Theirs.", author="ben", revision=0)
    page.keyboard.type(" Mine.")
    page.keyboard.press("Enter")
    alert = page.locator(".segment.open .problem")
    expect(alert).to_contain_text("Theirs.")
    expect(page.locator(".segment textarea")).to_have_value(re.compile(r"there\. Mine\.$"))
    alert.get_by_role("button", name="Save mine over it").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert [entry.author for entry in edits(collection)] == ["ben", "ailsa"]
    assert edits(collection)[1].change["text"].endswith("Mine.")


def test_an_edit_elsewhere_by_somebody_else_is_no_conflict(page, collection):
    opened(page)
    retext_segment(collection, 1, segment_id(collection, 0), "Hello, Margaret.", author="ben", revision=0)
    page.locator(".segment").nth(2).focus()
    page.keyboard.press("Enter")
    page.keyboard.type(" Indeed.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert [entry.revision for entry in edits(collection)] == [1, 2]


def test_when_the_review_does_not_answer_the_text_stays(page):
    opened(page)
    page.locator(".segment").nth(2).focus()
    page.keyboard.press("Enter")
    page.route("**/api/transcripts/**", lambda route: route.abort())
    page.keyboard.type(" Kept.")
    page.keyboard.press("Enter")
    expect(page.locator(".segment.open .problem")).to_contain_text("does not answer")
    expect(page.locator(".segment textarea")).to_have_value(re.compile(r"Kept\.$"))
    page.unroute("**/api/transcripts/**")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved")


def test_after_a_restart_an_open_page_still_saves(page, collection):
    opened(page)
    page.evaluate("document.querySelector('meta[name=stories-token]').content = 'of the run before'")
    page.locator(".segment").nth(0).focus()
    page.keyboard.press("Enter")
    page.keyboard.type(" Yes.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert len(edits(collection)) == 1


def test_a_speaker_gets_a_name(page, collection):
    opened(page)
    page.locator("#transcript button.who", has_text="Speaker 2").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Margaret")
    dialog.get_by_label("Part").select_option("storyteller")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Margaret")
    expect(dialog).to_be_hidden()
    expect(page.locator("#transcript .who", has_text="Margaret")).to_have_count(2)
    expect(page.locator("#speakers")).to_contain_text("storyteller")
    with collection.sessions() as session:
        speaker = session.scalars(
            select(models.Speaker).where(models.Speaker.recording_id == 1, models.Speaker.number == 2)
        ).one()
        assert (speaker.name, speaker.role) == ("Margaret", "storyteller")


def test_a_voice_that_is_probably_somebody_is_confirmed_and_renamed_everywhere(page, collection):
    with collection.sessions.begin() as session:
        for recording in (1, 3):
            speaker = session.scalars(
                select(models.Speaker).where(models.Speaker.recording_id == recording)
            ).first()
            speaker.embedding = np.full(256, 1 / 16, np.float32).tobytes()
    name_speaker(collection, 1, 1, name="Ailsa", role="interviewer", author="ann")
    opened(page, 3)
    expect(page.locator("#speakers")).to_contain_text("Speaker 1 is probably Ailsa (interviewer)")
    page.get_by_role("button", name="Yes, Ailsa").click()
    expect(page.get_by_role("status")).to_contain_text("Ailsa")
    expect(page.locator("#speakers .suggestion")).to_have_count(0)
    expect(page.locator("#transcript .who", has_text="Ailsa").first).to_be_visible()
    page.get_by_role("button", name="Rename Ailsa").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Ailsa Reid")
    dialog.get_by_label("In every recording of this person").check()
    page.keyboard.press("Enter")
    expect(page.locator("#speakers")).to_contain_text("Ailsa Reid")
    with collection.sessions() as session:
        named = session.scalars(select(models.Speaker).where(models.Speaker.name == "Ailsa Reid")).all()
        assert {speaker.recording_id for speaker in named} == {1, 3}


def test_a_clip_is_heard_approved_and_shown_as_cut(page, collection):
    opened(page)
    card = page.locator(".clip").nth(1)
    with collection.sessions() as session:
        clip = session.scalars(select(models.Clip).order_by(models.Clip.start_ms.desc())).first()
    page.evaluate("document.querySelector('#player video').playbackRate = 8")
    card.get_by_role("button", name="Hear").click()
    until(
        page,
        f"document.querySelector('#player video').paused"
        f" && document.querySelector('#player video').currentTime * 1000 >= {clip.end_ms}",
    )
    assert clip.end_ms <= now_ms(page) <= clip.end_ms + 2500
    card.get_by_role("button", name="Approve").click()
    expect(card.locator(".state")).to_have_text("approved", timeout=30_000)
    expect(card.locator(".cut")).to_contain_text("This is what will be published")
    until(page, "document.querySelector('.cut video').readyState >= 1")
    length_ms = page.evaluate("document.querySelector('.cut video').duration * 1000")
    assert abs(length_ms - (clip.end_ms - clip.start_ms)) <= 100
    with collection.sessions() as session:
        row = session.get(models.Clip, clip.id)
        assert (row.state, row.approvals[-1].author) == ("approved", "ailsa")
    card.get_by_role("button", name="Take back").click()
    expect(card.locator(".state")).to_have_text("rejected")


def test_a_clip_without_consent_says_why_it_cannot_be_published(page):
    opened(page, 3)
    expect(page.locator(".clip")).to_contain_text("the storyteller agreed to use inside the team only")
    expect(page.get_by_role("button", name="Approve")).to_be_disabled()


def test_from_a_search_to_the_sentence(page, collection):
    page.goto("/")
    page.get_by_role("searchbox").fill("flask")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("Twelve people")).click()
    page.wait_for_selector(".desk[aria-busy=false]")
    until(page, "document.querySelector('#player video').currentTime > 0")
    assert abs(now_ms(page) - word_start(collection, "Twelve")) < 50
    expect(page.locator(".segment.here")).to_contain_text("flask")


def test_a_missing_file_is_told(page, collection):
    for file in collection.derived.rglob("web.m4a"):
        file.unlink()
    page.goto("/recordings/2")
    expect(page.get_by_role("alert")).to_contain_text("stories process")
    expect(page.locator(".segment")).to_have_count(3)


@pytest.mark.parametrize("width", [360, 800, 1360])
def test_no_page_is_wider_than_the_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/?q=the", "/recordings/1"):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_long_transcript_is_whole_and_lights_up(page, collection):
    lengthen(collection, times=300)
    opened(page)
    expect(page.locator(".segment")).to_have_count(2107)
    last = page.locator(".segment").last
    page.evaluate("document.querySelector('#player video').currentTime = 9.3")
    expect(page.locator(".word.now")).to_have_count(1)
    last.scroll_into_view_if_needed()
    expect(last.locator(".text")).to_be_visible()


def segment_id(collection: Collection, place: int) -> str:
    with collection.sessions() as session:
        row = session.get(models.Segment, (1, place))
        return str(row.first_word)


def lengthen(collection: Collection, times: int) -> None:
    """Say the first recording's sentences again and again, after its end."""
    with collection.sessions.begin() as session:
        words = list(session.scalars(select(models.Word).where(models.Word.transcript_id == 1)))
        segments = list(session.scalars(select(models.Segment).where(models.Segment.transcript_id == 1)))
        recording = session.get(models.Recording, 1)
        length, count = recording.duration_ms, len(words)
        recording.duration_ms *= times + 1
        for turn in range(1, times + 1):
            later = {"transcript_id": 1}
            session.bulk_insert_mappings(
                models.Word,
                [
                    later
                    | {
                        "ordinal": word.ordinal + turn * count,
                        "start_ms": word.start_ms + turn * length,
                        "end_ms": word.end_ms + turn * length,
                        "text": word.text,
                        "probability": word.probability,
                    }
                    for word in words
                ],
            )
            session.bulk_insert_mappings(
                models.Segment,
                [
                    later
                    | {
                        "ordinal": segment.ordinal + turn * len(segments),
                        "first_word": segment.first_word + turn * count,
                        "last_word": segment.last_word + turn * count,
                        "start_ms": segment.start_ms + turn * length,
                        "end_ms": segment.end_ms + turn * length,
                    }
                    for segment in segments
                ],
            )
