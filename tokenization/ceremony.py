"""The ceremony: custodians meet, each takes a share and signs, and the key file opens with their shares from then on.

Shares exist on one screen at a time and then on paper; the file and the record are made when all have theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pci.access.passwords import Passwords
from pci.database import Session, Transactions
from pci.keys import custodians, key_file
from pci.keys.custodians import Ceremony, CeremonyKind
from pci.keys.errors import CustodianRefused, KeyFileRefused
from pci.keys.key_file import KeyFile, KeyFileCost, OpenKeks, ShareHolder
from pci.keys.register import KeyDoing
from pci.keys.shares import SplitSecret
from pci.secret import Secret
from tokenization.ids import new_id


@dataclass(frozen=True, slots=True)
class SeatedCustodian:
    """Somebody who has come, has signed, and has chosen a passphrase."""

    name: str
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CeremonyTerms:
    """What the ceremony makes."""

    path: Path
    context: str
    threshold: int
    keks: OpenKeks | None = None
    """The KEKs of a file that gets new shares; a first file gets a new one."""
    cost: KeyFileCost = field(default_factory=KeyFileCost)


async def seat(passwords: Passwords, name: str, passphrase: Secret) -> SeatedCustodian:
    """Take a custodian's passphrase.

    Raises: PasswordWeak; SignInBusy.
    """
    return SeatedCustodian(name, await custodians.verifier_of(passwords, name, passphrase))


def refuse_names(names: Sequence[str]) -> None:
    """One person takes one seat.

    Raises: CustodianRefused.
    """
    if len({name.strip().casefold() for name in names}) != len(names) or not all(name.strip() for name in names):
        raise CustodianRefused("each custodian is another person, with a name of their own")


async def hold(
    transactions: Transactions,
    terms: CeremonyTerms,
    split: SplitSecret,
    seated: Sequence[SeatedCustodian],
    doing: KeyDoing,
) -> Ceremony:
    """Write the key file and the record of who took which share: both or neither.

    Raises: KeyFileRefused; CustodianRefused.
    """  # fmt: skip
    refuse_names([one.name for one in seated])
    assert len(seated) == len(split.shares), "a share for each who came"
    before = await asyncio.to_thread(_read_before, terms)
    made = await asyncio.to_thread(
        key_file.new_file, split.secret,
        context=terms.context, cost=terms.cost, threshold=terms.threshold, keks=terms.keks,
    )  # fmt: skip
    try:
        async with transactions() as session:
            ceremony = await _record(session, terms, seated, doing)
            key_file.write(terms.path, replace(made, holders=tuple(ceremony.holders)))
    except BaseException:
        _put_back(terms.path, before)
        raise
    return ceremony


def _read_before(terms: CeremonyTerms) -> KeyFile | None:
    if not terms.path.exists():
        return None
    if terms.keks is None:
        raise KeyFileRefused("there is a key file already: give it new shares instead", path=str(terms.path))
    return key_file.read(terms.path)


def _put_back(path: Path, before: KeyFile | None) -> None:
    if before is None:
        path.unlink(missing_ok=True)
    else:
        key_file.write(path, before)


async def _record(
    session: Session, terms: CeremonyTerms, seated: Sequence[SeatedCustodian], doing: KeyDoing
) -> Ceremony:
    holders = []
    for index, one in enumerate(seated):
        await custodians.enrol(session, new_id("cus"), one.name, one.verifier, doing)
        known = await custodians.find(session, one.name)
        await custodians.acknowledge(session, known.id, doing)
        holders.append(ShareHolder(known.id, index))
    ceremony = Ceremony(new_id("cer"), CeremonyKind.SPLIT, terms.threshold, len(holders), holders)
    await custodians.record(session, ceremony, doing)
    return ceremony
