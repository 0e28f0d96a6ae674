from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.cli.main import app
from pci import pan_scanner
from pci.pan_allowed import AllowedPans, AllowListMalformed
from pci.pan_scanner import PanFinding, UnreadPlace, scan_path, scan_stream
from pci.pan_scanner_of_databases import scan_database
from tests.conftest import Database

MIR = "2200111753579001"
MASK = "220011******9001"
NOBODY = AllowedPans()


def zipped(name: str, inside: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, inside)
    return buffer.getvalue()


def tarred(name: str, inside: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(inside)
        archive.addfile(member, io.BytesIO(inside))
    return buffer.getvalue()


TEXT = f"first line\nsecond {MIR} line\n".encode()
PLACES = {
    "a text": (TEXT, ":line 2"),
    "binary": (b"\0\1\2#" + MIR.encode() + b"\xff", ":byte 4"),
    "UTF-16, little end first": (MIR.encode("utf-16-le"), ":byte 0"),
    "UTF-16, big end first": (b"\0 " + MIR.encode("utf-16-be"), ":byte 3"),
    "gzip": (gzip.compress(TEXT), "!:line 2"),
    "bzip2": (bz2.compress(TEXT), "!:line 2"),
    "xz": (lzma.compress(TEXT), "!:line 2"),
    "zip": (zipped("a.txt", TEXT), "!a.txt:line 2"),
    "tar in gzip": (gzip.compress(tarred("b.txt", TEXT)), "!!b.txt:line 2"),
    "zip in zip": (zipped("in.zip", zipped("c.txt", TEXT)), "!in.zip!c.txt:line 2"),
}


@pytest.mark.parametrize("dress", PLACES)
def test_a_card_number_is_found_in_every_kind_of_file(dress: str, tmp_path: Path) -> None:
    raw, place = PLACES[dress]
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_bytes(raw)

    (finding,) = scan_path(tmp_path, NOBODY)

    assert isinstance(finding, PanFinding)
    assert (finding.place, finding.mask, finding.scheme) == (f"{file}{place}", MASK, "mir")
    assert MIR not in repr(finding)


@given(before=st.integers(0, 700), size=st.integers(300, 500), spaced=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_edge_between_two_windows_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, before: int, size: int, spaced: bool
) -> None:
    monkeypatch.setattr(pan_scanner, "WINDOW_BYTES", size)
    number = "2200 1117 5357 9001" if spaced else MIR
    text = "\n" * before + number + "\n" * 400

    found = list(scan_stream(io.BytesIO(text.encode()), "it", NOBODY))

    assert [finding.place for finding in found] == [f"it:line {before + 1}"]


PATTERN = (
    ":constvalue 35 [ -116 0 0 0 94 40 91 97 45 122 93 123 51 125 95 91 48 45 57 65 45 90 97 45 122 93 123 49 44 52 48"
    " 125 41 63 36 ]"
)
"""``^([a-z]{3}_[0-9A-Za-z]{1,40})?$`` as PostgreSQL keeps it."""


@given(before=st.integers(0, 700), size=st.integers(300, 500))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_pattern_that_postgresql_keeps_is_no_card_number(
    monkeypatch: pytest.MonkeyPatch, before: int, size: int
) -> None:
    monkeypatch.setattr(pan_scanner, "WINDOW_BYTES", size)
    of_two_pages = PATTERN.replace(" 51 125", "\x19\xd1\x05 51 125")  # a page's head stands where the last one ended
    text = "x" * before + f"{PATTERN}}} :location -1}} {MIR} {of_two_pages}}}) :location" + "x" * 400

    found = list(scan_stream(io.BytesIO(text.encode("latin-1")), "it", NOBODY))

    assert [finding.mask for finding in found] == [MASK]
    bare = PATTERN.partition(" 0 0 0 ")[2].strip(" ]")
    assert list(scan_stream(io.BytesIO(bare.encode()), "it", NOBODY)) != []  # these would pass for one


def test_a_file_of_exactly_one_window_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pan_scanner, "WINDOW_BYTES", 500)
    text = "x" * 483 + " " + MIR

    assert len(list(scan_stream(io.BytesIO(text.encode()), "it", NOBODY))) == 1


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"PGDMP\1\2\3", "compressed dump"),
        (gzip.compress(TEXT)[:20], "gzip cannot be opened"),
        (b"PK\3\4 not really", "zip cannot be opened"),
        (zipped("1", zipped("2", zipped("3", zipped("4", zipped("5", TEXT))))), "nested deeper"),
    ],
    ids=["a dump", "a broken gzip", "a broken zip", "five zips in one another"],
)
def test_what_cannot_be_looked_into_is_told(raw: bytes, reason: str) -> None:
    (said,) = scan_stream(io.BytesIO(raw), "it", NOBODY)

    assert isinstance(said, UnreadPlace)
    assert reason in said.reason


def test_a_member_that_swells_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pan_scanner, "OPENED_BYTES_MAX", 1_000_000)

    (said,) = scan_stream(io.BytesIO(gzip.compress(b"\0" * 3_000_000)), "it", NOBODY)

    assert said == UnreadPlace("it!", "longer than 1000000 bytes")


def test_links_are_not_followed_and_what_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)

    assert list(scan_path(tmp_path, NOBODY)) == []
    assert list(scan_path(tmp_path / "nothing", NOBODY)) == [
        UnreadPlace(str(tmp_path / "nothing"), "No such file or directory")
    ]


def test_an_allow_list_lets_numbers_and_beginnings_lie() -> None:
    allowed = AllowedPans.read("# ours\n4242424242424242 of Visa\n\n2200 1117 * tokens of ours\n")

    found = list(scan_stream(io.BytesIO(f"4242424242424242 {MIR} 4111111111111111".encode()), "it", allowed))

    assert [finding.mask for finding in found if isinstance(finding, PanFinding)] == ["411111******1111"]


@pytest.mark.parametrize("line", ["*", "4*", "22001*", "hello", "4242*4242"])
def test_an_allow_list_that_says_nothing_is_refused_without_an_echo(line: str) -> None:
    with pytest.raises(AllowListMalformed) as refused:
        AllowedPans.read(f"\n{line}\n")

    assert refused.value.facts == {"line": 2}


COLUMNS = {
    "a": ("text", MIR),
    "b": ("varchar(40)", "2200 1117 5357 9001"),
    "c": ("jsonb", f'{{"deep": [{{"er": "{MIR}"}}]}}'),
    "d": ("bytea", b"\xff\0" + MIR.encode()),
    "e": ("bytea", MIR.encode("utf-16-le")),
    "f": ("bigint", int(MIR)),
    "g": ("numeric", int(MIR)),
    "h": ("text[]", ["nothing", MIR]),
    "i": ("tsvector", MIR),
}


def test_every_column_that_could_hold_a_number_is_searched(database: Database) -> None:
    types = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA odd; CREATE TABLE odd."Pläce" (id uuid, at timestamptz, {types})')
        places = ", ".join("%s" for _ in COLUMNS)
        connection.execute(
            f'INSERT INTO odd."Pläce" ({", ".join(COLUMNS)}) VALUES ({places})', [v for _, v in COLUMNS.values()]
        )

    with psycopg.connect(database.superuser_url) as connection:
        found = list(scan_database(connection, NOBODY))

    assert [getattr(finding, "mask", finding) for finding in found] == [MASK] * len(COLUMNS)
    assert [finding.place for finding in found] == [f"odd.Pläce.{name} (0,1)" for name in COLUMNS]


def test_a_deleted_row_that_the_planner_remembers_is_found(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
        connection.execute("INSERT INTO notes SELECT %s FROM generate_series(1, 50)", [f"card {MIR}"])
        connection.execute("ANALYZE notes")
        connection.execute("DELETE FROM notes")

    with psycopg.connect(database.superuser_url) as connection:
        (finding,) = scan_database(connection, NOBODY)

    assert finding.place == "statistics of public.notes.text"


def test_what_a_role_may_not_read_is_told(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE closed (text text)")

    with psycopg.connect(database.app_url) as connection:
        told = {finding.place: finding for finding in scan_database(connection, NOBODY)}

    assert told["public.closed.text"] == UnreadPlace("public.closed.text", "permission denied for table closed")


def test_a_migrated_database_has_no_card_number_in_it(database: Database) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        assert list(scan_database(connection, NOBODY)) == []


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["scan", *words])
    return result.exit_code, result.output


def test_the_command_ends_with_1_on_a_finding_and_never_prints_it(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(TEXT)
    allow = tmp_path / "allow"
    allow.write_text(f"{MIR}\n")

    code, said = run(str(file))
    as_json = run(str(file), "--json")

    assert (code, f"{file}:line 2: {MASK} (mir)" in said, MIR in said) == (1, True, False)
    assert (as_json[0], MIR in as_json[1], MASK in as_json[1]) == (1, False, True)
    assert run(str(file), "--allow", str(allow))[0] == 0
    assert run(str(tmp_path / "nothing"))[0] == 2
    assert run()[0] == 2


def test_the_command_searches_logs_of_the_data_directory_and_not_its_cluster(tmp_path: Path) -> None:
    for name in ("postgresql", "scratch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(TEXT)
    (tmp_path / "postgresql.log").write_bytes(TEXT)

    _, said = run("--logs", "--data-dir", str(tmp_path))

    assert said.count(MASK) == 2
    assert "postgresql/file" not in said


def test_the_command_searches_a_database(database: Database) -> None:
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE notes (text text)")
        connection.execute("INSERT INTO notes VALUES (%s)", [MIR])

    code, said = run("--db", database.superuser_url)

    assert (code, said.splitlines()[0]) == (1, f"public.notes.text (0,1): {MASK} (mir)")
