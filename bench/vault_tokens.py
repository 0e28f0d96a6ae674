"""Rows of ``bench vault`` about cards and tokens. Every baseline runs on the same server in the same run, in turns."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psycopg
import uvloop

from api.card_commit import cards_together, reads_together
from api.postgres import Server
from bench import servers, vault_world
from bench.rows import Row, faster
from bench.vault_world import MERCHANT, BenchVault
from ledger.clock import machine_now, monotonic
from pci.keys import rotation as rotations
from pci.keys.register import KeyDoing
from pci.keys.rotation import RotationKind, RotationStatus
from pci.luhn import passes_luhn
from pci.pan import Pan
from tokenization import cards, importing, rotating, together
from tokenization.card import CardDetails, CardTerms
from tokenization.card_use import CardPurpose, CardUse
from tokenization.cards import CardAsk, CardIn
from tokenization.ending import CardDoing
from tokenization.importing import ImportJob

ROUNDS = 3
ROUND_SECONDS = 3
TOKENIZING_CALLERS = 8
READING_CALLERS = 4
READS_AT_ONCE = 64
CARDS_MADE = 60_000
"""More than a round can keep, made before it starts."""
IMPORTED = 60_000
BATCH = 1_000
SMALL_CARDS, GROWN_CARDS = 10_000, 1_000_000
LOOKUPS = 4_000
LOOKUP_TURNS = 7
EXPIRES = "2029-12"
PLAIN_TABLE = """
    CREATE TABLE plain_cards (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, token text NOT NULL, card bytea);
    GRANT ALL ON plain_cards TO PUBLIC
"""
PLAIN_INSERT = "INSERT INTO plain_cards (token, card) VALUES (gen_random_uuid(), decode(repeat('ab', 230), 'hex'))\n"
PLAIN_SELECT = "\\set n random(1, 1000)\nSELECT token, card FROM plain_cards WHERE number = :n\n"
TWIN = "CREATE TABLE twin_cards (LIKE cards INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)"
TWIN_CHECKED = """
    CREATE TRIGGER twin_rows_are_whole BEFORE INSERT OR UPDATE ON twin_cards
        FOR EACH ROW EXECUTE FUNCTION card_is_whole()"""


def rows() -> list[Row]:
    """Every row."""
    with servers.durable_server() as server:
        vault_world.make_vault(server)
        with psycopg.connect(server.url("postgres", vault_world.DATABASE), autocommit=True) as connection:
            connection.execute(PLAIN_TABLE)
        measured = uvloop.run(_on_one_vault(server))
        return [*measured, uvloop.run(_lookup_growth(server))]


async def _on_one_vault(server: Server) -> list[Row]:
    async with vault_world.opened(server) as vault:
        return [
            await tokenize_8(vault),
            *await detokenize_4(vault),
            *await import_and_rotation(vault),
        ]


def numbers(seed: int) -> Iterator[str]:
    """Numbers of cards that nobody has, in no order."""
    chance = random.Random(seed)
    while True:
        body = f"2200{chance.randrange(10**11):011}"
        yield body + next(check for check in "0123456789" if passes_luhn(body + check))


async def tokenize_8(vault: BenchVault) -> Row:
    """Eight callers at once, each with the next new card as soon as the last is committed, with its event."""
    ours, theirs = [], []
    for turn in range(ROUNDS):
        theirs.append(await _plain_rate(vault, PLAIN_INSERT, TOKENIZING_CALLERS))
        ours.append(await _tokenize(vault, turn))
    against = "one-row INSERTs of the same width by pgbench, 8 clients, prepared, one primary key, no event"
    return faster("tokenize_8", median(ours), median(theirs), 0.6, "cards/s", against)


async def _plain_rate(vault: BenchVault, script: str, clients: int) -> float:
    return await asyncio.to_thread(
        servers.script_rate, vault.server, script, database=vault.database, clients=clients, seconds=ROUND_SECONDS
    )


async def _tokenize(vault: BenchVault, turn: int) -> float:
    waiting = iter([_card(number, "bench") for number in islice(numbers(turn), CARDS_MADE)])  # not charged to us
    done = 0

    async def call() -> None:
        nonlocal done
        while monotonic() < end:
            await together.tokenize(queue, vault.ring, next(waiting), now=machine_now())
            done += 1

    async with cards_together(vault.url, vault.transactions, vault.ring, now=machine_now) as queue:
        start = monotonic()
        end = start + ROUND_SECONDS
        await asyncio.gather(*(call() for _ in range(TOKENIZING_CALLERS)))
    return done / (monotonic() - start)


def _card(number: str, origin: str) -> CardIn:
    return CardIn(CardDetails(Pan(number), EXPIRES), CardTerms(MERCHANT), "service:api", origin)


async def detokenize_4(vault: BenchVault) -> list[Row]:
    """Four callers at once, with many tokens a call as a collection run has them, and with one; the log names each."""
    tokens = _tokens(vault)
    many, one, theirs = [], [], []
    for _ in range(ROUNDS):
        theirs.append(await _plain_rate(vault, PLAIN_SELECT, READING_CALLERS))
        many.append(await _read(vault, tokens, READS_AT_ONCE))
        one.append(await _read(vault, tokens, 1))
    against = "one-row SELECTs by primary key by pgbench, 4 clients, prepared; no opening, no event"
    baseline = median(theirs)
    return [
        faster("detokenize_4", median(many), baseline, 0.3, "cards/s", f"{against}; {READS_AT_ONCE} tokens a call"),
        faster("detokenize_4_alone", median(one), baseline, 0.0, "cards/s", f"{against}; each waits for its own fsync"),
    ]


def _tokens(vault: BenchVault) -> list[str]:
    with vault.superuser() as connection:
        return [row[0] for row in connection.execute("SELECT token FROM cards WHERE merchant_id = %s", (MERCHANT,))]


async def _read(vault: BenchVault, tokens: Sequence[str], at_once: int) -> float:
    chance = random.Random(1)
    use = CardUse(CardPurpose.CHARGE, "recurring", 100, "RUB")
    done = 0

    async def call() -> None:
        nonlocal done
        while monotonic() < end:
            asks = [
                CardAsk(token, MERCHANT, use, "service:worker", "run") for token in chance.choices(tokens, k=at_once)
            ]
            opened = await queue.submit(asks)
            assert len(opened) == at_once
            done += at_once

    async with reads_together(vault.url, vault.ring, now=machine_now) as queue:
        start = monotonic()
        end = start + ROUND_SECONDS
        await asyncio.gather(*(call() for _ in range(READING_CALLERS)))
    return done / (monotonic() - start)


async def import_and_rotation(vault: BenchVault) -> list[Row]:
    """A file taken in, and then all its cards sealed anew, against bare COPY and UPDATE of the same rows."""
    imported, copied, rotated, updated = [], [], [], []
    for turn in range(ROUNDS - 1):
        _empty(vault)
        imported.append(await _import(vault, turn))
        copied.append(await asyncio.to_thread(_copy, vault))
        updated.append(await asyncio.to_thread(_update, vault))
        rotated.append(await _rotate(vault))
    like = "a table with the same indexes and checks, one connection"
    return [
        faster("import", median(imported), median(copied), 0.4, "cards/s", f"COPY of the same rows into {like}"),
        faster("dek_rotation", median(rotated), median(updated), 0.5, "cards/s",
               f"UPDATE of one column in batches of {BATCH:,} in {like}"),
    ]  # fmt: skip


def _empty(vault: BenchVault) -> None:
    with vault.superuser() as connection:
        connection.execute("TRUNCATE cards, card_import_refusals, card_imports CASCADE")
        connection.execute("DROP TABLE IF EXISTS twin_cards")
        connection.execute("CHECKPOINT")


async def _import(vault: BenchVault, turn: int) -> float:
    source = numbers(100 + turn)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cards.csv"
        lines = (f"{next(source)},{EXPIRES},client-{place}\n" for place in range(IMPORTED))
        path.write_text("pan,expires_on,reference\n" + "".join(lines))
        doing = CardDoing(MERCHANT, "person:per_1", "bench", machine_now())
        start = monotonic()
        done = await importing.take_in(
            vault.transactions, vault.ring, ImportJob(path, CardTerms(MERCHANT), doing, Path(folder) / "mapping.csv")
        )
        seconds = monotonic() - start
    assert done.lines_done == IMPORTED
    return IMPORTED / seconds


def _copy(vault: BenchVault) -> float:
    """COPY of the very rows that were imported."""
    with vault.superuser() as connection:
        connection.execute(TWIN)
        connection.execute(TWIN_CHECKED)
        with connection.cursor().copy("COPY cards TO STDOUT") as out:
            laid = [bytes(part) for part in out]
        connection.execute("CHECKPOINT")
        start = monotonic()
        with connection.cursor().copy("COPY twin_cards FROM STDIN") as into:
            for place in range(0, len(laid), BATCH):
                into.write(b"".join(laid[place : place + BATCH]))
        return len(laid) / (monotonic() - start)


def _update(vault: BenchVault) -> float:
    """Every sealed number written again, as it is."""
    with vault.superuser() as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT min(number), max(number) FROM twin_cards").fetchone()
        assert row is not None
        first, last = int(row[0]), int(row[1])
        start = monotonic()
        for place in range(first, last + 1, BATCH):
            connection.execute(
                "UPDATE twin_cards SET key_number = 2, pan_sealed = pan_sealed"
                " WHERE merchant_id = %s AND number BETWEEN %s AND %s",
                (MERCHANT, place, place + BATCH - 1),
            )
        return (last - first + 1) / (monotonic() - start)


async def _rotate(vault: BenchVault) -> float:
    with vault.superuser() as connection:
        connection.execute("CHECKPOINT")
    now = machine_now()
    rotation = await rotating.begin(
        vault.transactions, vault.ring, RotationKind.CARD, MERCHANT, KeyDoing("person:per_1", "bench", now)
    )
    start = monotonic()
    while await rotating.turn_all(vault.transactions, vault.ring, now=machine_now(), origin="bench"):
        pass
    seconds = monotonic() - start
    async with vault.transactions() as session:
        done = await rotations.find(session, rotation.id)
    assert (done.status, done.rows_done) == (RotationStatus.DONE, IMPORTED)
    return IMPORTED / seconds


async def _lookup_growth(server: Server) -> Row:
    """The 99th of 100 look-ups of a card by its token, on few cards and on many, in turns."""
    small, grown = "vault_small", "vault_grown"
    for database, count in ((small, SMALL_CARDS), (grown, GROWN_CARDS)):
        vault_world.make_vault(server, database)
        lay_cards(server, database, count)
    few: list[float] = []
    many: list[float] = []
    async with (
        vault_world.opened(server, small, connections=2) as small_vault,
        vault_world.opened(server, grown, connections=2) as grown_vault,
    ):
        for _ in range(LOOKUP_TURNS):
            few.append(await _lookup_p99(small_vault, SMALL_CARDS))
            many.append(await _lookup_p99(grown_vault, GROWN_CARDS))
    return faster(
        "lookup_growth",
        1 / median(many),
        1 / median(few),
        0.75,
        "look-ups/s at the p99",
        f"the same on {SMALL_CARDS:,} cards",
    )


async def _lookup_p99(vault: BenchVault, count: int) -> float:
    chance = random.Random(1)
    seconds = []
    async with vault.transactions() as session:
        for place in range(LOOKUPS + LOOKUPS // 10):
            token = laid_token(chance.randrange(1, count + 1))
            start = monotonic()
            await cards.find_card(session, token, MERCHANT)
            if place >= LOOKUPS // 10:
                seconds.append(monotonic() - start)
    return sorted(seconds)[LOOKUPS * 99 // 100]


def laid_token(place: int) -> str:
    """The token of a card that ``lay_cards`` laid."""
    return "tok_" + hashlib.md5(str(place).encode(), usedforsecurity=False).hexdigest()[:25]


def lay_cards(server: Server, database: str, count: int) -> None:
    """Cards made by SQL: what they hold is nothing."""
    with psycopg.connect(server.url("postgres", database), autocommit=True) as connection:
        connection.execute(
            """INSERT INTO cards (tokenized_at, changed_at, key_number, fingerprint_key, digits, merchant_id, token,
                                  first6, last4, scheme, expires, fingerprint_scope, fingerprint_id, fingerprint,
                                  pan_sealed)
               SELECT now(), now(), 1, 1, 16, %(merchant)s, 'tok_' || left(md5(i::text), 25), '220011', '0000', 'mir',
                      '2029-12', %(merchant)s, 'fpr_' || left(md5(i::text), 25), sha256(i::text::bytea),
                      decode(repeat('ab', 50), 'hex')
                 FROM generate_series(1, %(count)s) AS i""",
            {"merchant": MERCHANT, "count": count},
        )
        connection.execute("VACUUM ANALYZE cards")
        connection.execute("CHECKPOINT")
