"""T-Kassa's payments as links of ours: one id of 32 characters that says whose it is.

Source: T-Kassa API v2: ``PaymentId`` is a number of at most 20 digits. DECISIONS.md, 10.
"""

from __future__ import annotations

import re

PREFIX = "TKZ"
"""No link of NSPK's has a Z: its ids are written in A to V and digits."""
_FORM = re.compile(rf"{PREFIX}0{{9}}(?=0*[1-9])([0-9]{{20}})")


def link_id(payment_id: str) -> str:
    """Our id of T-Kassa's payment, for its link and for the operation under it. Raises: ValueError."""
    if not payment_id.isascii() or not payment_id.isdigit() or len(payment_id) > 20 or payment_id.startswith("0"):
        raise ValueError("not a PaymentId")
    return f"{PREFIX}{payment_id:0>29}"


def is_tkassa_link(qrc_id: str) -> bool:
    """Whether a link was registered through T-Kassa."""
    return _FORM.fullmatch(qrc_id) is not None


def payment_id_of(qrc_id: str) -> str:
    """T-Kassa's own id."""
    found = _FORM.fullmatch(qrc_id)
    assert found is not None, "not a link of T-Kassa's"
    return found[1].lstrip("0")
