"""Who speaks for a till, and for which merchant."""

from __future__ import annotations

from api.door import Call
from api.errors import FieldFault, RequestInvalid
from checkout.errors import MerchantNotFound
from checkout.telling import TillActor


def till_actor(call: Call) -> TillActor:
    """Who acts, for the log."""
    return TillActor(f"caller:{call.caller.key_id}", call.request_id)


def merchant_of(call: Call, named: str | None, where: str = "/merchant_id") -> str:
    """The merchant that a call is about: the caller's own, or the one it names.

    Raises: MerchantNotFound if it is another's; RequestInvalid if a caller of all merchants names none.
    """
    merchant_id = named or call.caller.merchant_id
    if merchant_id is None:
        raise RequestInvalid((FieldFault(where, "this key sees all merchants: say which"),))
    if not call.caller.sees(merchant_id):
        raise MerchantNotFound(merchant_id=merchant_id)
    return merchant_id
