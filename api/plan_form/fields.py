"""What buyers type: read leniently, refused with words beside the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from api.plan_form.texts import Lang, money, say
from installments.buyer import PersonalDetails, age_on, read_phone
from installments.buyer_errors import PhoneMalformed
from ledger.money import Kopecks, kopecks_of
from pci.secret import Secret

AGE_MIN = 18
"""Told at once here; decided by the policy of the day. Source: art. 21 of the Civil Code."""
NAME_CHARACTERS_MAX = 64
"""Three of them fit into a cookie."""
NAMES = ("last_name", "first_name", "middle_name")
TYPED = ("phone", *NAMES, "born_on")
_NAME = re.compile(r"[^\W\d_]+([ '’-]{1,2}[^\W\d_]+)*\.?")
_RUSSIAN_PHONE = re.compile(r"\+7[0-9]{10}")
_DAY = re.compile(r"(\d{1,2})[./ -](\d{1,2})[./ -](\d{4})")
_ISO_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_CODE = re.compile(r"[0-9]{4,8}")


@dataclass(frozen=True, slots=True)
class Typed:
    """A filled form, and what is wrong in it by field."""

    values: dict[str, str]
    faults: dict[str, str]


def read_details(form: Mapping[str, str], lang: Lang, *, on: date) -> Typed:
    """Who the buyer is, as typed on a Moscow day."""
    values = {name: " ".join(form.get(name, "").split())[:NAME_CHARACTERS_MAX] for name in TYPED}
    values["personal_data"] = form.get("personal_data", "")
    faults = {name: say(lang, "fault_name") for name in NAMES if not _is_name(name, values[name])}
    if phone_of(values["phone"]) is None:
        faults["phone"] = say(lang, "fault_phone")
    born_on = day_of(values["born_on"])
    if born_on is None or not date(1900, 1, 1) <= born_on <= on:
        faults["born_on"] = say(lang, "fault_born_on")
    elif age_on(born_on, on) < AGE_MIN:
        faults["born_on"] = say(lang, "fault_under_age")
    if values["personal_data"] != "yes":
        faults["personal_data"] = say(lang, "fault_personal_data")
    return Typed(values, faults)


def details_of(values: Mapping[str, str]) -> PersonalDetails:
    """What was typed without a fault, as the rules know it."""
    return PersonalDetails(
        values["first_name"], values["last_name"], values["middle_name"] or None, born_on=day_of(values["born_on"])
    )


def phone_of(text: str) -> Secret | None:
    """A Russian mobile as people write it, its country left out or not."""
    digits = re.sub(r"\D", "", text)
    try:
        phone = read_phone(f"+7{digits}" if re.fullmatch(r"9[0-9]{9}", digits) else text)
    except PhoneMalformed:
        return None
    return phone if _RUSSIAN_PHONE.fullmatch(phone.expose()) else None


def shown_phone(phone: Secret) -> str:
    """So much of a phone that its owner knows it, and nobody else learns it."""
    return f"+7 ••• •••-••-{phone.expose()[-2:]}"


def day_of(text: str) -> date | None:
    """A day as people write it, or as browsers fill it in."""
    if found := _DAY.fullmatch(text):
        day, month, year = found.groups()
    elif found := _ISO_DAY.fullmatch(text):
        year, month, day = found.groups()
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def code_of(text: str) -> Secret | None:
    """A one-time code, with or without spaces in it."""
    digits = re.sub(r"[\s-]", "", text)
    return Secret(digits) if _CODE.fullmatch(digits) else None


def amount_of(text: str, *, most: int, lang: Lang) -> Kopecks | str:
    """A sum as people write it, or what is wrong with it."""
    plain = re.sub(r"[\s₽]", "", text).replace(",", ".")
    try:
        amount = kopecks_of(plain) if re.fullmatch(r"[0-9]{1,7}([.][0-9]{1,2})?", plain) else Kopecks(0)
    except ValueError:
        amount = Kopecks(0)
    return amount if min(100, most) <= amount <= most else say(lang, "fault_amount", amount=money(most))


def _is_name(field: str, value: str) -> bool:
    return (field == "middle_name" and not value) or _NAME.fullmatch(value) is not None
