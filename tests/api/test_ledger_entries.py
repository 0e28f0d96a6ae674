from __future__ import annotations

from tests.api.conftest import Client, new_key, sale


async def test_an_entry_is_booked_over_http(client: Client, accounts: tuple[str, str]) -> None:
    answer = await client.post("/v1/ledger/entries", sale(accounts))

    assert answer.status_code == 201, answer.text
    assert answer.json()["postings"][0]["debit_balance"] == 149_990
    assert answer.headers["location"].endswith(answer.json()["id"])


async def test_the_same_key_again_gives_the_same_bytes(client: Client, accounts: tuple[str, str]) -> None:
    key = new_key()
    first = await client.post("/v1/ledger/entries", sale(accounts), key=key)

    again = await client.post("/v1/ledger/entries", sale(accounts), key=f'"{key}"')

    assert again.content == first.content
    assert again.status_code == first.status_code == 201
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request-id"] == first.headers["request-id"]
