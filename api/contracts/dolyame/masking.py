"""People in notifications: what the shop said of its buyer, masked so that it can be recognised and not read.

Source: notifications in public fixtures: an e-mail like ``t**@y*.ru``, the surname's initial.
"""

from __future__ import annotations

from api.contracts.dolyame.bodies import BuyerInfoBody

PHONE_SHOWN = 4
"""The last digits; the country's code stands before the stars."""


def masked(client: BuyerInfoBody) -> dict[str, str]:
    """What is kept and told of a buyer. A birthday is not."""
    said = {
        "first_name": client.first_name,
        "last_name": initial(client.last_name),
        "middle_name": initial(client.middle_name),
        "phone": masked_phone(client.phone),
        "email": masked_email(client.email),
    }
    return {name: value for name, value in said.items() if value}


def initial(name: str | None) -> str | None:
    """``И.``"""
    bare = (name or "").strip()
    return f"{bare[0].upper()}." if bare else None


def masked_phone(phone: str | None) -> str | None:
    """``+7******4444``; nothing of what is too short to be a phone."""
    digits = "".join(character for character in phone or "" if character.isdigit())
    if len(digits) < 2 * PHONE_SHOWN:
        return None
    return f"+{digits[0]}{'*' * (len(digits) - 1 - PHONE_SHOWN)}{digits[-PHONE_SHOWN:]}"


def masked_email(email: str | None) -> str | None:
    """``t**@y*.ru``; nothing of what is no address."""
    name, at, host = (email or "").strip().rpartition("@")
    site, dot, zone = host.rpartition(".")
    if not (at and name and dot and site and zone):
        return None
    return f"{name[0]}**@{site[0]}*.{zone}"
