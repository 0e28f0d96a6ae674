"""One card's story in the vault: entered, charged, shown as a mask, revealed once for a reason, its key renewed; and a
line of the log that somebody edits, found by the auditor's own file.

Everything is done as its user would: over the api, as a browser, as a signed-in person, by the command line.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from api import data_dir
from api.demo.errors import DemoFailed
from api.demo.people import Person, enrol
from api.demo.premises import Premises
from api.demo.sellers import SELLERS
from api.demo.wire import Answer, Connection
from api.people_client import PeopleClient
from api.postgres import Server
from ledger.clock import monotonic
from ledger.ids import new_secret
from pci.audit_log import kopeyka_verify
from pci.audit_log.merkle import leaf_hash
from pci.pan import Pan

CARD = Pan("2200 1117 5357 9001")
"""Source: a Mir number of Tochka's public test cards."""
TYPED_CODE = "123"
PRICE_KOPECKS = 1_499_90
SHOP = "https://shop.example"
TICKET = "DEMO-1"
WAIT_SECONDS_MAX = 30.0
LOOK_SECONDS = 0.2


@dataclass(slots=True)
class VaultStory:
    """What was seen, step by step."""

    steps: list[tuple[str, str]] = field(default_factory=list)

    def saw(self, what: str, seen: str) -> None:
        """One more step. A card number is never part of it."""
        assert CARD.expose() not in seen
        self.steps.append((what, seen))


async def tell(ours: Premises) -> VaultStory:
    """Play the story on a running installation. It ends with an edited log: nothing comes after it.

    Raises: DemoFailed at the first thing that is not as it should be.
    """
    story, told = VaultStory(), ours.runtime()
    api = Connection(told["urls"]["api"], {"authorization": f"Bearer {told['sandbox_key']}"})
    origin = told["urls"]["card_form"]
    merchant_id = str((await _post(api, "/v1/merchants", SELLERS[0].body() | {"name": "Лавка у сейфа"}))["id"])
    token = await _enter(api, origin, merchant_id, story)
    await _charge(api, merchant_id, token, story)
    await _reveal(ours, origin, token, story)
    await _renew_key(ours, merchant_id, story)
    await _charge(api, merchant_id, token, story, again=True)
    await _edit_the_log(ours, story)
    return story


async def _enter(api: Connection, origin: str, merchant_id: str, story: VaultStory) -> str:
    form = await _post(api, "/v1/card-sessions", {"merchant_id": merchant_id, "origin": SHOP, "buyer_id": "buyer-1"})
    place = urlsplit(form["form_url"])
    browser = Connection(f"{place.scheme}://{place.netloc}", {"origin": origin})
    page = await browser.ask("GET", place.path)
    _expect(page.status == 200 and b"<script" in page.body, "the card form", page)
    typed = {"pan": CARD.expose(), "expires_on": "2030-12", "cvc": TYPED_CODE}
    entered = await browser.ask("POST", f"{place.path}/card", typed)
    _expect(entered.status == 201 and CARD.expose().encode() not in entered.body, "the entered card", entered)
    card = entered.json()
    story.saw("a buyer types a card into the vault's own page", f"the shop hears {card['token'][:12]}…, {card['mask']}")
    return str(card["token"])


async def _charge(api: Connection, merchant_id: str, token: str, story: VaultStory, *, again: bool = False) -> None:
    wish = {"merchant_id": merchant_id, "card_token": token, "amount_kopecks": PRICE_KOPECKS}
    paid = await _post(api, "/v1/card-payments", wish)
    if paid["status"] != "captured":
        raise DemoFailed(f"the card payment is {paid['status']}: {paid['reason']}")
    what = "charged again under the new key" if again else "charged over ISO 8583"
    story.saw(what, f"{paid['card_mask']}, 1 499.90 roubles, RRN {paid['rrn']}; in the books by its token")


async def _reveal(ours: Premises, origin: str, token: str, story: VaultStory) -> None:
    admin, officer, clerk = PeopleClient(origin), PeopleClient(origin), PeopleClient(origin)
    invited = await _command(ours, "vault", "people", "init", "anna", "--name", "Анна", "--json")
    await enrol(admin, Person("anna", json.loads(invited)["enrolment_token"]))
    second = await _command(
        ours, "vault", "people", "init", "vera", "--name", "Вера", "--role", "security_officer", "--json"
    )  # fmt: skip
    await enrol(officer, Person("vera", json.loads(second)["enrolment_token"]))
    wish = {"login": "boris", "name": "Борис", "roles": ["support"], "reason": "demo"}
    invitation = await admin.call("POST", "/people", wish)
    await officer.call("POST", f"/people/{invitation['person_id']}/confirmations", {"roles": wish["roles"]})
    await enrol(clerk, Person("boris", invitation["enrolment_token"]))
    shown = await clerk.call("POST", "/reveals", {"token": token, "reason": "chargeback", "ticket": TICKET})
    if shown["card_number"] != CARD.expose():
        raise DemoFailed("the vault showed another card number")
    kept = (await clerk.call("GET", "/reveals"))["reveals"]
    if [one["ticket"] for one in kept] != [TICKET]:
        raise DemoFailed("what was shown is not in the list of what was shown")
    story.saw("shown once to a signed-in person", f"{kept[0]['mask']} to boris: chargeback, ticket {TICKET}")


async def _renew_key(ours: Premises, merchant_id: str, story: VaultStory) -> None:
    await _command(ours, "vault", "keys", "rotate", "card", "--scope", merchant_id)

    async def finished() -> dict[str, Any] | None:
        listed = json.loads(await _command(ours, "vault", "keys", "list", "--json"))
        done = [one for one in listed["rotations"] if one["scope"] == merchant_id and one["status"] == "done"]
        return done[0] if done else None

    rotation = await _wait(finished, "the renewed key")
    story.saw("its key renewed while the vault works", f"{rotation['rows_done']} of {rotation['rows_total']} cards")


async def _edit_the_log(ours: Premises, story: VaultStory) -> None:
    folder = ours.folder / "auditor"
    folder.mkdir()

    async def sealed() -> bytes | None:
        await _command(ours, "audit", "dump", str(folder / "before.jsonl"), "--log", "vault")
        dumped = (folder / "before.jsonl").read_bytes()
        return dumped if TICKET.encode() in dumped else None

    lines = (await _wait(sealed, "the sealed log")).splitlines()
    is_whole, said = await _verify(ours, folder / "before.jsonl")
    if not is_whole:
        raise DemoFailed(f"kopeyka-verify refuses a log nobody edited: {said}")
    story.saw("the log, checked by kopeyka-verify alone", said.rsplit("; ", 1)[-1])
    number = _forge(ours)
    await _command(ours, "audit", "dump", str(folder / "after.jsonl"), "--log", "vault")
    is_whole, said = await _verify(ours, folder / "after.jsonl")
    if is_whole or f"line {number}" not in said:
        raise DemoFailed(f"kopeyka-verify did not find line {number} of {len(lines)}: {said}")
    found = said[said.index(f"line {number}") :].split("; ")[0]
    story.saw("the superuser edits who saw it, every hash too", f"found: {found}")


def _forge(ours: Premises) -> int:
    """Make the reveal somebody else's, with every hash the database keeps of it; the number of its line."""
    server = Server(data_dir.prepare(ours.folder / "data"))
    with psycopg.connect(server.url("postgres", "kopeyka_vault")) as connection:
        for table in ("audit_events", "audit_leaves"):  # only the superuser can
            connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER ALL").format(sql.Identifier(table)))
        events = connection.execute("SELECT xid::text, id, event FROM audit_events").fetchall()
        xid, number, event = next(row for row in events if b'"card.revealed"' in row[2] and TICKET.encode() in row[2])
        forged = re.sub(rb'"actor":"person:[^"]*"', b'"actor":"person:nobody"', event)
        leaf = leaf_hash(forged)
        place = {"xid": xid, "id": number, "event": forged, "leaf": leaf}
        connection.execute("UPDATE audit_events SET event = %(event)s WHERE xid = %(xid)s::xid8 AND id = %(id)s", place)
        changed = connection.execute(
            """UPDATE audit_leaves SET leaf = %(leaf)s WHERE event_xid = %(xid)s::xid8 AND event_id = %(id)s
               RETURNING idx""",
            place,
        ).fetchone()
    assert changed is not None, "what is dumped is sealed"
    return int(changed[0]) + 1


async def _verify(ours: Premises, dump: Path) -> tuple[bool, str]:
    """What the auditor's file says of a dump: whether it is whole, and its words."""
    keys = next((ours.folder / "data").rglob("kopeyka.vkeys"))
    witness = next((ours.folder / "data").rglob("sink-file/kopeyka-vault.jsonl"))
    given = ["verify-dump", str(dump), str(dump.with_suffix(".checkpoint")), str(keys), "--witness", str(witness)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, kopeyka_verify.__file__, *given,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode == 0, "; ".join(said.decode().split("\n")).strip("; ")


async def _command(ours: Premises, *words: str) -> str:
    """A command of ours on the installation's data directory. Raises: DemoFailed if it does not end well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api.cli.main", *words, "--data-dir", str(ours.folder / "data"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, complaint = await process.communicate()
    if process.returncode != 0:
        raise DemoFailed(f"kopeyka {' '.join(words[:3])}: {complaint.decode().strip()[-300:]}")
    return said.decode()


async def _post(api: Connection, path: str, body: Any) -> Any:
    answer = await api.ask("POST", path, body, {"idempotency-key": new_secret("demo-vault-")})
    _expect(answer.status in (200, 201), path, answer)
    return answer.json()


def _expect(is_so: bool, what: str, answer: Answer) -> None:
    if not is_so:
        raise DemoFailed(f"{what}: {answer.status} {answer.body[:300].decode('utf-8', 'replace')}")


async def _wait(look: Callable[[], Any], what: str) -> Any:
    deadline = monotonic() + WAIT_SECONDS_MAX
    while (found := await look()) is None:
        if monotonic() > deadline:
            raise DemoFailed(f"{what} did not come in {WAIT_SECONDS_MAX:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
    return found
