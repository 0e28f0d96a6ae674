"""What the door asks of the vault about cards: for which merchant, once for each idempotency key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from starlette.responses import Response

from api.door import Call
from api.errors import FieldFault, RequestInvalid, ResourceUnknown, VaultRefused
from api.idempotency import Claim, in_phases
from api.wire import View
from checkout.repository import load_merchant
from ledger.database import Session

V = TypeVar("V", bound=View)
_ID = re.compile(r"[A-Za-z0-9_]{1,64}")


def whose(call: Call, merchant_id: str | None) -> str:
    """The merchant that a call is about: the key's own, or the one it names.

    Raises: RequestInvalid if a key of all merchants names none; ResourceUnknown if it names one that is not its own.
    """
    named = merchant_id or call.caller.merchant_id
    if named is None:
        raise RequestInvalid((FieldFault("/merchant_id", "this key sees all merchants: say which"),))
    if not call.caller.sees(named):
        raise ResourceUnknown()
    return named


def path_of(merchant_id: str, kind: str, id_: str = "") -> str:
    """The address at the vault of something of a merchant's. Raises: ResourceUnknown for what is nobody's id."""
    if id_ and not _ID.fullmatch(id_):
        raise ResourceUnknown()
    return f"/merchants/{merchant_id}/{kind}" + (f"/{id_}" if id_ else "")


async def in_vault(
    call: Call, path: str, asked: Mapping[str, Any], view: type[V], *, location: str | None, prefix: str = "crd",
    status: int = 201,
) -> Response:  # fmt: skip
    """Let the vault do something for a merchant once, whatever breaks in between.

    The vault is told the name that was chosen when this key was first seen, so a repeat after a crash does nothing new.
    Raises: IdempotencyRejected; VaultUnavailable, VaultUnknown, after which the key may be repeated.
    """

    async def intend(session: Session, claim: Claim) -> str:
        await load_merchant(session, asked["merchant_id"])
        return claim.resource_id

    async def act(name: str) -> Any:
        try:
            return await call.door.wiring.vault.call(
                "POST", path, asked, idempotency_key=name, acting_for=call.caller.key_id, request_id=call.request_id
            )
        except VaultRefused as refused:
            return refused

    async def finish(_session: Session, _name: str, said: Any) -> V:
        if isinstance(said, VaultRefused):
            raise said
        return view.model_validate(said)

    return await in_phases(
        call, intent=intend, act=act, outcome=finish, prefix=prefix, location=location, status=status
    )
