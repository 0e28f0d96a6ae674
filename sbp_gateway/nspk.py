"""The port to NSPK: what we ask of its agent API. Filled by ``nspk_http`` and ``tkassa_http``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from ledger.money import Kopecks

STATUS_BATCH_MAX = 100
"""Links asked about in one call."""
PROCESSED = "RQ00000"
"""NSPK's code of a request that was carried out."""


class OperationStatus(StrEnum):
    """What NSPK says about the payment of a link. Source: NSPK agent API, statuses of an operation."""

    NOT_STARTED = "NTST"
    """Nobody began to pay, or NSPK does not know the link: the two look the same."""
    RECEIVED = "RCVD"
    """In processing."""
    ACCEPTED = "ACWP"
    """The money moved. Final."""
    REJECTED = "RJCT"
    """This operation failed. Final for the operation, not for the link."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A dynamic link to be registered."""

    nspk_merchant_id: str
    member_id: str
    bank_account: str
    amount: Kopecks
    ttl_minutes: int
    purpose: str
    reference: str = ""
    """Our own id of the code, for a provider that keeps one; NSPK does not."""
    expires_at: datetime | None = None
    """The end of ``ttl_minutes``, for a provider that is told a time."""


@dataclass(frozen=True, slots=True)
class RegisteredLink:
    """The link NSPK made."""

    qrc_id: str
    """The provider's id of the link, 32 characters: NSPK's own, or one that another provider's adapter makes."""
    payload: str


class LinkStatus(NamedTuple):
    """NSPK's answer about one link. A named tuple because they come by the thousand."""

    qrc_id: str
    code: str
    """``RQ00000``, or why there is no status."""
    status: OperationStatus | None
    trx_id: str | None
    """The operation: 32 characters."""
    kzo: str | None
    """What the provider wants back with a refund: NSPK's control value of a successful operation."""


class Nspk(Protocol):
    """NSPK's agent API. No session may be open while it is called."""

    async def register(self, registration: Registration) -> RegisteredLink:
        """Register a dynamic link. Raises: NspkRefused; NspkUnknown when the answer was lost; NspkUnavailable."""

    async def statuses(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        """What became of up to 100 links. Raises: NspkUnknown when there is no answer; NspkUnavailable."""
