"""The timeline as a page: who sees it, what it shows, and what it keeps of a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.rate_limit import Buckets
from api.routes import timeline_page
from api.timeline import remembering
from api.timeline.relations import RELATIONS
from api.timeline.texts import PAGE, WHAT, say, title_of
from pci.secret import Secret
from tests.api.conftest import Client
from tests.api.test_cash_links import order, terminal

KEY, NOW = Secret("k" * 40), datetime(2026, 11, 22, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a visitor of its own."""
    monkeypatch.setattr(timeline_page, "visits", Buckets(timeline_page.READS_PER_SECOND))


async def entered(client: Client, object_id: str, **form: str) -> Client:
    """A browser in which the key was typed."""
    answer = await client.http.post("/timeline", data={"api_key": client.api_key, "object_id": object_id, **form})
    assert answer.status_code == 303, answer.text
    return client


async def test_a_key_is_typed_once_and_the_story_is_shown_in_two_languages(client: Client) -> None:
    till = await terminal(client)
    order_id = await order(client, till, "A-1", 149_990)

    await entered(client, order_id)
    shown = await client.http.get(f"/timeline/{order_id}")
    english = await client.http.get(f"/timeline/{order_id}?lang=en")

    assert shown.status_code == english.status_code == 200
    assert "Заказ оформлен" in shown.text
    assert "1499.90 ₽" in shown.text
    assert "POST /v1/orders" in shown.text
    assert "Order placed" in english.text
    assert client.api_key not in shown.text
    assert "script-src" not in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "no-store"


async def test_only_one_kind_is_shown_when_it_is_chosen(client: Client) -> None:
    order_id = await order(client, await terminal(client), "A-1", 100)
    await entered(client, order_id)

    requests = (await client.http.get(f"/timeline/{order_id}?only=request")).text
    everything = (await client.http.get(f"/timeline/{order_id}?only=nonsense")).text

    assert "Заказ оформлен" not in requests
    assert "POST /v1/orders" in requests
    assert "Заказ оформлен" in everything


async def test_without_a_key_there_is_a_form_and_no_story(client: Client) -> None:
    order_id = await order(client, await terminal(client), "A-1", 100)

    asked = await client.http.get(f"/timeline/{order_id}")
    forged = await client.http.get(f"/timeline/{order_id}", headers={"cookie": "timeline=AAAA"})

    for answer in (asked, forged):
        assert 'name="api_key"' in answer.text
        assert "Заказ оформлен" not in answer.text


async def test_a_wrong_key_is_refused_and_not_kept(client: Client) -> None:
    answer = await client.http.post("/timeline", data={"api_key": "kp_test_nobody", "object_id": "ord_1"})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "kp_test_nobody" not in answer.text


async def test_a_key_is_forgotten_when_its_reader_leaves(client: Client) -> None:
    await entered(client, "ord_1")

    left = await client.http.post("/timeline", data={"object_id": "", "leave": "1"})

    assert "Max-Age=0" in left.headers["set-cookie"]
    assert 'name="api_key"' in (await client.http.get("/timeline")).text


@pytest.mark.parametrize(
    "object_id", ["ord_" + "0" * 26, "<script>alert(1)</script>", "9" * 190, "Заказ", "a\x00b", " "]
)
async def test_what_nobody_knows_is_said_so_and_never_taken_for_markup(client: Client, object_id: str) -> None:
    answer = await client.http.post(
        "/timeline", data={"api_key": client.api_key, "object_id": object_id}, follow_redirects=True
    )

    assert answer.status_code in (404, 422)
    assert "<script" not in answer.text


async def test_a_form_of_another_site_is_not_taken(client: Client) -> None:
    answer = await client.http.post(
        "/timeline", data={"api_key": client.api_key, "object_id": "ord_1"}, headers={"origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("buckets_stay_empty")
async def test_keys_are_not_guessed_fast(client: Client) -> None:
    answers = [
        (await client.http.post("/timeline", data={"api_key": f"kp_test_{n}", "object_id": "ord_1"})).status_code
        for n in range(4 * timeline_page.READS_PER_SECOND)
    ]

    assert 429 in answers


def test_a_cookie_is_opened_by_its_key_in_its_time_alone() -> None:
    sealed = remembering.seal(Secret("kp_test_1"), KEY, NOW)

    kept = remembering.unseal(sealed, KEY, NOW + timedelta(minutes=29))
    assert kept is not None
    assert kept.expose() == "kp_test_1"
    assert "kp_test_1" not in sealed
    assert remembering.unseal(sealed, KEY, NOW + timedelta(minutes=31)) is None
    assert remembering.unseal(sealed, Secret("x" * 40), NOW) is None
    assert remembering.unseal(sealed[:-2] + "AA", KEY, NOW) is None
    assert remembering.unseal("", KEY, NOW) is None
    assert remembering.unseal("A" * 2_000, KEY, NOW) is None


def test_a_production_cookie_goes_over_tls_only() -> None:
    text = remembering.setting("v", "/timeline", is_secure=True)

    assert text.startswith("__Secure-timeline=v;")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/timeline"} <= set(text.split("; "))


def test_every_moment_of_a_row_has_a_name_in_both_languages() -> None:
    told = {what for relation in RELATIONS for what in relation.times.values()}

    assert told <= set(WHAT)
    for what, (russian, english) in (WHAT | PAGE).items():
        assert russian, what
        assert english.isascii(), what
    assert (say("ru", "leaf"), say("en", "leaf")) == ("журнал", "log")
    assert title_of("ru", "sale.made_up") == "sale.made_up"
