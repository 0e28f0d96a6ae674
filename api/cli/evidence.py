"""``kopeyka evidence``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from api import installation
from api.cli.components import ROOT
from api.cli.options import DataDirOption
from api.cli.segtest import premises_of
from api.data_dir import default_path
from api.evidence_probes import allowed_of, listed, scanned, segment_tested
from api.installation import Databases
from api.settings import Settings
from ledger.clock import machine_now
from ledger.database import create_engine, transaction
from pci.audit_log.staging import stage
from pci.database import Session
from pci.evidence.control import Where
from pci.evidence.controls import CONTROLS
from pci.evidence.pack import EvidencePack, PackTerms, check_pack, event_of, make_pack
from pci.evidence.results import ControlResult, ControlStatus, ProbeResult, check_all
from pci.evidence.signing import open_evidence_key

FAILING = 1
QUARTER = timedelta(days=92)


def evidence(
    output: Annotated[Path | None, typer.Argument(metavar="[OUT.zip]", help="Where the pack goes.")] = None,
    since: Annotated[datetime | None, typer.Option("--from", help="First day; a quarter ago by default.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="The day after the last; now by default.")] = None,
    check: Annotated[Path | None, typer.Option("--check", help="Check a pack instead of making one.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="With --check: the file evidence.pub you trust.")] = None,
    allow: Annotated[Path | None, typer.Option("--allow", help="Numbers that are no finding, as for scan.")] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make (or check) a signed pack of evidence for an assessor. Code 1: something does not hold."""
    if check is not None:
        show_checked(check, key)
    elif output is None:
        raise typer.BadParameter("say where the pack goes: OUT.zip")
    else:
        now = machine_now()
        terms = PackTerms(as_utc(since) or now - QUARTER, as_utc(until) or now, now, version())
        results, pack = make(terms, data_dir, allow)
        output.write_bytes(pack.raw)
        show_made(output, results, pack)


def version() -> str:
    """The release and a digest of every source in it."""
    import hashlib
    from importlib import metadata

    from pci.evidence.components import PRODUCT, own

    digest = hashlib.sha256("".join(part.sha256 for part in own(ROOT)).encode()).hexdigest()
    return f"{metadata.version(PRODUCT)}+{digest[:12]}"


def as_utc(at: datetime | None) -> datetime | None:
    """A day given on the command line."""
    return at.replace(tzinfo=UTC) if at is not None else None


def make(terms: PackTerms, path: Path | None, allow: Path | None) -> tuple[list[ControlResult], EvidencePack]:
    """Ask, try, sign, and put the pack's hash into the log."""
    from pci.evidence.components import own, third_party  # the extra `sbom`
    from pci.evidence.sbom import cyclonedx

    settings = Settings()
    folder = path or settings.data_dir or default_path()
    components = third_party(ROOT)
    with installation.databases(settings, path) as databases:
        allowed = allowed_of(allow)
        probes = {
            "scan_vault": scanned(databases.vault_migrator or databases.vault, allowed),
            "scan_books": scanned(databases.migrator or databases.app, allowed),
            "segtest": segment_tested(premises_of(databases, settings, folder)),
            "sbom": listed(components),
        }
        sbom = cyclonedx(components, own(ROOT), now=terms.made_at)
        key = open_evidence_key(folder / "evidence")
        return asyncio.run(collect(databases, probes, lambda results: make_pack(results, sbom, terms, key), terms))


async def collect(
    databases: Databases,
    probes: dict[str, ProbeResult],
    packed: Callable[[list[ControlResult]], EvidencePack],
    terms: PackTerms,
) -> tuple[list[ControlResult], EvidencePack]:
    """Every control's result, the pack, and its event in the vault's log (in the books' without a vault)."""
    urls = {
        Where.VAULT: databases.vault_migrator or databases.vault,
        Where.BOOKS: databases.migrator or databases.app,
    }
    async with AsyncExitStack() as stack:
        sessions: dict[Where, Session] = {}
        for where, url in urls.items():
            if url:
                engine = create_engine(url, statement_timeout_ms=0)
                stack.push_async_callback(engine.dispose)
                sessions[where] = await stack.enter_async_context(transaction(engine))
        results = await check_all(CONTROLS, sessions, probes, since=terms.since, until=terms.until)
        pack = packed(results)
        event = event_of(pack, terms, actor=f"operator:{os.getuid()}", origin=f"evidence:{os.getpid()}")
        await stage(sessions.get(Where.VAULT) or sessions[Where.BOOKS], [event])
    return results, pack


def show_made(output: Path, results: list[ControlResult], pack: EvidencePack) -> None:
    """What was made, and what does not hold."""
    counts = ", ".join(f"{count} {status}" for status, count in sorted(pack.counts.items()))
    typer.echo(f"{output}: {counts}\nsha256 {pack.sha256}\nsigned by {pack.public_key}")
    failing = [result for result in results if result.status is ControlStatus.FAILING]
    for result in failing:
        typer.echo(f"failing: {result.control.requirement}: {result.rows_total} rows", err=True)
    raise typer.Exit(FAILING if failing else 0)


def show_checked(path: Path, key: Path | None) -> None:
    """Whether a pack is whole and signed."""
    manifest = check_pack(path.read_bytes(), key.read_text("utf-8") if key else "")
    typer.echo(f"{path}: whole, {len(manifest['files'])} files, {manifest['since']} to {manifest['until']}")
    typer.echo(f"sha256 {manifest['sha256']}\nsigned by {manifest['public_key']}")
