"""The ceremony at a real terminal: no screen has two shares, and what was typed back opens the file."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from api.cli.vault_ceremony import CLEAR
from pci.keys import kek_file
from pci.keys.errors import ShareRefused
from pci.secret import Secret
from tests.conftest import VaultDatabase

NAMES = ("Анна", "Борис", "Вера")
PASSPHRASE = "длинная фраза 42"
SECONDS_MAX = 120
SHARE = re.compile(r"(?:[ \d]\d ([a-z]+) *(?:\r?\n)?){33}")


@dataclass
class Screen:
    """A program at a pseudo-terminal, and all that it showed."""

    process: subprocess.Popen[bytes]
    terminal: int
    shown: str = ""
    read_to: int = 0
    pages: list[str] = field(default_factory=list)

    def wait_for(self, text: str) -> str:
        """What is shown up to a text; fails when it does not come."""
        until = time.monotonic() + SECONDS_MAX
        while text not in self.shown[self.read_to :]:
            assert time.monotonic() < until, f"no {text!r} in {self.shown[self.read_to :]!r}"
            self.read_more(text)
        end = self.shown.index(text, self.read_to) + len(text)
        found, self.read_to = self.shown[self.read_to : end], end
        return found

    def read_more(self, wanted: str) -> None:
        if not select.select([self.terminal], [], [], 1)[0]:
            return
        try:
            self.shown += os.read(self.terminal, 65_536).decode(errors="replace")
        except OSError as error:  # the program ended
            raise AssertionError(f"ended before {wanted!r}: {self.shown[self.read_to :]!r}") from error

    def type(self, text: str) -> None:
        os.write(self.terminal, f"{text}\n".encode())


def start(path: Path, database: VaultDatabase, *names: str, what: str = "init") -> Screen:
    ours, theirs = pty.openpty()
    named = [option for name in names for option in ("--custodian", name)]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.cli.main", "vault", "keys", what, "--kek-file", str(path), *named],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"KOPEYKA_VAULT_DATABASE_URL": database.vault_url, "TERM": "xterm", "PYTHONUTF8": "1"},
    )  # fmt: skip
    os.close(theirs)
    return Screen(process, ours)


def sit_down(screen: Screen, name: str) -> str:
    """Do what a custodian does; returns their share."""
    screen.wait_for("Type your name")
    screen.type(name)
    screen.wait_for("Choose a passphrase for unsealing: ")
    screen.type(PASSPHRASE)
    screen.wait_for("Repeat for confirmation: ")
    screen.type(PASSPHRASE)
    page = screen.wait_for("Press Enter when they are on paper")
    words = dict(re.findall(r"(?:^|\s)(\d+) ([a-z]+)", page[page.rindex(CLEAR) :]))
    assert len(words) == 33
    screen.type("")
    for _ in range(3):
        screen.wait_for("Word ")
        number = screen.wait_for(":").strip(":").split()[-1]
        screen.type(words[number])
    return " ".join(words[str(number)] for number in range(1, 34))


def test_custodians_take_their_shares_one_by_one(vault_database: VaultDatabase, tmp_path: Path, now: datetime) -> None:
    path = tmp_path / "kek.json"
    screen = start(path, vault_database, *NAMES)

    shares = [sit_down(screen, name) for name in NAMES]
    screen.wait_for("opens with any 2 of 3 shares")
    assert screen.process.wait(SECONDS_MAX) == 0

    pages = screen.shown.split(CLEAR)
    assert [sum(all(word in page for word in share.split()) for share in shares) for page in pages].count(1) == 3
    assert not any(sum(all(word in page for word in share.split()) for share in shares) > 1 for page in pages)
    assert PASSPHRASE not in screen.shown
    os.close(screen.terminal)
    old = opens(path, dict(zip((2, 0), (shares[2], shares[0]), strict=True)), now)
    assert told_of(vault_database) == [(name, index) for index, name in enumerate(NAMES)]

    new = reshare(path, vault_database, {"Анна": shares[0], "Борис": shares[1]}, "Борис", "Вера")
    assert opens(path, dict(enumerate(new)), now) == old
    with pytest.raises(ShareRefused):
        opens(path, {0: shares[1], 1: shares[2]}, now)


def reshare(path: Path, database: VaultDatabase, given: dict[str, str], *names: str) -> list[str]:
    """Open the file with old shares and take new ones."""
    screen = start(path, database, *names, what="reshare")
    for name, share in given.items():
        screen.wait_for("Custodian: ")
        screen.type(name)
        screen.wait_for("Passphrase: ")
        screen.type(PASSPHRASE)
        screen.wait_for("Share: ")
        screen.type(share)
    new = [sit_down(screen, name) for name in names]
    screen.wait_for("opens with any 2 of 2 shares")
    assert screen.process.wait(SECONDS_MAX) == 0
    assert not any(share in screen.shown for share in given.values())
    os.close(screen.terminal)
    return new


def opens(path: Path, given: dict[int, str], now: datetime) -> bytes:
    """The KEK that these shares open, by their place."""
    kek = kek_file.load(path)
    assert path.stat().st_mode & 0o777 == 0o400

    async def give() -> None:
        for index, share in given.items():
            await kek.give_share(kek.file.holders[index].custodian, Secret(share), now)

    asyncio.run(give())
    assert kek.keks is not None
    return kek.keks.keys["1"].expose()


def told_of(database: VaultDatabase) -> list[tuple[str, int]]:
    """Who took which share and has signed, as the record says."""
    with psycopg.connect(database.superuser_url) as connection:
        return connection.execute(
            "SELECT name, share_index FROM ceremony_custodians JOIN custodians ON id = custodian_id"
            " JOIN acknowledgements USING (custodian_id) ORDER BY share_index"
        ).fetchall()


def test_a_name_that_is_not_the_custodians_ends_it_with_nothing_made(
    vault_database: VaultDatabase, tmp_path: Path
) -> None:
    screen = start(tmp_path / "kek.json", vault_database, *NAMES)
    screen.wait_for("Type your name")
    screen.type("Мария")

    screen.wait_for("nothing was made")
    assert screen.process.wait(SECONDS_MAX) == 1
    assert not (tmp_path / "kek.json").exists()
    os.close(screen.terminal)


@pytest.mark.parametrize("names", [["Анна", "анна "], ["Анна"]], ids=["one person twice", "one person alone"])
def test_one_person_is_not_enough(vault_database: VaultDatabase, tmp_path: Path, names: list[str]) -> None:
    screen = start(tmp_path / "kek.json", vault_database, *names)

    assert screen.process.wait(SECONDS_MAX) == 1
    assert not (tmp_path / "kek.json").exists()
    os.close(screen.terminal)


def test_a_ceremony_into_a_pipe_is_refused(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "api.cli.main", "vault", "keys", "init", "--kek-file", str(tmp_path / "kek.json"),
         "--custodian", "a", "--custodian", "b"],
        capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (1, "")
    assert "terminal" in ran.stderr
