"""Showing one card number: for a reason, within the day's share or four eyes, and never without its line in the log."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from itertools import product

import httpx
import psycopg
import pytest
import pytest_asyncio

from ledger.database import Engine
from tests.conftest import VaultDatabase
from tests.pci.access.world import events
from tests.tokenization.people_world import MIR, VISA, Desk, make_desk, terms
from tokenization.enumeration import UNKNOWN_MAX
from tokenization.ids import new_id
from tokenization.reveal_errors import RevealRequestOver
from tokenization.reveal_requests import ALLOWED, OPEN_FOR, RevealRequestStatus, advance

REVEALS = "/vault/v1/reveals"
REQUESTS = "/vault/v1/reveal-requests"


@pytest_asyncio.fixture
async def desk(vault_engine: Engine, now: datetime) -> Desk:
    return await make_desk(vault_engine, now)


async def shown(browser: httpx.AsyncClient, token: str, **other: str) -> httpx.Response:
    return await browser.post(REVEALS, json=terms(token, **other))


async def spend(desk: Desk, browser: httpx.AsyncClient, token: str) -> None:
    """Use up the day's share."""
    for _ in range(desk.vault.settings.reveals_per_day):
        assert (await shown(browser, token)).status_code == 201


async def asked(browser: httpx.AsyncClient, token: str, **other: str) -> str:
    answer = await browser.post(REQUESTS, json=terms(token, **other))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize("where", ["searched", "shown", "asked for"])
async def test_a_person_who_guesses_tokens_waits_as_a_caller_does(
    desk: Desk, vault_database: VaultDatabase, where: str
) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    bodies = {"searched": lambda t: {"token": t}, "shown": terms, "asked for": terms}
    path = {"searched": "/vault/v1/card-searches", "shown": REVEALS, "asked for": REQUESTS}[where]

    missed = [await olga.post(path, json=bodies[where](new_id("tok"))) for _ in range(UNKNOWN_MAX - 1)]
    last = await olga.post(path, json=bodies[where](new_id("tok")))
    then = await shown(olga, token)

    assert {answer.status_code for answer in missed} == {200 if where == "searched" else 404}
    assert code_of(last) == code_of(then) == (429, "vault.too_many_unknown_tokens")
    assert events(vault_database.superuser_url)[-1]["action"] == "tokens.guessed"


async def test_one_number_is_shown_with_a_reason_and_the_log_had_it_first(
    desk: Desk, vault_database: VaultDatabase
) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])

    answer = await shown(olga, token)

    assert (answer.status_code, answer.json()) == (
        201, {"token": token, "card_number": MIR, "expires": "2029-10", "scheme": "mir"},
    )  # fmt: skip
    assert "no-store" in answer.headers["cache-control"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    read, revealed = events(vault_database.superuser_url)[-2:]
    assert (read["action"], read["facts"]) == ("card.read", {"purpose": "reveal"})
    assert (revealed["action"], revealed["subject"], revealed["actor"]) == (
        "card.revealed", f"card:{token}", f"person:{desk.people['olga']}",
    )  # fmt: skip
    assert {"reason": "chargeback", "ticket": "SUP-1042"}.items() <= revealed["facts"].items()
    assert revealed["origin"].startswith("192.0.2.7 req_")


async def test_no_line_in_the_log_no_number(desk: Desk, vault_database: VaultDatabase) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute("REVOKE INSERT ON audit_events FROM kopeyka_vault")

    answer = await shown(olga, token)

    assert answer.status_code == 500
    assert MIR not in answer.text
    with psycopg.connect(vault_database.superuser_url) as connection:
        assert connection.execute("SELECT count(*) FROM reveals").fetchone() == (0,)


async def test_a_commit_that_fails_shows_nothing(desk: Desk, vault_database: VaultDatabase) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute(
            "CREATE FUNCTION no_commit() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE CONSTRAINT TRIGGER at_the_commit AFTER INSERT ON reveals DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION no_commit()"
        )

    answer = await shown(olga, token)

    assert answer.status_code >= 500
    assert MIR not in answer.text


REFUSED = {
    "no such reason": ({"reason": "curiosity"}, (422, "vault.reveal_terms_rejected")),
    "no ticket": ({"ticket": ""}, (422, "vault.reveal_terms_rejected")),
    "a card for a ticket": ({"ticket": MIR}, (422, "vault.reveal_terms_rejected")),
    "a card in groups for a ticket": ({"ticket": "2200-1117-5357-9001"}, (422, "vault.reveal_terms_rejected")),
    "a made-up token": ({"token": "tok_" + "a" * 25}, (404, "vault.token_not_found")),
    "a card for a token": ({"token": MIR}, (404, "vault.token_not_found")),
    "a list of tokens": ({"token": ["a", "b"]}, (422, "vault.request_invalid")),
    "an unknown field": ({"all": True}, (422, "vault.request_invalid")),
    "somebody's request": ({"request_id": "rvr_" + "a" * 26}, (404, "vault.reveal_request_unknown")),
    "no request": ({"request_id": "\t"}, (404, "vault.reveal_request_unknown")),
}


@pytest.mark.parametrize(("other", "refusal"), REFUSED.values(), ids=REFUSED)
async def test_refusals_show_nothing_and_are_in_the_log(
    desk: Desk, vault_database: VaultDatabase, other: dict[str, str], refusal: tuple[int, str]
) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])

    answer = await shown(olga, **({"token": token} | other))

    assert code_of(answer) == refusal
    assert MIR not in answer.text
    if refusal[1] != "vault.request_invalid":
        last = events(vault_database.superuser_url)[-1]
        assert (last["action"], last["outcome"], last["facts"]["code"]) == ("card.revealed", "refused", refusal[1])
        assert MIR not in str(last)


async def test_beyond_the_days_share_a_second_person_approves_once(desk: Desk) -> None:
    token, olga, vera = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("vera", ["security_officer"]),
    )
    await spend(desk, olga, token)
    assert code_of(await shown(olga, token)) == (403, "vault.approval_needed")
    request_id = await asked(olga, token)

    assert code_of(await shown(olga, token, request_id=request_id)) == (409, "vault.reveal_request_over")
    approved = await vera.post(f"{REQUESTS}/{request_id}/approvals")
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    assert code_of(await shown(olga, token, request_id=request_id, ticket="SUP-9")) == (
        409, "vault.reveal_request_other",
    )  # fmt: skip
    assert (await shown(olga, token, request_id=request_id)).json()["card_number"] == MIR
    assert code_of(await shown(olga, token, request_id=request_id)) == (409, "vault.reveal_request_over")
    assert code_of(await shown(olga, token)) == (403, "vault.approval_needed")


async def test_the_share_comes_back_after_a_day_and_is_each_persons_own(desk: Desk) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    await spend(desk, olga, token)

    assert (await shown(await desk.sign_in("boris", ["support"]), token)).status_code == 201
    desk.wait(timedelta(hours=23, minutes=59))
    assert code_of(await shown(await relogin(desk, "olga"), token)) == (403, "vault.approval_needed")
    desk.wait(timedelta(minutes=2))
    assert (await shown(await relogin(desk, "olga"), token)).status_code == 201


async def relogin(desk: Desk, login: str) -> httpx.AsyncClient:
    """The same person, signed in again by the verb: the page is tested elsewhere."""
    from pci.access import repository, sign_ins
    from tokenization.sign_in_cookie import COOKIE

    async with desk.vault.transactions() as session:
        person = await repository.find(session, desk.people[login])
        _, token = await sign_ins.open_sign_in(session, desk.vault.ring, person, origin="test", now=desk.now)
    browser = desk.browser()
    browser.cookies.set(COOKIE, token.expose())
    return browser


async def test_two_at_the_same_moment_are_not_both_the_last_of_the_day(desk: Desk) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])

    answers = await asyncio.gather(*(shown(olga, token) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [403] * 4


async def test_one_approval_used_twice_at_the_same_moment_shows_once(desk: Desk) -> None:
    token, olga, vera = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("vera", ["security_officer"]),
    )
    request_id = await asked(olga, token)
    await vera.post(f"{REQUESTS}/{request_id}/approvals")

    answers = await asyncio.gather(*(shown(olga, token, request_id=request_id) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_two_who_decide_at_the_same_moment_decide_once(desk: Desk, vault_database: VaultDatabase) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    vera, igor = await desk.sign_in("vera", ["security_officer"]), await desk.sign_in("igor", ["security_officer"])
    request_id = await asked(olga, token)

    answers = await asyncio.gather(
        vera.post(f"{REQUESTS}/{request_id}/approvals"), igor.post(f"{REQUESTS}/{request_id}/refusals")
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    decided = [event for event in events(vault_database.superuser_url) if event["action"].startswith("card.reveal_")]
    assert sorted(event["outcome"] for event in decided) == ["done", "done", "refused"]


async def test_nobody_approves_their_own_request_even_when_roles_changed_meanwhile(desk: Desk) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    admin, vera = await desk.sign_in("root", ["admin"]), await desk.sign_in("vera", ["security_officer"])
    request_id = await asked(olga, token)
    path, roles = f"/vault/v1/people/{desk.people['olga']}", ["security_officer"]
    assert (await admin.put(f"{path}/roles", json={"roles": roles, "reason": "moved"})).status_code == 200
    assert code_of(await olga.post(f"{REQUESTS}/{request_id}/approvals")) == (401, "access.sign_in_needed")
    assert (await vera.post(f"{path}/confirmations", json={"roles": roles})).status_code == 200
    desk.wait(timedelta(seconds=30))
    olga = await desk.sign_in_again("olga")

    assert code_of(await olga.post(f"{REQUESTS}/{request_id}/approvals")) == (403, "access.own_request")


@pytest.mark.parametrize("late", ["approval", "showing"])
async def test_a_quarter_of_an_hour_is_all_there_is(desk: Desk, late: str) -> None:
    token, olga, vera = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("vera", ["security_officer"]),
    )
    request_id = await asked(olga, token)
    desk.wait(timedelta(minutes=10))
    assert (await olga.get(REQUESTS)).json()["reveal_requests"][0]["status"] == "requested"
    if late == "showing":
        assert (await vera.post(f"{REQUESTS}/{request_id}/approvals")).status_code == 200
    else:
        await vera.get(REQUESTS)
    desk.wait(OPEN_FOR - timedelta(minutes=10))

    if late == "showing":
        answer = await shown(olga, token, request_id=request_id)
    else:
        answer = await vera.post(f"{REQUESTS}/{request_id}/approvals")

    assert code_of(answer) == (409, "vault.reveal_request_over")
    assert (await olga.get(REQUESTS)).json()["reveal_requests"] == []


async def test_a_refused_request_shows_nothing(desk: Desk) -> None:
    token, olga, vera = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("vera", ["security_officer"]),
    )
    request_id = await asked(olga, token)

    assert (await vera.post(f"{REQUESTS}/{request_id}/refusals")).json()["status"] == "refused"
    assert code_of(await shown(olga, token, request_id=request_id)) == (409, "vault.reveal_request_over")


async def test_anothers_approval_is_nobodys(desk: Desk) -> None:
    token, olga, vera = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("vera", ["security_officer"]),
    )
    boris = await desk.sign_in("boris", ["support"])
    request_id = await asked(olga, token)
    await vera.post(f"{REQUESTS}/{request_id}/approvals")

    assert code_of(await shown(boris, token, request_id=request_id)) == (404, "vault.reveal_request_unknown")


def test_the_square_of_statuses() -> None:
    for status, to in product(RevealRequestStatus, RevealRequestStatus):
        if to in ALLOWED[status]:
            assert advance(status, to) is to
        else:
            with pytest.raises(RevealRequestOver):
                advance(status, to)


async def test_a_search_answers_masks_only_and_is_in_the_log(desk: Desk, vault_database: VaultDatabase) -> None:
    mir, visa = await desk.card(), await desk.card(VISA, "2030-01", "mer_other")
    olga = await desk.sign_in("olga", ["support"])

    by_token = await olga.post("/vault/v1/card-searches", json={"token": mir})
    by_digits = await olga.post("/vault/v1/card-searches", json={"last4": "4242", "expires_on": "2030-01"})
    nothing = await olga.post("/vault/v1/card-searches", json={"last4": "4242", "expires_on": "2030-02"})

    assert [card["mask"] for card in by_token.json()["cards"]] == ["220011******9001"]
    assert [(card["token"], card["merchant_id"]) for card in by_digits.json()["cards"]] == [(visa, "mer_other")]
    assert nothing.json() == {"cards": []}
    assert MIR not in by_token.text + by_digits.text
    told = [event for event in events(vault_database.superuser_url) if event["action"] == "card.searched"]
    assert [event["facts"]["found"] for event in told] == [1, 1, 0]


@pytest.mark.parametrize(
    "body",
    [{}, {"last4": "4242"}, {"last4": "424", "expires_on": "2030-01"}, {"last4": "4242", "expires_on": "01/30"}],
)
async def test_a_search_needs_enough_to_go_by(desk: Desk, body: dict[str, str]) -> None:
    olga = await desk.sign_in("olga", ["support"])

    assert (await olga.post("/vault/v1/card-searches", json=body)).status_code == 422


async def test_people_see_what_they_were_shown_and_auditors_what_everybody_was(desk: Desk) -> None:
    token, olga, boris = (
        await desk.card(),
        await desk.sign_in("olga", ["support"]),
        await desk.sign_in("boris", ["support"]),
    )
    await shown(olga, token)
    await shown(boris, token, ticket="SUP-2")

    own, everybody = await olga.get(REVEALS), await (await desk.sign_in("anna", ["auditor"])).get(REVEALS)

    assert [(one["login"], one["mask"]) for one in own.json()["reveals"]] == [("olga", "220011******9001")]
    assert {one["login"] for one in everybody.json()["reveals"]} == {"olga", "boris"}
    assert MIR not in own.text + everybody.text


async def test_a_card_that_is_gone_is_not_shown(desk: Desk, vault_database: VaultDatabase) -> None:
    token, olga = await desk.card(), await desk.sign_in("olga", ["support"])
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute(
            "UPDATE cards SET status = 'deleted', ended_at = now(), pan_sealed = NULL, key_number = NULL,"
            " fingerprint = NULL, fingerprint_key = NULL"
        )

    assert code_of(await shown(olga, token)) == (410, "vault.token_deleted")


async def test_a_row_that_was_swapped_shows_nothing_and_the_log_says_it_failed(
    desk: Desk, vault_database: VaultDatabase
) -> None:
    token, other = await desk.card(), await desk.card(VISA)
    olga = await desk.sign_in("olga", ["support"])
    with psycopg.connect(vault_database.superuser_url) as connection:
        connection.execute(
            "UPDATE cards SET pan_sealed = (SELECT pan_sealed FROM cards WHERE token = %s) WHERE token = %s",
            [other, token],
        )

    answer = await shown(olga, token)

    assert (answer.status_code, VISA in answer.text, MIR in answer.text) == (500, False, False)
    read = [event for event in events(vault_database.superuser_url) if event["action"] == "card.read"]
    assert [(event["outcome"], event["facts"]["code"]) for event in read] == [("failed", "vault.card_tampered")]
