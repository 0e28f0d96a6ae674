"""Where stores are: the merchant's own numbers and regions, one by one or by a whole list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert

from checkout import repository, tables
from checkout.errors import StoreNotFound, StoreNumberTaken
from checkout.premises import StorePlace
from checkout.store_lists import ListedStore
from checkout.telling import TillActor, tell
from ledger.database import Session, text
from ledger.ids import new_id


@dataclass(frozen=True, slots=True)
class StoreListOutcome:
    """What a list has brought."""

    opened: int
    changed: int
    unchanged: int
    terminals_added: int


async def place_store(
    session: Session, store_id: str, *, number: str, region: str | None, merchant_id: str | None, by: TillActor,
    now: datetime,
) -> StorePlace:  # fmt: skip
    """Say a store's number and region. Raises: StoreNotFound, StoreNumberTaken. Locks: the store's place."""
    store = await repository.load_store(session, store_id)
    if merchant_id not in (None, store.merchant_id):
        raise StoreNotFound(store_id=store_id)
    await _lock_list(session, store.merchant_id)
    taken = await session.scalar(
        text("SELECT store_id FROM store_places WHERE merchant_id = :merchant_id AND number = :number"),
        {"merchant_id": store.merchant_id, "number": number},
    )
    if taken not in (None, store_id):
        raise StoreNumberTaken(number=number, store_id=taken)
    place = StorePlace(store_id, store.merchant_id, number, region, now)
    await _save_places(session, [place])
    facts = {"number": number, "region": region or ""}
    await tell(session, "store.placed", store_id, store.merchant_id, by, facts, now=now)
    return place


async def place_of(session: Session, store_id: str) -> StorePlace | None:
    """Where a store is, if its merchant said so."""
    row = (await session.execute(text("SELECT * FROM store_places WHERE store_id = :id"), {"id": store_id})).first()
    return None if row is None else StorePlace(**row._mapping)


async def take_store_list(
    session: Session, merchant_id: str, listed: Sequence[ListedStore], *, by: TillActor, now: datetime
) -> StoreListOutcome:
    """Open the stores of a list that are new, change those that are told otherwise, and add their tills.

    A store that the list does not name stays as it is: a list of one city closes nothing in another. The same list
    again changes nothing. Raises: MerchantNotFound. Locks: the merchant's list of stores.
    """
    await repository.load_merchant(session, merchant_id)
    await _lock_list(session, merchant_id)
    known = await _known(session, merchant_id)
    fresh = [line for line in listed if line.number not in known]
    ids = {line.number: new_id("sto", now) for line in fresh}
    changed = [line for line in listed if line.number in known and known[line.number].differs(line)]
    await _open_stores(session, merchant_id, ids, fresh, now)
    await _rewrite_stores(session, known, changed)
    ids |= {line.number: known[line.number].store_id for line in changed}
    places = [StorePlace(ids[line.number], merchant_id, line.number, line.region, now) for line in (*fresh, *changed)]
    await _save_places(session, places)
    added = await _add_terminals(session, merchant_id, known, ids, listed, now)
    outcome = StoreListOutcome(len(fresh), len(changed), len(listed) - len(fresh) - len(changed), added)
    facts = {"opened": outcome.opened, "changed": outcome.changed, "terminals_added": added, "lines": len(listed)}
    await tell(session, "store_list.taken", merchant_id, merchant_id, by, facts, now=now)
    return outcome


@dataclass(frozen=True, slots=True)
class _KnownStore:
    store_id: str
    name: str
    address: str
    region: str | None
    terminals: int

    def differs(self, line: ListedStore) -> bool:
        return (self.name, self.address, self.region) != (line.name, line.address, line.region)


async def _lock_list(session: Session, merchant_id: str) -> None:
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 20))"), {"id": merchant_id})


async def _known(session: Session, merchant_id: str) -> dict[str, _KnownStore]:
    rows = await session.execute(
        text("""SELECT p.number, s.id, s.name, s.address, p.region,
                       (SELECT count(*) FROM terminals AS t WHERE t.store_id = s.id) AS terminals
                  FROM store_places AS p JOIN stores AS s ON s.id = p.store_id WHERE p.merchant_id = :merchant_id"""),
        {"merchant_id": merchant_id},
    )
    return {row.number: _KnownStore(row.id, row.name, row.address, row.region, row.terminals) for row in rows}


async def _open_stores(
    session: Session, merchant_id: str, ids: dict[str, str], fresh: Sequence[ListedStore], now: datetime
) -> None:
    if fresh:
        await session.execute(
            insert(tables.stores),
            [
                {"id": ids[line.number], "merchant_id": merchant_id, "name": line.name, "address": line.address,
                 "created_at": now}
                for line in fresh
            ],
        )  # fmt: skip


async def _rewrite_stores(session: Session, known: dict[str, _KnownStore], changed: Sequence[ListedStore]) -> None:
    if changed:
        await session.execute(
            text("""UPDATE stores AS s SET name = n.name, address = n.address
                      FROM unnest(CAST(:ids AS text[]), CAST(:names AS text[]), CAST(:addresses AS text[]))
                           AS n (id, name, address) WHERE s.id = n.id"""),
            {
                "ids": [known[line.number].store_id for line in changed],
                "names": [line.name for line in changed],
                "addresses": [line.address for line in changed],
            },
        )


async def _save_places(session: Session, places: Sequence[StorePlace]) -> None:
    if places:
        await session.execute(
            text("""INSERT INTO store_places (store_id, merchant_id, number, region, changed_at)
                    SELECT n.* , CAST(:now AS timestamptz)
                      FROM unnest(CAST(:ids AS text[]), CAST(:merchants AS text[]), CAST(:numbers AS text[]),
                                  CAST(:regions AS text[])) AS n
                    ON CONFLICT (store_id) DO UPDATE
                       SET number = excluded.number, region = excluded.region, changed_at = excluded.changed_at"""),
            {
                "ids": [place.store_id for place in places],
                "merchants": [place.merchant_id for place in places],
                "numbers": [place.number for place in places],
                "regions": [place.region for place in places],
                "now": places[0].changed_at,
            },
        )


async def _add_terminals(
    session: Session, merchant_id: str, known: dict[str, _KnownStore], ids: dict[str, str],
    listed: Sequence[ListedStore], now: datetime,
) -> int:  # fmt: skip
    """Tills up to the listed number; there are never fewer than before."""
    wanted = []
    for line in listed:
        store = known.get(line.number)
        store_id = ids[line.number] if store is None else store.store_id
        for number in range(1 if store is None else store.terminals + 1, line.tills + 1):
            wanted.append({
                "id": new_id("ter", now), "store_id": store_id, "merchant_id": merchant_id,
                "name": f"Касса {number}", "created_at": now,
            })  # fmt: skip
    if wanted:
        await session.execute(insert(tables.terminals), wanted)
    return len(wanted)
