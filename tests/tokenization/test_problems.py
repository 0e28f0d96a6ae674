"""Every error of the vault and its rules has a code, every code a status, and the door passes each of them on."""

from __future__ import annotations

import importlib
import pkgutil

import pci
import tokenization
from api import problems as of_the_door
from api.errors import VaultRefused, VaultUnavailable
from tokenization import problems


def test_the_table_knows_every_code_and_no_other() -> None:
    for package in (pci, tokenization):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    ours = {error.code for error in problems.every_error() if not error.__module__.startswith("tests")}

    assert ours | {problems.INTERNAL} == set(problems.STATUS)


def test_every_status_is_one_that_the_door_uses_too() -> None:
    assert set(problems.STATUS.values()) <= set(of_the_door.STATUS.values()) | {402, 410}


def test_what_the_vault_refuses_leaves_the_door_with_its_own_code_and_status() -> None:
    refused = VaultRefused("vault.card_session_used", "once", {"token": "tok_1"}, [{"pointer": "/pan", "detail": "no"}])

    found = of_the_door.document(refused, "request-1")

    assert (found["code"], found["status"], found["detail"]) == ("vault.card_session_used", 409, "once")
    assert found["title"] == "A card was entered in this form already: each form takes one."
    assert (found["facts"], found["errors"]) == ({"token": "tok_1"}, [{"pointer": "/pan", "detail": "no"}])
    sealed = VaultUnavailable("keys.sealed")
    assert (of_the_door.status_of(sealed), sealed.retryable) == (503, True)
    assert of_the_door.retry_after(sealed, 503) == 1


def test_a_code_of_the_vault_that_the_door_has_never_heard_of_is_a_bug_and_not_a_success() -> None:
    assert of_the_door.status_of(VaultRefused("vault.new", "")) == 500
