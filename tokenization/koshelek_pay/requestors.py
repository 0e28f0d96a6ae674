"""Token requestors: wallets of merchants that may put cards on devices, each by a number of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pci.audit_log.event import AuditEvent
from pci.audit_log.staging import stage
from pci.database import Session
from tokenization.ids import random_below
from tokenization.koshelek_pay import repository
from tokenization.koshelek_pay.device_messages import checked_jwk
from tokenization.koshelek_pay.device_token import DeviceDoing, Requestor
from tokenization.koshelek_pay.errors import RequestorTaken
from tokenization.koshelek_pay.statuses import PayChannel

SERVICE_DIGITS = "643"
"""Of this token service. Source: EMV payment tokenisation: of a requestor's id the first three are the service's."""
DRAWS_MAX = 20


@dataclass(frozen=True, slots=True)
class RequestorTerms:
    """What a requestor may do."""

    merchant_id: str
    name: str
    channels: frozenset[PayChannel]
    amount_kopecks_max: int
    tokens_max: int
    public_jwk: Mapping[str, Any] | None = None


async def register(session: Session, terms: RequestorTerms, doing: DeviceDoing) -> Requestor:
    """Let a merchant's wallet ask for tokens. The same name under the same terms is the same requestor.

    Raises: RequestorTaken under other terms; DeviceKeyRefused if its key is not one.
    """
    jwk = None if terms.public_jwk is None else checked_jwk(terms.public_jwk)
    known = await _find(session, terms)
    if known is not None:
        return _same(known, terms, jwk)
    for _ in range(DRAWS_MAX):
        requestor = _new(terms, jwk)
        if await repository.add_requestor(session, requestor, doing.now):
            await stage(session, [_line(requestor, doing)])
            return requestor
        if (known := await _find(session, terms)) is not None:
            return _same(known, terms, jwk)
    raise RequestorTaken(reason="no number is free")


async def _find(session: Session, terms: RequestorTerms) -> Requestor | None:
    known = await repository.list_requestors(session, terms.merchant_id)
    return next((requestor for requestor in known if requestor.name == terms.name), None)


def _same(known: Requestor, terms: RequestorTerms, jwk: Mapping[str, Any] | None) -> Requestor:
    asked = (terms.channels, terms.amount_kopecks_max, terms.tokens_max, jwk)
    if asked != (known.channels, known.amount_kopecks_max, known.tokens_max, known.public_jwk):
        raise RequestorTaken(name=terms.name)
    return known


def _new(terms: RequestorTerms, jwk: Mapping[str, Any] | None) -> Requestor:
    return Requestor(
        trid=f"{SERVICE_DIGITS}{random_below(10**8):08d}",
        merchant_id=terms.merchant_id,
        name=terms.name,
        channels=terms.channels,
        amount_kopecks_max=terms.amount_kopecks_max,
        tokens_max=terms.tokens_max,
        public_jwk=jwk,
    )


def _line(requestor: Requestor, doing: DeviceDoing) -> AuditEvent:
    return AuditEvent(
        "token_requestor.registered", doing.actor, doing.origin, f"token_requestor:{requestor.trid}", doing.now,
        merchant_id=requestor.merchant_id, facts={"channels": ",".join(sorted(requestor.channels))},
    )  # fmt: skip
