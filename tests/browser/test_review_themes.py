"""The review's themes in a real browser: an editor says which fit, and nothing else on the page is disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from db import models
from pipeline.collection import Collection
from tests.browser.test_review import address, collection, edits, opened, page, until
from tests.samples.review_collection import make_collection, write_codebook

pytestmark = pytest.mark.browser
__all__ = ["address", "collection", "page"]

SAVED_MS = 30_000
"""The sentence model may have to be read first."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    collection = make_collection(tmp_path_factory.mktemp("review") / "collection")
    write_codebook(collection)
    return collection.root


def margin(page: Page, place: int) -> Locator:
    return page.locator(".passage .margin").nth(place)


def verdict(page: Page, place: int, says: str) -> Locator:
    """The button that says this of a theme: its name begins with it."""
    return margin(page, place).locator(f'button.verdict[aria-label^="{says}."]')


def saved(page: Page) -> None:
    expect(page.get_by_role("status")).to_contain_text("Saved", timeout=SAVED_MS)
    expect(page.locator('.margin[aria-busy="true"]')).to_have_count(0, timeout=SAVED_MS)


def codings(collection: Collection) -> list[tuple[str, str, str]]:
    query = select(models.Theme.key, models.Coding.state, models.Coding.author)
    with collection.sessions() as session:
        rows = session.execute(query.join(models.Theme).order_by(models.Coding.id)).all()
    return [tuple(row) for row in rows]


def colour_beneath(page: Page, at: float) -> list[int]:
    """The colour of the waveform's strip of themes, at this share of its width."""
    return page.evaluate(
        """at => { const canvas = document.querySelector('.waveform');
        return [...canvas.getContext('2d').getImageData(canvas.width * at, canvas.height - 3, 1, 1).data] }""",
        at,
    )


def test_a_theme_fits_and_it_can_be_taken_back(page, collection):
    opened(page)
    fits = verdict(page, 1, "What matters to people fits")
    expect(fits).to_have_attribute("aria-pressed", "false")
    expect(fits).to_have_attribute(
        "title",
        "What matters to people fits. Proposed, 0.50, for: "
        "“One man said it was the first time anybody had asked him that.”",
    )
    fits.click()
    saved(page)
    expect(fits).to_have_attribute("aria-pressed", "true")
    expect(fits).to_be_focused()
    assert codings(collection) == [("what-matters", "accepted", "ailsa")]

    page.reload()
    expect(fits).to_have_attribute("aria-pressed", "true")
    fits.press("Enter")
    saved(page)
    expect(fits).to_have_attribute("aria-pressed", "false")
    expect(fits).to_be_focused()
    assert codings(collection) == []


def test_a_theme_that_does_not_fit_takes_its_colours_along(page, collection):
    opened(page)
    until(page, "document.querySelector('.waveform').width > 300")
    green = [0x4F, 0x7A, 0x2C, 255]
    assert colour_beneath(page, 0.2) == green
    unfit = verdict(page, 0, "Meeting outdoors does not fit")
    unfit.focus()
    page.keyboard.press("Space")
    saved(page)
    expect(unfit).to_have_attribute("aria-pressed", "true")
    expect(unfit).to_be_focused()
    assert codings(collection) == [("outdoors", "rejected", "ailsa")]
    assert colour_beneath(page, 0.2) != green
    assert (
        "#4f7a2c"
        not in page.evaluate("document.querySelector('.passage').style.getPropertyValue('--colour')").lower()
    )
    # By mistake: it is still there to be taken back, tomorrow too.
    page.reload()
    expect(unfit).to_have_attribute("aria-pressed", "true")
    unfit.focus()
    page.keyboard.press("Space")
    expect(margin(page, 0).locator('[aria-pressed="true"]')).to_have_count(0, timeout=SAVED_MS)
    assert codings(collection) == []


def test_another_theme_is_added_from_the_codebook(page, collection):
    opened(page)
    adder = margin(page, 0).get_by_role("combobox", name="Add a theme")
    assert adder.locator("option").all_text_contents() == [
        "Add a theme",
        "What matters to people",
        "Being known",
    ]
    adder.focus()
    adder.select_option("Being known")
    saved(page)
    expect(verdict(page, 0, "Being known fits")).to_have_attribute("aria-pressed", "true")
    expect(adder).to_be_focused()
    expect(adder).to_have_value("")
    expect(adder.locator("option", has_text="Being known")).to_have_count(0)
    assert codings(collection) == [("being-known", "accepted", "ailsa")]


def test_an_arrow_on_the_closed_list_adds_nothing(page, collection):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    opened(page)
    adder = margin(page, 0).get_by_role("combobox", name="Add a theme")
    for key in ("ArrowDown", "b", "End"):
        adder.focus()
        page.keyboard.press(key)
        page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    expect(adder).to_have_value("")
    assert "PUT" not in asked


def test_what_is_perhaps_a_theme_can_be_said_to_be_one(page, collection):
    opened(page, 2)
    expect(margin(page, 0)).to_contain_text("perhaps ")
    name = margin(page, 0).locator(".name").text_content().removeprefix("perhaps ")
    fits = verdict(page, 0, f"{name} fits")
    fits.click()
    saved(page)
    expect(fits).to_have_attribute("aria-pressed", "true")
    expect(fits).to_be_focused()
    expect(margin(page, 0)).not_to_contain_text("perhaps")
    assert [state for _, state, _ in codings(collection)] == ["accepted"]


def test_an_open_editor_and_the_player_are_left_alone(page, collection):
    opened(page)
    page.evaluate("document.querySelectorAll('.segment').forEach((one) => (one.kept = true))")
    page.locator(".segment").nth(5).focus()
    page.keyboard.press("Enter")
    page.keyboard.type(" Half a thought")
    page.get_by_role("button", name="Play", exact=True).click()
    until(page, "!document.querySelector('#player video').paused")
    verdict(page, 0, "Meeting outdoors fits").click()
    page.locator(".segment textarea").focus()
    saved(page)
    assert page.evaluate("!document.querySelector('#player video').paused")
    assert page.evaluate("[...document.querySelectorAll('.segment')].every((one) => one.kept)")
    expect(page.locator(".segment textarea")).to_be_focused()
    page.keyboard.type(", and the rest.")
    page.keyboard.press("Enter")
    expect(page.locator(".segment .text").nth(5)).to_contain_text("Half a thought, and the rest.")
    assert [edit.change["text"][-30:] for edit in edits(collection)] == [" Half a thought, and the rest."]


def test_while_it_is_saved_the_passage_is_busy_and_more_can_be_said(page, collection):
    waiting: list = []
    page.route("**/api/passages/**", lambda route: waiting.append(route))
    opened(page)
    verdict(page, 0, "Meeting outdoors fits").click()
    expect(margin(page, 0)).to_have_attribute("aria-busy", "true")
    expect(margin(page, 1)).to_have_attribute("aria-busy", "false")
    verdict(page, 1, "What matters to people does not fit").click()
    margin(page, 0).get_by_role("combobox").select_option("Being known")
    for number in range(3):
        while len(waiting) <= number:
            page.wait_for_timeout(20)
        assert len(waiting) == number + 1, "one after the other"
        waiting[number].continue_()
    saved(page)
    assert codings(collection) == [
        ("outdoors", "accepted", "ailsa"),
        ("what-matters", "rejected", "ailsa"),
        ("being-known", "accepted", "ailsa"),
    ]


def test_when_the_review_does_not_answer_it_is_told_beside_the_passage_and_can_be_tried_again(
    page, collection
):
    opened(page)
    page.route("**/api/passages/**", lambda route: route.abort())
    verdict(page, 0, "Meeting outdoors fits").click()
    margin(page, 0).get_by_role("combobox").select_option("Being known")
    alerts = margin(page, 0).get_by_role("alert")
    expect(alerts).to_have_count(2)
    expect(alerts.first).to_contain_text("Meeting outdoors: not saved. The review does not answer")
    expect(margin(page, 1).get_by_role("alert")).to_have_count(0)
    expect(verdict(page, 0, "Meeting outdoors fits")).to_have_attribute("aria-pressed", "false")
    page.unroute("**/api/passages/**")
    margin(page, 0).get_by_role("button", name="Try again").nth(1).click()
    expect(alerts).to_have_count(1, timeout=SAVED_MS)
    margin(page, 0).get_by_role("button", name="Try again").click()
    expect(alerts).to_have_count(0)
    saved(page)
    assert codings(collection) == [("being-known", "accepted", "ailsa"), ("outdoors", "accepted", "ailsa")]


def test_a_refusal_is_told_in_the_reviews_words(page, collection):
    opened(page)
    with collection.sessions.begin() as session:
        for passage in session.scalars(select(models.Passage)):
            session.delete(passage)
    verdict(page, 0, "Meeting outdoors fits").click()
    expect(margin(page, 0).get_by_role("alert")).to_contain_text("reload the page")


def test_passages_found_anew_are_laid_out_with_the_same_sentences(page):
    opened(page)
    document = page.evaluate("fetch('/api/recordings/1').then((answer) => answer.json())")
    [first, second] = document["passages"]
    moved = [first | {"id": 77, "segments": [0, 1]}, second | {"id": 78, "segments": [2, 5], "themes": []}]
    page.route(
        "**/api/passages/**", lambda route: route.fulfill(json={"passages": moved, "message": "Saved."})
    )
    page.locator(".segment").nth(5).focus()
    page.keyboard.press("Enter")
    page.keyboard.type(" Kept.")
    verdict(page, 0, "Meeting outdoors fits").click()
    expect(page.locator(".passage")).to_have_count(3)
    assert page.evaluate(
        "[...document.querySelectorAll('.passage')].map((one) => one.querySelectorAll('.segment').length)"
    ) == [2, 4, 1]
    expect(page.locator(".segment.open textarea")).to_have_count(1)
    assert page.locator(".segment textarea").input_value().endswith(" Kept.")
    expect(page.locator(".segment .clip-mark")).to_have_count(2)


def test_on_a_phone_all_of_it_can_be_touched(browser, address):
    context = browser.new_context(
        base_url=address, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    page = opened(context.new_page())
    for control in page.locator(".margin :is(button, select)").all():
        box = control.bounding_box()
        assert box["width"] >= 44, control
        assert box["height"] >= 44, control
    verdict(page, 0, "Meeting outdoors fits").tap()
    saved(page)
    expect(verdict(page, 0, "Meeting outdoors fits")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()
