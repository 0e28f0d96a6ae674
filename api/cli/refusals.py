"""What a command says when it is refused. Imported only then: it knows every library's errors."""

from __future__ import annotations

import psycopg
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from ledger.errors import KopeykaError
from pci.errors import PciError


def reason_of(error: Exception) -> str:
    """One line that says what to do; empty for what nobody refused."""
    match error:
        case KopeykaError() | PciError():
            facts = ", ".join(f"{name}: {value}" for name, value in error.facts.items())
            return f"{error}" + (f" ({facts})" if facts else "")
        case ValidationError():
            fault = error.errors()[0]
            return f"KOPEYKA_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
        case DBAPIError() | psycopg.Error():
            said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
            return f"PostgreSQL says: {said[0] if said else type(error).__name__}"
    return ""


def show(reason: str) -> None:
    """Say it where errors are read."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(reason, markup=False, style="red")
