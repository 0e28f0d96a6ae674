"""``kopeyka vault keys init`` and ``reshare``: the ceremony, custodian after custodian, at one terminal.

No screen shows two shares, nothing is written but the key file and the record, and a share must be typed back in part
before the next custodian sits down. Source: PCI DSS 3.7.6.
"""

from __future__ import annotations

import asyncio
import getpass
import secrets
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from api import installation
from api.cli.options import DataDirOption
from api.data_dir import StartRefused
from api.settings import Mode, Settings
from api.vault_kek import context_of
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from pci.access.passwords import Passwords
from pci.database import Transactions
from pci.keys import custodians, kek_file, shares
from pci.keys.custodians import ACKNOWLEDGEMENT, Ceremony
from pci.keys.errors import CustodianRefused, ShareRefused
from pci.keys.kek_file import FileKek
from pci.keys.register import KeyDoing
from pci.keys.shares import SplitSecret
from pci.secret import Secret
from tokenization import ceremony
from tokenization.ceremony import CeremonyTerms, SeatedCustodian

CLEAR = "\x1b[2J\x1b[3J\x1b[H"
"""Empties the screen and what can be scrolled back to."""
WORDS_ASKED = 3
TRIES_MAX = 3

FileOption = Annotated[Path, typer.Option("--kek-file", help="The key file: outside the database's folder.")]
CustodianOption = Annotated[list[str], typer.Option("--custodian", help="A custodian's name; one option for each.")]
ThresholdOption = Annotated[int, typer.Option("--threshold", help="How many shares open the file; 2 at least.")]


@dataclass(frozen=True, slots=True)
class CeremonyRoom:
    """What the ceremony works with."""

    transactions: Transactions
    passwords: Passwords
    doing: KeyDoing


def init(
    kek_file_path: FileOption,
    custodian: CustodianOption,
    threshold: ThresholdOption = 2,
    data_dir: DataDirOption = None,
) -> None:
    """Make the vault's first KEK and a share of it for each custodian. At a terminal, with all of them present."""

    async def work(room: CeremonyRoom) -> Ceremony:
        return await meet(room, CeremonyTerms(kek_file_path, context(), threshold), custodian)

    refuse_no_terminal()
    finished(in_room(data_dir, work), kek_file_path)


def reshare(
    kek_file_path: FileOption,
    custodian: CustodianOption,
    threshold: ThresholdOption = 2,
    data_dir: DataDirOption = None,
) -> None:
    """Give the key file new shares, after enough old ones have opened it: a custodian left, or lost a share."""

    async def work(room: CeremonyRoom) -> Ceremony:
        kek = await opened(room, kek_file_path)
        return await meet(room, CeremonyTerms(kek_file_path, kek.file.context, threshold, kek.keks), custodian)

    refuse_no_terminal()
    finished(in_room(data_dir, work), kek_file_path)


def context() -> str:
    return context_of("live" if Settings().mode is Mode.PRODUCTION else "test")


def refuse_no_terminal() -> None:
    """A share that goes into a pipe lies in a file afterwards. Raises: StartRefused."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise StartRefused("A ceremony needs a terminal: shares must not go into a file or a pipe")


def in_room(data_dir: Path | None, work: object) -> Ceremony:
    """Run the ceremony on the vault's database."""

    async def run(url: str) -> Ceremony:
        engine = create_engine(url)
        doing = KeyDoing(f"operator:{getpass.getuser()}", "ceremony", machine_now())
        try:
            return await work(CeremonyRoom(partial(transaction, engine), Passwords(), doing))  # type: ignore[operator, no-any-return]
        finally:
            await engine.dispose()

    if url := Settings().vault_database_url.get_secret_value():
        return asyncio.run(run(url))
    with installation.databases(Settings(), data_dir) as databases:
        return asyncio.run(run(databases.vault))


async def meet(room: CeremonyRoom, terms: CeremonyTerms, names: list[str]) -> Ceremony:
    """Seat the custodians one after another, and make the file when each has their share."""
    ceremony.refuse_names(names)
    split = shares.split(terms.threshold, len(names))
    try:
        seated = [await seat(room, split, names, place) for place in range(len(names))]
    finally:
        print(CLEAR, end="", flush=True)
    return await ceremony.hold(room.transactions, terms, split, seated, room.doing)


async def seat(room: CeremonyRoom, split: SplitSecret, names: list[str], place: int) -> SeatedCustodian:
    """One custodian alone at the screen."""
    name = names[place]
    print(f"{CLEAR}Custodian {place + 1} of {len(names)}: {name}. Everybody else leaves the screen.\n")
    print(ACKNOWLEDGEMENT)
    if typer.prompt("Type your name to sign this").strip() != name:
        raise CustodianRefused("the name is not the custodian's: nothing was made")
    passphrase = Secret(typer.prompt("Choose a passphrase for unsealing", hide_input=True, confirmation_prompt=True))
    seated = await ceremony.seat(room.passwords, name, passphrase)
    show_share(split.shares[place])
    return seated


def show_share(share: Secret) -> None:
    """Show a share until it was written down and typed back in part."""
    words = share.expose().split()
    for _ in range(TRIES_MAX):
        print(f"{CLEAR}Write these {len(words)} words on paper, in this order:\n")
        for start in range(0, len(words), 3):
            print("   ".join(f"{start + n + 1:2} {word:<10}" for n, word in enumerate(words[start : start + 3])))
        typer.prompt("\nPress Enter when they are on paper", default="", show_default=False)
        print(CLEAR, end="", flush=True)
        if is_on_paper(words):
            return
    raise ShareRefused("the share was not written down: nothing was made")


def is_on_paper(words: list[str]) -> bool:
    """Whether a few words by number are typed as they were shown."""
    asked = sorted(secrets.SystemRandom().sample(range(len(words)), WORDS_ASKED))
    typed = [typer.prompt(f"Word {place + 1}").strip().lower() for place in asked]
    return typed == [words[place] for place in asked]


async def opened(room: CeremonyRoom, path: Path) -> FileKek:
    """The key file, opened here by enough of its custodians, or by its development passphrase.

    Raises: CustodianRefused, ShareRefused, PassphraseWrong.
    """
    kek = kek_file.load(path)
    if not kek.file.threshold:
        await kek.unseal_with_passphrase(Secret(typer.prompt("The key file's passphrase", hide_input=True)))
    while not kek.seal_state.is_ready:
        print(f"{CLEAR}The key file is {kek.seal_state}.")
        name = typer.prompt("Custodian")
        passphrase = Secret(typer.prompt("Passphrase", hide_input=True))
        known = await custodians.recognise(room.transactions, room.passwords, name, passphrase, room.doing)
        await kek.give_share(known.id, Secret(typer.prompt("Share", hide_input=True)), machine_now())
    return kek


def finished(held: Ceremony, path: Path) -> None:
    """Say what was made."""
    print(f"{path} opens with any {held.threshold} of {held.shares} shares. Ceremony {held.id} is in the log.")
