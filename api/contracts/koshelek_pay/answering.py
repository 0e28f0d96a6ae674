"""What every call of the contract does: let a till in, answer in the contract's form."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import Depends, Header

from api.answers import JSON, Answer
from api.contracts.koshelek_pay.bodies import PaymentType, TillBody
from api.contracts.koshelek_pay.entrance import merchant_id_of
from api.contracts.koshelek_pay.payments import TillPayment, TillPaymentStatus, payment_object
from api.contracts.koshelek_pay.terminals import prove_terminal, terminal_of
from api.door import Call
from api.plan_rail import shown_links
from api.terminals_key import terminals_key
from checkout.merchants import Terminal
from ledger.database import Session, in_transaction
from pci.redaction import redact_text

SOFTWARE_CHARACTERS_MAX = 64
"""What is kept of a program's name: as much as ``terminal_sightings`` holds."""


@dataclass(frozen=True, slots=True)
class TillProof:
    """By what a till proves itself, and which program it runs."""

    token: str | None
    software: str | None


def read_proof(
    token: Annotated[str | None, Header(max_length=100)] = None, user_agent: Annotated[str | None, Header()] = None
) -> TillProof:
    """The headers ``token`` and ``User-Agent``."""
    return TillProof(token, redact_text(user_agent or "")[:SOFTWARE_CHARACTERS_MAX].strip() or None)


Proof = Annotated[TillProof, Depends(read_proof)]


async def let_in(call: Call, body: TillBody, proof: TillProof) -> Terminal:
    """The till that calls. A refusal is no answer to the request: the same one with the next token may be let in.

    Raises: StoreUnknown, TerminalUnknown, TerminalKeyRefused, TerminalKeysNotConfigured, RateLimited.
    """
    house = terminals_key(call.door.settings)

    async def work(session: Session) -> Terminal:
        terminal = await terminal_of(session, merchant_id_of(call), body.storeId, body.terminalId)
        await prove_terminal(
            session, proof.token, terminal, house, call.door.guesses, software=proof.software, now=call.now
        )
        return terminal

    return await in_transaction(call.engine, work)


def answer_of(said: dict[str, Any], resource_id: str | None = None) -> Answer:
    """An object of the contract on its way out. The contract answers 200 to everything that succeeded."""
    return Answer(200, json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(), JSON, None, resource_id)


async def told(session: Session, call: Call, found: TillPayment) -> Answer:
    """A payment on its way out; who pays by a plan scans the plan's own link."""
    if found.payment_type == PaymentType.DOLYAME and found.status is TillPaymentStatus.WAITING:
        links = await shown_links(session, call.door.settings, [found.attempt_id])
        shown = links[found.attempt_id]
        found = replace(found, qrc_id=shown.qrc_id, payload=shown.payload)
    return answer_of(payment_object(found), found.order_id)
