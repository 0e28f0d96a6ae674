"""The command line. Every refusal is one line that says what to do."""

from __future__ import annotations

import sys

import psycopg
import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from api.cli import (
    audit,
    bench,
    certify,
    clock,
    components,
    demo,
    dolyame,
    evidence,
    explain,
    export,
    keys,
    migrate,
    openapi,
    partners,
    plans,
    points,
    retention,
    sbp,
    scan,
    segtest,
    stores,
    up,
    vault,
    verify,
)
from ledger.errors import KopeykaError
from pci.errors import PciError

app = typer.Typer(
    name="kopeyka",
    help="Kopeyka: a payments and BNPL core. Start with `kopeyka demo` or `kopeyka up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(up.up)
app.command()(migrate.migrate)
app.command()(verify.verify)
app.command()(explain.explain)
app.command()(export.export)
app.command()(scan.scan)
app.command()(segtest.segtest)
app.command()(evidence.evidence)
app.command()(components.sbom)
app.command()(components.affected)
app.add_typer(keys.app, name="keys")
app.add_typer(clock.app, name="clock")
app.add_typer(vault.app, name="vault")
app.add_typer(audit.app, name="audit")
app.add_typer(bench.app, name="bench")
app.add_typer(retention.app, name="retention")
app.add_typer(sbp.app, name="sbp")
app.add_typer(plans.app, name="plans")
app.add_typer(points.app, name="points")
app.add_typer(stores.app, name="stores")
app.add_typer(dolyame.app, name="dolyame")
app.add_typer(partners.app, name="partners")
app.command()(certify.certify)
app.command()(openapi.openapi)


def main() -> None:
    """Run the command line; what the rules refuse ends with code 1 and one line."""
    try:
        app()
    except (KopeykaError, PciError) as refusal:
        facts = ", ".join(f"{name}: {value}" for name, value in refusal.facts.items())
        fail(f"{refusal}" + (f" ({facts})" if facts else ""))
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        fail(f"KOPEYKA_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}")
    except (DBAPIError, psycopg.Error) as error:
        said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
        fail(f"PostgreSQL says: {said[0] if said else type(error).__name__}")
    except KeyboardInterrupt:
        sys.exit(130)


def fail(reason: str) -> None:
    """Say why, in one line, and end with code 1."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(reason, markup=False, style="red")
    sys.exit(1)


if __name__ == "__main__":
    main()
