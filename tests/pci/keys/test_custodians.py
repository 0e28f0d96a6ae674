"""Custodians: recognised by a passphrase, counted when wrong, bound to what they signed, let go when they leave."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime

import psycopg
import pytest

from ledger.database import Engine, transaction
from pci.access.errors import PasswordWeak
from pci.access.passwords import PasswordCost, Passwords
from pci.keys import custodians
from pci.keys.custodians import TRIES_MAX, Ceremony, CeremonyKind, Custodian
from pci.keys.errors import CustodianRefused
from pci.keys.key_file import ShareHolder
from pci.keys.register import KeyDoing
from pci.secret import Secret
from tests.conftest import VaultDatabase

PASSPHRASE = Secret("длинная фраза 42")
ANNA, BORIS = "cus_" + "A" * 24, "cus_" + "B" * 24


def doing(now: datetime) -> KeyDoing:
    return KeyDoing("person:per_1", "test", now)


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(PasswordCost(passes=1, memory_bytes=8_192))


async def enrol(engine: Engine, passwords: Passwords, now: datetime, *, signs: bool = True) -> None:
    verifier = await custodians.verifier_of(passwords, "Анна", PASSPHRASE)
    async with transaction(engine) as session:
        await custodians.enrol(session, ANNA, "Анна", verifier, doing(now))
        if signs:
            await custodians.acknowledge(session, ANNA, doing(now))


async def recognise(engine: Engine, passwords: Passwords, name: str, phrase: Secret, now: datetime) -> Custodian:
    transactions = functools.partial(transaction, engine)
    return await custodians.recognise(transactions, passwords, name, phrase, doing(now))


def told(database: VaultDatabase) -> Sequence[str]:
    """What is staged for the log, as the superuser sees it."""
    with psycopg.connect(database.superuser_url) as connection:
        return [
            line for (line,) in connection.execute("SELECT convert_from(event, 'UTF8') FROM audit_events ORDER BY id")
        ]


async def test_a_custodian_is_recognised(vault_engine: Engine, passwords: Passwords, now: datetime) -> None:
    await enrol(vault_engine, passwords, now)

    known = await recognise(vault_engine, passwords, "Анна", PASSPHRASE, now)

    assert (known.id, known.refusal()) == (ANNA, "")


@pytest.mark.parametrize("name", ["Анна", "Никто"])
async def test_a_wrong_passphrase_and_a_stranger_hear_the_same(
    vault_engine: Engine, vault_database: VaultDatabase, passwords: Passwords, now: datetime, name: str
) -> None:
    await enrol(vault_engine, passwords, now)

    with pytest.raises(CustodianRefused) as refused:
        await recognise(vault_engine, passwords, name, Secret("wrong passphrase 1"), now)

    assert (str(refused.value), refused.value.facts) == ("This custodian may not take part.", {})
    assert "custodian.refused" in told(vault_database)[-1]
    assert "wrong passphrase 1" not in "".join(told(vault_database))


async def test_ten_wrong_passphrases_lock_and_the_right_one_no_longer_helps(
    vault_engine: Engine, passwords: Passwords, now: datetime
) -> None:
    await enrol(vault_engine, passwords, now)
    for _ in range(TRIES_MAX):
        with pytest.raises(CustodianRefused):
            await recognise(vault_engine, passwords, "Анна", Secret("wrong"), now)

    with pytest.raises(CustodianRefused):
        await recognise(vault_engine, passwords, "Анна", PASSPHRASE, now)

    await enrol(vault_engine, passwords, now)
    assert (await recognise(vault_engine, passwords, "Анна", PASSPHRASE, now)).failed_tries == 0


async def test_who_has_not_signed_takes_no_part(vault_engine: Engine, passwords: Passwords, now: datetime) -> None:
    await enrol(vault_engine, passwords, now, signs=False)

    with pytest.raises(CustodianRefused):
        await recognise(vault_engine, passwords, "Анна", PASSPHRASE, now)


async def test_who_left_takes_no_part_and_shares_must_be_made_anew(
    vault_engine: Engine, passwords: Passwords, now: datetime
) -> None:
    await enrol(vault_engine, passwords, now)
    async with transaction(vault_engine) as session:
        await custodians.deactivate(session, ANNA, doing(now))
        everybody = await custodians.list_custodians(session)

    with pytest.raises(CustodianRefused):
        await recognise(vault_engine, passwords, "Анна", PASSPHRASE, now)
    assert custodians.must_be_split_again([ShareHolder(ANNA, 0), ShareHolder(BORIS, 1)], everybody) == [BORIS, "Анна"]
    async with transaction(vault_engine) as session:
        with pytest.raises(CustodianRefused):
            await custodians.deactivate(session, ANNA, doing(now))


@pytest.mark.parametrize("weak", ["short1", "onlyletterslong", "123456789012", "анна и 123456"])
async def test_a_weak_passphrase_is_refused(passwords: Passwords, weak: str) -> None:
    with pytest.raises(PasswordWeak):
        await custodians.verifier_of(passwords, "Анна", Secret(weak))


async def test_a_ceremony_leaves_a_record_and_a_line_for_each_who_came(
    vault_engine: Engine, vault_database: VaultDatabase, passwords: Passwords, now: datetime
) -> None:
    await enrol(vault_engine, passwords, now)
    ceremony = Ceremony("cer_" + "A" * 24, CeremonyKind.SPLIT, 2, 3, [ShareHolder(ANNA, 1)])

    async with transaction(vault_engine) as session:
        await custodians.record(session, ceremony, doing(now))

    lines = told(vault_database)
    assert [name for line in lines for name in ("ceremony.held", "ceremony.attended") if name in line] == [
        "ceremony.held",
        "ceremony.attended",
    ]
