"""Unsealing: custodians come one by one, each with a passphrase and a share, until the key file opens."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pci.access.passwords import Passwords
from pci.audit_log.event import AuditOutcome
from pci.audit_log.staging import stage
from pci.errors import PciError
from pci.keys import custodians
from pci.keys.custodians import Ceremony, CeremonyKind, Custodian
from pci.keys.errors import KeyFileRefused
from pci.keys.kek import SealState
from pci.keys.kek_file import FileKek
from pci.keys.register import KeyDoing
from pci.secret import Secret
from tokenization.ids import new_id
from tokenization.vault import Vault


@dataclass(frozen=True, slots=True)
class GivenToUnseal:
    """What a custodian brings."""

    custodian: str
    """Their name."""
    passphrase: Secret
    share: Secret


async def give_share(vault: Vault, passwords: Passwords, given: GivenToUnseal, doing: KeyDoing) -> SealState:
    """Take one custodian's share. It is in the log before it is used, and again if it was refused.

    Raises: CustodianRefused, CustodianRepeated, ShareRefused, KeyFileRefused; SignInBusy.
    """
    kek = vault.ring.provider
    if not isinstance(kek, FileKek):
        raise KeyFileRefused("this vault's KEK is not in a file: nothing is to be unsealed")
    if kek.seal_state.is_ready:
        return kek.seal_state
    known = await custodians.recognise(vault.transactions, passwords, given.custodian, given.passphrase, doing)
    came = [*kek.given, known.id]
    async with vault.transactions() as session:
        await stage(session, [custodians.event("custodian.gave_share", known.id, doing)])
    try:
        state = await kek.give_share(known.id, given.share, doing.at)
    except PciError as refused:
        await _tell_refusal(vault, known, refused, doing)
        raise
    if state.is_ready:
        await _record(vault, kek, came, doing)
    return state


async def _tell_refusal(vault: Vault, known: Custodian, refused: PciError, doing: KeyDoing) -> None:
    told = custodians.event("custodian.share_refused", known.id, doing, why=refused.code)
    async with vault.transactions() as session:
        await stage(session, [replace(told, outcome=AuditOutcome.REFUSED)])


async def _record(vault: Vault, kek: FileKek, came: list[str], doing: KeyDoing) -> None:
    holders = [holder for holder in kek.file.holders if holder.custodian in came]
    ceremony = Ceremony(new_id("cer"), CeremonyKind.UNSEAL, kek.file.threshold, len(kek.file.holders), holders)
    async with vault.transactions() as session:
        await custodians.record(session, ceremony, doing)
