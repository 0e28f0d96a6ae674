"""The page of the vault's people: one script, one style, nothing inline, nothing from elsewhere, nothing kept."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime

import yaml

from ledger.database import Engine
from tests.tokenization.people_world import make_desk
from tests.vault_calls import public_client
from tokenization.pages.card_form import FOLDER, asset


async def test_the_page_loads_what_is_in_the_inventory_and_may_do_nothing_else(
    vault_engine: Engine, now: datetime
) -> None:
    desk = await make_desk(vault_engine, now)
    inventory = yaml.safe_load((FOLDER / "scripts.yaml").read_text("utf-8"))["scripts"]
    (known,) = [script for script in inventory if script["page"] == "people"]

    async with public_client(desk.vault) as browser:
        first, second = await browser.get("/people"), await browser.get("/people")
        script = await browser.get("/assets/people.js")

    csp = first.headers["content-security-policy"]
    nonces = re.findall(r"'nonce-([^']+)'", csp)
    assert known["integrity"] == "sha384-" + base64.b64encode(hashlib.sha384(script.content).digest()).decode()
    assert re.findall(r"<script([^>]*)>", first.text) == [
        f' src="{known["path"]}" integrity="{known["integrity"]}" nonce="{nonces[0]}" defer'
    ]
    assert len(set(nonces)) == 1
    assert nonces[0] not in second.text
    assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} <= set(
        csp.split("; ")
    )
    assert "unsafe" not in csp
    assert (first.headers["cache-control"], first.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert first.headers["x-content-type-options"] == "nosniff"


def test_nothing_is_inline_and_nothing_is_kept() -> None:
    html, script = (FOLDER / "people.html").read_text("utf-8"), asset("people.js").decode()

    assert not re.search(r"\son\w+=|<style|style=|https?://|javascript:", html)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", script)
    assert not re.search(r"localStorage|sessionStorage|indexedDB|document\.cookie|console\.|https?://", script)


def test_every_code_the_page_has_words_for_is_a_code_of_ours() -> None:
    from tokenization.problems import STATUS

    codes = re.findall(r'^  "([a-z]+\.[a-z_]+)":', asset("people.js").decode(), re.MULTILINE)

    assert len(codes) > 10
    assert set(codes) <= set(STATUS)
