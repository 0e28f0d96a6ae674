"""A person signs in and is shown one card number, in a real browser, with a real vault behind it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from ledger.clock import machine_now
from pci.access.twofactor import code_at, step_of
from pci.secret import Secret
from tests.api.vault_process import VaultProcess, vault_process
from tests.browser import BrowserTab, browser_tab, program
from tests.pci.access.world import PASSWORD, events, secret_in
from tests.tokenization.entry_world import MERCHANT, MIR

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(program() is None, reason="no chromium is installed (Debian: apt install chromium)"),
]
PAGE = "/people"


def enter_card(vault: VaultProcess) -> str:
    """A buyer's card, typed into a form; its token."""
    with vault.client() as service:
        wanted = {"merchant_id": MERCHANT, "origin": "https://shop.example"}
        form = service.post("/card-sessions", json=wanted, headers={"idempotency-key": "order-1"}).json()
        card = {"pan": MIR, "expires_on": "2029-12", "cvc": "731"}
        headers = {"origin": vault.origin}
        entered = httpx.post(f"{form['form_url']}/card", json=card, headers=headers, timeout=60)
    assert entered.status_code == 201, entered.text
    return str(entered.json()["token"])


async def invite(vault: VaultProcess, url: str, login: str, name: str, role: str) -> str:
    """The first of the people, let in by the operator; then given the role that the test is about."""
    body = {"operator": "anna", "login": login, "name": name, "role": "security_officer"}
    with vault.client(vault.link("operator")) as operator:
        invited = operator.post("/people/first", json=body)
    assert invited.status_code == 201, invited.text
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE people SET roles = ARRAY[%s] WHERE login = %s", (role, login))
    return str(invited.json()["enrolment_token"])


async def fill(tab: BrowserTab, form: str, **values: str) -> None:
    for name, value in values.items():
        field = f"document.querySelector('#{form} [name={name}]')"
        await tab.run(f"{field}.value = {json.dumps(value)}", frame=PAGE)
    await tab.run(f"document.getElementById('{form}').requestSubmit()", frame=PAGE)


async def until_shown(tab: BrowserTab, id_: str) -> str:
    shown = f"document.getElementById('{id_}')"
    return str(await tab.until(f"{shown}.checkVisibility() && {shown}.textContent", frame=PAGE))


async def picture(tab: BrowserTab, name: str) -> None:
    """Pictures for people, where somebody asked for them."""
    if folder := os.environ.get("KOPEYKA_TEST_PICTURES"):
        await tab.picture(Path(folder) / f"{name}.png", width=1_100, height=700)


async def test_a_person_enrols_signs_in_and_is_shown_one_number(vault_database: Any, tmp_path: Path) -> None:
    with vault_process(vault_database.vault_url, tmp_path) as vault:
        vault.until_alive()
        card = await asyncio.to_thread(enter_card, vault)
        token = await invite(vault, vault_database.vault_url, "olga", "Ольга Смирнова", "support")
        async with browser_tab(vault.origin + PAGE) as tab:
            there = "document.readyState === 'complete' && document.getElementById('sign-in').checkVisibility()"
            await tab.until(there, frame=PAGE)
            await tab.run("document.getElementById('to-enrol').click()", frame=PAGE)
            await fill(tab, "enrol", token=token, password=PASSWORD, again=PASSWORD)
            key = (await until_shown(tab, "secret")).rpartition(" ")[2]
            await tab.until("document.getElementById('picture').naturalWidth > 100", frame=PAGE)
            secret = secret_in(Secret(f"otpauth://totp/x?secret={key}"))
            step = step_of(machine_now())
            await fill(tab, "first-code", code=code_at(secret, step))
            await tab.until("document.getElementById('sign-in').checkVisibility()", frame=PAGE)
            await fill(tab, "sign-in", login="olga", password=PASSWORD, code=code_at(secret, step + 1))
            assert await until_shown(tab, "who-name") == "Ольга Смирнова"

            await fill(tab, "search", token=card)
            await tab.until("document.querySelector('#found button') !== null", frame=PAGE)
            assert "2200 11•• •••• 9001" in await until_shown(tab, "found")
            await picture(tab, "people_found")
            await tab.run("document.querySelector('#found button').click()", frame=PAGE)
            await fill(tab, "reveal-form", reason="", ticket="SUP-1042")
            assert "причина" in str(
                await tab.until("document.querySelector('#reveal-form .problem').textContent", frame=PAGE)
            )
            await fill(tab, "reveal-form", reason="chargeback", ticket="SUP-1042")
            assert await until_shown(tab, "shown-number") == "2200 1117 5357 9001"
            await picture(tab, "people_shown")
            await tab.run("document.querySelector('#shown .close').click()", frame=PAGE)
            assert MIR not in (await tab.run("document.documentElement.textContent", frame=PAGE)).replace(" ", "")

            assert await tab.run("document.cookie + localStorage.length + sessionStorage.length", frame=PAGE) == "00"
            assert not [line for line in tab.said if line.startswith("exception") or "Content Security" in line]
            assert {asked.split()[1].split("/")[2] for asked in tab.requested if "data:" not in asked} == {
                vault.origin.split("/")[2]
            }
            assert not [asked for asked in tab.requested if MIR in asked or PASSWORD in asked]
        assert MIR not in vault.log()
        assert PASSWORD not in vault.log()
    revealed = [event for event in events(vault_database.superuser_url) if event["action"] == "card.revealed"]
    assert [event["outcome"] for event in revealed] == ["refused", "done"]
