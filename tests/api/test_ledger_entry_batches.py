"""A batch answers the same bytes whichever way its answer was put together."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from api.problems import to_bytes
from api.routes.ledger_entry_batches import _all_booked, _expected, _item, _summary
from ledger.entry import Booked, Entry, Posting
from ledger.ids import new_uuids
from ledger.money import Kopecks
from tests.api.conftest import Client, sale

REFERENCES = ["order:1", 'with "quotes" \\ and Кириллица', "a" * 200]


@pytest.mark.parametrize(
    "recorded_at", [datetime(2026, 11, 22, 9, 0, 0, 123456, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)]
)
def test_what_was_expected_reads_as_what_the_verdicts_say(recorded_at: datetime) -> None:
    entries = [
        Entry(reference, "sale", recorded_at, (Posting("asset:a:b", "income:a:b", Kopecks(1)),))
        for reference in REFERENCES
    ]
    ids = new_uuids(recorded_at, len(entries))

    expected = [_expected(entry, one) for entry, one in zip(entries, ids, strict=True)]
    items = [_item(entry, Booked(one, recorded_at, ())) for entry, one in zip(entries, ids, strict=True)]

    assert _all_booked(expected, recorded_at) == to_bytes(_summary(items))


async def test_a_batch_is_booked_then_replayed_then_partly_refused(client: Client, accounts: tuple[str, str]) -> None:
    batch: dict[str, Any] = {"atomic": False, "entries": [sale(accounts, f"order:{n}") for n in range(3)]}

    booked = (await client.post("/v1/ledger/entry-batches", batch)).json()
    replayed = (await client.post("/v1/ledger/entry-batches", batch)).json()
    batch["entries"][1] |= {"kind": "other"}
    mixed = (await client.post("/v1/ledger/entry-batches", batch)).json()

    assert (booked["booked"], replayed["replayed"], mixed["replayed"], mixed["refused"]) == (3, 3, 2, 1)
    assert [item["id"] for item in booked["items"]] == [item["id"] for item in replayed["items"]]
    assert [item["recorded_at"] for item in booked["items"]] == [item["recorded_at"] for item in replayed["items"]]
    for item in booked["items"]:
        kept = (await client.get(f"/v1/ledger/entries/{item['id']}")).json()
        assert (kept["reference"], kept["recorded_at"]) == (item["reference"], item["recorded_at"])
