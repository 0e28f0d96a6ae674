"""Files of cards: every line a card or a refusal, nothing twice whatever happens on the way, and no number told."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.database import transaction
from pci.keys.kek_file import FileKek
from pci.luhn import passes_luhn
from tests.card_world import MIR, NEIGHBOUR, SHOP, VISA, World
from tests.vault_world import PASSPHRASE
from tokenization import card_file, import_rows, importing
from tokenization.card import CardTerms
from tokenization.card_errors import ImportAdvanced, ImportFormUnknown
from tokenization.card_file import CardLine, RefusedLine
from tokenization.ending import CardDoing
from tokenization.import_rows import CardImport
from tokenization.importing import ImportJob

PROCESS = """
import asyncio, functools, sys
from datetime import datetime
from pathlib import Path
from ledger.database import create_engine, transaction
from pci.keys import kek_file
from pci.keys.ring import KeyRing
from pci.secret import Secret
from tokenization import importing
from tokenization.card import CardTerms
from tokenization.ending import CardDoing
from tokenization.importing import ImportJob

async def main(url, kek_path, passphrase, now, path, mapping, merchant_id):
    kek = kek_file.load(Path(kek_path))
    await kek.unseal_with_passphrase(Secret(passphrase))
    transactions = functools.partial(transaction, create_engine(url))
    ring = KeyRing(transactions, kek, env="test", origin="test")
    doing = CardDoing(merchant_id, "person:per_1", "import", datetime.fromisoformat(now))
    job = ImportJob(Path(path), CardTerms(merchant_id), doing, Path(mapping), batch=20)
    await importing.take_in(transactions, ring, job)

asyncio.run(main(*sys.argv[1:]))
"""


def numbers(count: int) -> list[str]:
    bodies = (f"22002200000{place:04}" for place in range(count))
    return [next(body + check for check in "0123456789" if passes_luhn(body + check)) for body in bodies]


def write(path: Path, rows: list[tuple[str, ...]], heading: str = "pan,expires_on,holder_name,reference") -> Path:
    text = "\r\n".join([heading, *(",".join(row) for row in rows)]) + "\r\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def job(world: World, path: Path, mapping: Path | None = None, batch: int = 3, merchant_id: str = SHOP) -> ImportJob:
    doing = CardDoing(merchant_id, "person:per_1", "req_1", world.now)
    return ImportJob(path, CardTerms(merchant_id), doing, mapping, batch)


async def take_in(world: World, this: ImportJob) -> CardImport:
    return await importing.take_in(world.transactions, world.ring, this)


def mapped(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def take_in_and_kill(world: World, path: Path, mapping: Path, lines: int) -> None:
    """Take a file in by a process of its own, and kill it when so many lines are committed."""
    kek = world.ring.provider
    assert isinstance(kek, FileKek)
    arguments = [world.database.vault_url, str(kek.path), PASSPHRASE.expose(), world.now.isoformat()]
    process = subprocess.Popen([sys.executable, "-c", PROCESS, *arguments, str(path), str(mapping), SHOP])
    try:
        end = time.monotonic() + 180
        while world.sql("SELECT coalesce(max(lines_done), 0) FROM card_imports")[0][0] < lines:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("name", ["cards.csv", "cards.csv.gz"])
async def test_a_file_is_taken_in_and_mapped_to_its_references(world: World, tmp_path: Path, name: str) -> None:
    known = await world.tokenize(numbers(7)[2])
    rows = [(number, "2028-12", "IVAN PETROV", f"client-{place}") for place, number in enumerate(numbers(7))]
    rows.append((numbers(7)[0], "12/28", "", "again"))
    path, mapping = write(tmp_path / name, rows), tmp_path / "mapping.csv"

    done = await take_in(world, job(world, path, mapping))

    assert (done.status, done.lines_done, done.cards_new, done.cards_known, done.refused) == ("finished", 8, 6, 2, 0)
    lines = mapped(mapping)
    assert [line["line"] for line in lines] == [str(number) for number in range(1, 9)]
    assert lines[2]["token"] == known.card.token
    assert lines[7]["token"] == lines[0]["token"]
    assert (await world.read(lines[4]["token"])).pan.expose() == numbers(7)[4]
    assert not [number for number in numbers(7) if number in mapping.read_text()]


async def test_objects_a_line_are_taken_in_too(world: World, tmp_path: Path) -> None:
    path = tmp_path / "cards.jsonl"
    path.write_text("\n".join(json.dumps({"pan": number, "expires_on": "2028-12"}) for number in numbers(3)))

    assert (await take_in(world, job(world, path))).cards_new == 3


async def test_every_refused_line_has_its_code_and_at_most_a_mask(world: World, tmp_path: Path) -> None:
    rows = [
        (MIR, "2028-12", "", "good"),
        ("4242424242424241", "2028-12", "", "bad check digit"),
        (VISA, "2020-01", "", "over"),
        ("30569309025904", "2028-12", "", "not taken"),
        (VISA, "2028-12", "", VISA),
        (VISA, "2028-12", VISA, "number for a name"),
        (VISA, "2028-12"),
        ("x" * 2_000, "2028-12", "", "long"),
    ]

    done = await take_in(world, job(world, write(tmp_path / "cards.csv", rows)))

    async with transaction(world.engine) as session:
        refused = await import_rows.refused_lines(session, done.id)
        by_code = await import_rows.refusals_by_code(session, done.id)
    assert refused == [
        RefusedLine(2, "vault.pan_malformed"),
        RefusedLine(3, "vault.card_expired", "424242******4242"),
        RefusedLine(4, "vault.scheme_unknown"),
        RefusedLine(5, "vault.import_reference_malformed", "424242******4242"),
        RefusedLine(6, "vault.holder_name_malformed", "424242******4242"),
        RefusedLine(7, "vault.import_line_malformed"),
        RefusedLine(8, "vault.import_line_malformed"),
    ]
    assert (done.cards_new, done.refused, sum(by_code.values())) == (1, 7, 7)


async def test_a_file_that_is_neither_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    path.write_text(f"{MIR};2028-12\n")

    with pytest.raises(ImportFormUnknown):
        await take_in(world, job(world, path))


async def test_each_batch_is_an_event_with_its_counts_and_no_number(world: World, tmp_path: Path) -> None:
    rows = [(number, "2028-12") for number in numbers(5)]
    done = await take_in(world, job(world, write(tmp_path / "cards.csv", rows, "pan,expires_on")))

    assert [event["facts"]["to_line"] for event in world.events("cards.imported")] == [3, 5]
    (finished,) = world.events("cards.import_finished")
    assert (finished["subject"], finished["facts"]) == (f"import:{done.id}", {"known": 0, "new": 5, "refused": 0})
    assert not [row for row in world.sql("SELECT event FROM audit_events") if numbers(1)[0].encode() in row[0]]


async def test_a_file_taken_in_changes_nothing_and_another_merchants_is_another(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "cards.csv", [(number, "2028-12") for number in numbers(4)], "pan,expires_on")
    first = await take_in(world, job(world, path))
    again = await take_in(world, job(world, path))
    foreign = await take_in(world, job(world, path, merchant_id=NEIGHBOUR))

    assert again == first
    assert (foreign.cards_new, foreign.id != first.id) == (4, True)
    assert world.sql("SELECT count(*) FROM cards") == [(8,)]


@pytest.mark.parametrize("terms", [CardTerms(SHOP, "club"), CardTerms(SHOP, wants_digits=True)])
async def test_a_file_taken_in_on_other_terms_is_taken_in_again(world: World, tmp_path: Path, terms: CardTerms) -> None:
    path = write(tmp_path / "cards.csv", [(number, "2028-12") for number in numbers(4)], "pan,expires_on")
    first = await take_in(world, job(world, path))

    again = await take_in(world, replace(job(world, path), terms=terms))
    once_more = await take_in(world, replace(job(world, path), terms=terms))

    assert again.id != first.id
    assert once_more == again
    ((scopes, digits),) = world.sql("SELECT count(DISTINCT fingerprint_scope), count(digits_token) FROM cards")
    assert (scopes, digits) == ((2, 0) if terms.scope else (1, 4))


async def test_two_who_take_in_the_same_file_do_not_count_a_line_twice(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "cards.csv", [(number, "2028-12") for number in numbers(30)], "pan,expires_on")

    ends = await asyncio.gather(*(take_in(world, job(world, path)) for _ in range(2)), return_exceptions=True)

    assert [end for end in ends if not isinstance(end, (CardImport, ImportAdvanced))] == []
    assert (await take_in(world, job(world, path))).cards_new == 30
    assert world.sql("SELECT count(*) FROM cards") == [(30,)]


async def test_killed_in_the_middle_it_goes_on_and_nothing_is_there_twice(world: World, tmp_path: Path) -> None:
    count = 2_000
    rows = [(number, "2028-12", "", f"client-{place}") for place, number in enumerate(numbers(count))]
    path, mapping = write(tmp_path / "cards.csv", rows), tmp_path / "mapping.csv"
    await asyncio.to_thread(take_in_and_kill, world, path, mapping, 200)
    ((half,),) = world.sql("SELECT lines_done FROM card_imports")

    done = await take_in(world, job(world, path, mapping, batch=500))

    assert 200 <= half < count
    assert (done.lines_done, done.cards_new, done.cards_known) == (count, count, 0)
    assert [line["reference"] for line in mapped(mapping)] == [f"client-{place}" for place in range(count)]
    assert world.sql("SELECT count(*) FROM cards") == [(count,)]


GOOD = f"{MIR},2028-12,a"
OBJECT = json.dumps({"pan": MIR, "expires_on": "2028-12"})


@pytest.mark.parametrize(
    ("first", "bad", "good"),
    [
        pytest.param("pan,expires_on,reference", f'{MIR},2028-12,"a', GOOD, id="an open quote"),
        pytest.param("pan,expires_on,reference", f'{MIR},2028-12,"a"b', GOOD, id="letters after a quote"),
        pytest.param("pan,expires_on,reference", f"{MIR},2028-12,a\rb", GOOD, id="half a line end"),
        pytest.param("pan,expires_on,reference", "\x00", GOOD, id="nothing that is written"),
        pytest.param(OBJECT, "[" * 990, OBJECT, id="a list of lists"),
        pytest.param(OBJECT, '{"a":' * 190, OBJECT, id="an object of objects"),
        pytest.param(OBJECT, '{"pan":' + "1" * 900 + "}", OBJECT, id="a long number"),
        pytest.param(OBJECT, '"', OBJECT, id="an open text"),
    ],
)
def test_one_broken_line_stops_nothing_and_swallows_no_card(
    now: datetime, tmp_path: Path, first: str, bad: str, good: str
) -> None:
    path = tmp_path / "cards"
    path.write_text("\n".join([first, good, bad, *[good] * 20, ""]), newline="")

    with card_file.opened(path) as file:
        lines = list(card_file.lines_of(file, now=now))

    assert [line.code for line in lines if isinstance(line, RefusedLine)] == ["vault.import_line_malformed"]
    assert sum(isinstance(line, CardLine) for line in lines) == 21 + (good == first)


def test_a_comma_or_a_quote_in_a_field_is_quoted(now: datetime, tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    path.write_text(f'pan,expires_on,reference\n{MIR},2028-12,"a, ""b"""\n')

    with card_file.opened(path) as file:
        (line,) = card_file.lines_of(file, now=now)

    assert isinstance(line, CardLine)
    assert line.reference == 'a, "b"'


def test_what_was_mapped_but_not_committed_is_cut_off(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.csv"
    importing._cut_mapping(mapping, 0)
    with mapping.open("ab") as file:
        file.write(b"1,a,tok_1,,1\r\n2,b,tok_2,,1\r\n3,c,tok_3,,1\r\n4,d,to")

    importing._cut_mapping(mapping, 2)

    assert [line["line"] for line in mapped(mapping)] == ["1", "2"]
    assert mapping.stat().st_mode & 0o777 == 0o600


def test_lines_are_read_from_where_one_stopped(world: World, tmp_path: Path) -> None:
    path = write(tmp_path / "cards.csv", [(number, "2028-12") for number in numbers(5)], "pan,expires_on")

    with card_file.opened(path) as file:
        rest = [line for line in card_file.lines_of(file, now=world.now, skip=3) if isinstance(line, CardLine)]

    assert [line.number for line in rest] == [4, 5]


@given(st.text("ab0, ;\t\"'\r\x00é", max_size=20).filter(str.strip), st.sampled_from(["", "\n", "\r\n", "\r"]))
def test_a_line_is_read_as_csv_reads_it(text: str, end: str) -> None:
    try:
        rows: list[list[str] | None] = list(csv.reader([text + end], strict=True))
    except csv.Error:
        rows = [None]

    assert card_file._record(text + end) == (rows[0] if len(rows) == 1 else None)
