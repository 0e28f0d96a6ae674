"""A control: what one requirement of PCI DSS asks, what we do about it, and how that shows itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Claim(StrEnum):
    """Whose business a requirement is."""

    SOFTWARE = "software"
    """The product does it, and proves it by a query, a probe or a test."""
    OPERATOR = "operator"
    """People, premises, networks: the product may help and cannot do it."""
    NOT_MET = "not_met"
    """The product should, and does not yet."""


class Look(StrEnum):
    """What a query's rows mean."""

    NO_ROWS = "no_rows"
    """Each row is a failure."""
    LISTED = "listed"
    """Rows are what an assessor asks to see."""
    EXPECTED = "expected"
    """The same, and that there are none is a failure."""


class Where(StrEnum):
    """Which database is asked."""

    VAULT = "vault"
    BOOKS = "books"


@dataclass(frozen=True, slots=True)
class Control:
    """One line of the matrix. Queries may name ``:since`` and ``:until``, the period of a pack."""

    requirement: str
    """Its number in PCI DSS v4.0.1: ``3.2.1``; a letter after it where there are several controls."""
    asks: str
    """In our own words, in Russian: people read it."""
    does: str
    claim: Claim = Claim.SOFTWARE
    test: str = ""
    """The test that breaks when this does: ``tests/…/test_x.py::test_y``."""
    query: str = ""
    look: Look = Look.NO_ROWS
    where: Where = Where.VAULT
    probe: str = ""
    """What is tried or computed instead of a query: ``scan_vault``, ``scan_books``, ``segtest``, ``sbom``."""
