"""Profiles: everything that one bank does its own way in its registers, as data.

A profile is a YAML file in ``profiles/``. A broken one is refused when it is loaded, with the name of
the file and of the field.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ledger.money import Rounding
from sbp_gateway.errors import RegisterProfileInvalid, RegisterProfileUnknown
from sbp_gateway.registers.lines import LineKind, LineRail

TIME_PARTS = {
    "%d": "[0-9]{1,2}", "%m": "[0-9]{1,2}", "%Y": "[0-9]{4}", "%H": "[0-9]{1,2}", "%M": "[0-9]{2}", "%S": "[0-9]{2}",
}  # fmt: skip
"""What a form of time is made of, and the digits of each part."""
FOLDER = Path(__file__).parent / "profiles"
Word = Annotated[str, Field(min_length=1)]


class ColumnField(StrEnum):
    """What a column of a register tells about a line."""

    MERCHANT = "merchant"
    HAPPENED_AT = "happened_at"
    HAPPENED_ON = "happened_on"
    """The day alone; the time is in ``happened_time``."""
    HAPPENED_TIME = "happened_time"
    KIND = "kind"
    RAIL = "rail"
    TRX_ID = "trx_id"
    QRC_ID = "qrc_id"
    ORDER_NUMBER = "order_number"
    REFUND_ID = "refund_id"
    OPERATION_ID = "operation_id"
    PAYER_MASK = "payer_mask"
    AMOUNT = "amount"
    FEE = "fee"
    NET = "net"
    """The amount less the fee."""


class Container(StrEnum):
    """What the lines are packed in."""

    CSV = "csv"
    ZIP = "zip"
    """An archive with one CSV file."""
    XLSX = "xlsx"


class EmptyDay(StrEnum):
    """What a bank sends for a day without operations."""

    NO_FILE = "no_file"
    EMPTY_FILE = "empty_file"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterColumn(_Part):
    """One column, in the order of the file."""

    label: Word
    """Its header, or what the bank's document calls it when the file has none."""
    field: ColumnField | None = None
    """What it tells us; nothing is read from it when empty."""
    text: str = ""
    """What our writer puts into a column that tells us nothing."""
    optional: bool = False
    """The bank's client may switch it off; only where columns go by their labels."""


class AmountForm(_Part):
    """How amounts are printed."""

    unit: Literal["roubles", "kopecks"] = "roubles"
    decimal_mark: Literal[".", ","] = "."
    decimals: Literal["exactly_2", "up_to_2"] = "exactly_2"
    refunds: Literal["positive", "negative"] = "positive"
    """The sign of a refund's amount."""


class FooterForm(_Part):
    """The line of totals at the end."""

    label: Word
    thousands: str = ""
    """What the bank puts between thousands, in totals only."""


class FeeForm(_Part):
    """How the bank reckons its fee of one operation."""

    rounding: Rounding = Rounding.DOWN
    tolerance_kopecks: Annotated[int, Field(ge=0, le=100)] = 1
    """How far the bank's fee may be from ours before it is a difference."""


class Profile(_Part):
    """How one bank writes its register."""

    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{1,40}$")]
    title: Word
    source: Word
    """Where the facts come from, and which are guesses."""
    container: Container = Container.CSV
    encoding: Literal["cp1251", "utf-8"] = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ";"
    line_end: Literal["\n", "\r\n"] = "\r\n"
    preamble: tuple[str, ...] = ()
    """Lines above the header; ``{day}`` is the day of the register. Each is a first cell."""
    day_form: str | None = None
    """How the day is printed in the preamble. The register must be of the day it is taken in for."""
    header: bool = True
    columns_by: Literal["position", "label"] = "position"
    columns: Annotated[tuple[RegisterColumn, ...], Field(min_length=3)]
    amounts: AmountForm = AmountForm()
    time_form: Word = "%d.%m.%Y %H:%M:%S"
    """Moscow time in ``TIME_PARTS``, seconds optional; of day and time joined by a space if they are two columns."""
    hour_is_padded: bool = True
    kinds: dict[Word, LineKind] = {}
    """The bank's words; the first of each kind is the one that our writer uses."""
    kind: LineKind | None = None
    """The kind of every line where no column says it."""
    rails: dict[Word, LineRail] = {}
    """The bank's words. A word that is not here is another rail."""
    footer: FooterForm | None = None
    fee: FeeForm = FeeForm()
    empty_day: EmptyDay

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        has = Counter(column.field for column in self.columns if column.field is not None)
        twice = [field.value for field, count in has.items() if count > 1]
        if twice:
            raise ValueError(f"two columns tell {twice[0]}")
        if ColumnField.AMOUNT not in has:
            raise ValueError("no column tells the amount")
        is_split = ColumnField.HAPPENED_ON in has and ColumnField.HAPPENED_TIME in has
        parts = re.findall("%.", self.time_form)
        if set(parts) | {"%S"} != set(TIME_PARTS) or len(set(parts)) < len(parts):
            raise ValueError(f"time_form has {', '.join(TIME_PARTS)}, each once")
        if (ColumnField.HAPPENED_AT in has) == is_split:
            raise ValueError("happened_at, or happened_on with happened_time, and not both")
        if (ColumnField.KIND in has) == (self.kind is not None) or (ColumnField.KIND in has) != bool(self.kinds):
            raise ValueError("a column with kinds, or one kind for every line")
        if (ColumnField.RAIL in has) != bool(self.rails) or (self.rails and LineRail.SBP not in self.rails.values()):
            raise ValueError("a column of rails needs the bank's words, one of them for sbp")
        if self.columns_by == "label" and not self.header:
            raise ValueError("columns go by their labels only under a header")
        if self.columns_by == "position" and any(column.optional for column in self.columns):
            raise ValueError("a column is optional only where columns go by their labels")
        if len({column.label for column in self.columns}) < len(self.columns):
            raise ValueError("two columns have one label")
        return self

    def has(self, field: ColumnField) -> bool:
        """Whether some column tells this."""
        return any(column.field is field for column in self.columns)


@cache
def load_profile(name: str) -> Profile:
    """A profile by its name.

    Raises: RegisterProfileUnknown, RegisterProfileInvalid.
    """
    if name not in profile_names():
        raise RegisterProfileUnknown(known=", ".join(profile_names()))
    return parse_profile(name, (FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def profile_names() -> tuple[str, ...]:
    """Every profile there is, by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def parse_profile(name: str, text: str) -> Profile:
    """A profile from its YAML text.

    Raises: RegisterProfileInvalid with the field and what is wrong with it.
    """
    try:
        profile = Profile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise RegisterProfileInvalid(profile=name, line=mark.line + 1 if mark else None) from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise RegisterProfileInvalid(
            profile=name, field=".".join(map(str, fault["loc"])), fault=str(fault["msg"])
        ) from None
    if profile.name != name:
        raise RegisterProfileInvalid(profile=name, field="name", fault="is not the name of its file")
    return profile
