"""The page buyers type into: what it loads, what it may do, and how it works in a real browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml

from ledger.database import Engine
from tests.tokenization.entry_world import SHOP, EntryWorld, entry_world, typed, wanted
from tests.vault_calls import public_client, service_client
from tokenization.ids import new_id
from tokenization.page_check import BASELINE, ReceivedPage, authorised, differences, seen_of
from tokenization.pages.card_form import FOLDER, LOADED, asset


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest_asyncio.fixture
async def world(vault_engine: Engine, now: datetime) -> EntryWorld:
    return await entry_world(vault_engine, now)


@pytest_asyncio.fixture
async def browser(world: EntryWorld) -> AsyncIterator[httpx.AsyncClient]:
    async with public_client(world.vault) as client:
        yield client


async def opened(world: EntryWorld, **parts: Any) -> dict[str, Any]:
    async with service_client(world.vault) as service:
        answered = await service.post("/card-sessions", json=wanted(**parts), headers={"idempotency-key": new_id("k")})
        return dict(answered.json())


async def test_the_page_loads_only_what_is_in_the_inventory_with_its_hash(
    world: EntryWorld, browser: httpx.AsyncClient
) -> None:
    form = await opened(world)
    inventory = yaml.safe_load((FOLDER / "scripts.yaml").read_text("utf-8"))["scripts"]
    inventory = [one for one in inventory if one["page"] == "card_form"]

    page = Elements((await browser.get(f"/card-forms/{form['id']}")).text)

    scripts = page.of("script")
    assert [(one["src"], one["integrity"]) for one in scripts] == [(one["path"], one["integrity"]) for one in inventory]
    assert all(one["reason"] and one["authorised_by"] for one in inventory)
    for loaded in (*scripts, *page.of("link")):
        path = str(loaded.get("src") or loaded.get("href"))
        bytes_ = (await browser.get(path)).content
        assert loaded["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(bytes_).digest()).decode()
        assert bytes_ == asset(path.removeprefix("/assets/"))


async def test_nothing_runs_inline_and_nothing_comes_from_elsewhere(
    world: EntryWorld, browser: httpx.AsyncClient
) -> None:
    form = await opened(world)

    answered = await browser.get(f"/card-forms/{form['id']}")
    page = Elements(answered.text)

    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on") or name == "style"]
    assert not page.of("iframe", "object", "embed", "base", "style", "img")
    assert "http" not in answered.text.replace(SHOP, "")
    for name in LOADED:
        assert not re.search(rb"https?://|eval\(|innerHTML|document\.write|localStorage|console\.", asset(name))


async def test_the_headers_let_one_page_show_the_form_and_no_other_script_run(
    world: EntryWorld, browser: httpx.AsyncClient
) -> None:
    form = await opened(world)

    first, second = [await browser.get(f"/card-forms/{form['id']}") for _ in range(2)]

    policy = first.headers["content-security-policy"]
    nonce = re.findall(r"'nonce-([A-Za-z0-9_-]{22})'", policy)
    assert f"frame-ancestors {SHOP};" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"unsafe|\*|data:", policy)
    assert len(set(nonce)) == 1
    assert first.text.count(f'nonce="{nonce[0]}"') == 2
    assert nonce[0] not in second.headers["content-security-policy"]
    assert (first.headers["cache-control"], first.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert "x-frame-options" not in first.headers


async def test_fields_say_what_they_are_to_people_and_to_browsers(
    world: EntryWorld, browser: httpx.AsyncClient
) -> None:
    form = await opened(world)

    page = Elements((await browser.get(f"/card-forms/{form['id']}")).text)

    inputs = page.of("input")
    assert [one["autocomplete"] for one in inputs] == ["cc-number", "cc-exp", "cc-csc"]
    assert {one["for"] for one in page.of("label")} == {one["id"] for one in inputs}
    assert all(one["aria-describedby"] == f"{one['id']}-hint" and one["inputmode"] == "numeric" for one in inputs)
    assert {"pan-hint", "expires-hint", "cvc-hint"} <= {
        one.get("id") for one in page.of("p") if one.get("role") == "alert"
    }


async def test_a_form_that_is_over_says_so_and_one_that_is_not_there_is_shown_in_no_page(
    world: EntryWorld, browser: httpx.AsyncClient
) -> None:
    form = await opened(world, wants_cvc=False)
    open_page = (await browser.get(f"/card-forms/{form['id']}")).text
    await browser.post(f"/card-forms/{form['id']}/card", json=typed())

    used = await browser.get(f"/card-forms/{form['id']}")
    unknown = await browser.get(f"/card-forms/{new_id('cse')}")
    strange = await browser.get("/card-forms/%22%3E%3Cscript%3E")

    assert 'id="cvc-field" hidden' in open_page
    assert "Карта уже введена" in used.text
    assert 'data-state="over"' in used.text
    for missing in (unknown, strange):
        assert missing.status_code == 404
        assert "frame-ancestors 'none'" in missing.headers["content-security-policy"]
        assert "Форма не найдена" in missing.text


async def as_received(world: EntryWorld, browser: httpx.AsyncClient) -> tuple[httpx.Response, ReceivedPage]:
    """A form's page and everything it loads, as a browser gets them."""
    form = await opened(world)
    got = await browser.get(f"/card-forms/{form['id']}")
    files = {f"/assets/{name}": (await browser.get(f"/assets/{name}")).content for name in LOADED}
    return got, ReceivedPage(dict(got.headers), got.text, files, origin=SHOP, session_id=form["id"])


async def test_the_page_is_what_the_committed_baseline_says(world: EntryWorld, browser: httpx.AsyncClient) -> None:
    _, received = await as_received(world, browser)

    assert differences(seen_of(received), BASELINE) == []
    assert seen_of(received) == authorised()


SPOILS = [
    ("content-security-policy", lambda text: text.replace("default-src 'none'", "default-src *")),
    ("content-security-policy", lambda _text: None),
    ("referrer-policy", lambda _text: "unsafe-url"),
    ("x-new", lambda _text: "1"),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILS)
async def test_a_changed_header_is_noticed(
    world: EntryWorld, browser: httpx.AsyncClient, name: str, spoil: Any
) -> None:
    got, received = await as_received(world, browser)
    headers = dict(got.headers)
    headers[name] = spoil(headers.get(name, "")) or ""

    spoilt = replace(received, headers={key: value for key, value in headers.items() if value})

    assert [one.removesuffix(" is missing") for one in differences(seen_of(spoilt), BASELINE)] == [f"header {name}"]


async def test_a_changed_script_or_page_is_noticed(world: EntryWorld, browser: httpx.AsyncClient) -> None:
    _, received = await as_received(world, browser)
    script = "/assets/card_form.js"

    tampered = replace(received, files={**received.files, script: b"steal()"})
    injected = replace(received, html=received.html.replace("</body>", "<script src=//x.example></script></body>"))

    assert differences(seen_of(tampered), BASELINE) == [f"file {script}"]
    assert differences(seen_of(injected), BASELINE) == ["page"]


async def test_a_browsers_report_is_heard_and_written_down_without_numbers(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {"csp-report": {"blocked-uri": "https://evil.example/?4242424242424242"}}

    heard = await browser.post("/csp-reports", json=report)
    too_long = await browser.post("/csp-reports", content=b"x" * 9_000)

    assert (heard.status_code, too_long.status_code) == (204, 413)
    assert "page_violation" in (said := capsys.readouterr().out)
    assert "4242424242424242" not in said
