"""Settings of tills by level: the merchant's, its region's, its store's, the till's own. The nearest counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from checkout import repository
from checkout.errors import SettingUnknown, SettingValueRefused, StoreNotFound, TerminalNotFound
from checkout.premises import RAILS, Level, PremisesSetting
from checkout.telling import TillActor, tell
from ledger.database import Session, text

SETTINGS_MAX = 2_000
"""Settings of one merchant that are read at once."""


@dataclass(frozen=True, slots=True)
class SettingRule:
    """What a setting may say, and what holds when nobody said it."""

    usual: int | str
    low: int = 0
    high: int = 0
    words: tuple[int | str, ...] = ()
    """The only values, where they are few."""

    def allows(self, value: int | str) -> bool:
        """Whether a setting may have this value. True and false are no numbers."""
        if type(value) is not type(self.usual):
            return False
        if self.words:
            return value in self.words
        return isinstance(value, int) and self.low <= value <= self.high


SETTINGS: Mapping[str, SettingRule] = {
    "cancel_after_retries": SettingRule(10, 1, 20),
    "preferred_rail": SettingRule(RAILS[0], words=RAILS),
    "shift_hours_max": SettingRule(24, 1, 24),
    "slip_columns": SettingRule(48, words=(32, 42, 48)),
}
"""``cancel_after_retries``: calls without an answer after which an attempt is given up. ``preferred_rail``: offered
first. ``shift_hours_max``: after how long a shift is overdue. Source: 54-FZ, article 4.3, point 2: at most 24 hours.
``slip_columns``: the width of the till's paper.
"""

_ROW = "s.merchant_id, s.level, s.place, s.name, s.value, s.changed_at, s.version"


async def setting_of(session: Session, terminal_id: str, name: str) -> int | str:
    """What a setting says at a till. Raises: TerminalNotFound."""
    return (await settings_of(session, terminal_id))[name]


async def settings_of(session: Session, terminal_id: str) -> dict[str, int | str]:
    """What every setting says at a till, in one round trip. Raises: TerminalNotFound."""
    rows = await session.execute(
        text("""SELECT t.id, s.name, s.value FROM terminals AS t LEFT JOIN store_places AS p ON p.store_id = t.store_id
                  LEFT JOIN premises_settings AS s ON s.merchant_id = t.merchant_id AND s.value IS NOT NULL
                       AND (s.level, s.place) IN (('merchant', t.merchant_id), ('region', p.region),
                                                  ('store', t.store_id), ('terminal', t.id))
                 WHERE t.id = :id
                 ORDER BY array_position(ARRAY['merchant', 'region', 'store', 'terminal'], s.level)"""),
        {"id": terminal_id},
    )
    found = rows.all()
    if not found:
        raise TerminalNotFound(terminal_id=terminal_id)
    said = {row.name: row.value for row in found if row.name in SETTINGS}
    return {name: rule.usual for name, rule in SETTINGS.items()} | said


async def set_setting(
    session: Session, *, merchant_id: str, level: Level, place: str, name: str, value: int | str | None,
    by: TillActor, now: datetime,
) -> PremisesSetting:  # fmt: skip
    """Say a setting at a level, or take it back with None. Saying the same again changes nothing.

    Raises: SettingUnknown, SettingValueRefused, MerchantNotFound, StoreNotFound, TerminalNotFound.
    Locks: the setting.
    """
    rule = SETTINGS.get(name)
    if rule is None:
        raise SettingUnknown(name=name, known=", ".join(SETTINGS))
    if value is not None and not rule.allows(value):
        raise SettingValueRefused(name=name)
    await check_place(session, merchant_id, level, place)
    known = await _load(session, merchant_id, level, place, name)
    if known is not None and known.value == value:
        return known
    row = (
        await session.execute(
            text(f"""INSERT INTO premises_settings AS s (merchant_id, level, place, name, value, changed_at)
                     VALUES (:merchant_id, :level, :place, :name, CAST(:value AS jsonb), :now)
                     ON CONFLICT (merchant_id, level, place, name) DO UPDATE
                        SET value = excluded.value, changed_at = excluded.changed_at, version = s.version + 1
                     RETURNING {_ROW}"""),  # noqa: S608  # our own column list
            {
                "merchant_id": merchant_id, "level": level.value, "place": place, "name": name, "now": now,
                "value": None if value is None else json.dumps(value),
            },
        )
    ).one()  # fmt: skip
    facts = {"level": level.value, "place": place, "name": name, "value": "" if value is None else value}
    await tell(session, "setting.changed", merchant_id, merchant_id, by, facts, now=now)
    return _setting(row)


async def list_settings(session: Session, merchant_id: str) -> list[PremisesSetting]:
    """What a merchant says at all of its levels, the widest first."""
    rows = await session.execute(
        text(f"""SELECT {_ROW} FROM premises_settings AS s WHERE s.merchant_id = :merchant_id
                  ORDER BY array_position(ARRAY['merchant', 'region', 'store', 'terminal'], s.level), s.place, s.name
                  LIMIT {SETTINGS_MAX}"""),  # noqa: S608  # our own column list
        {"merchant_id": merchant_id},
    )
    return [_setting(row) for row in rows]


async def check_place(session: Session, merchant_id: str, level: Level, place: str) -> None:
    """Refuse a place that is not of the merchant.

    Raises: MerchantNotFound, StoreNotFound, TerminalNotFound.
    """
    await repository.load_merchant(session, merchant_id)
    if level is Level.MERCHANT and place != merchant_id:
        raise StoreNotFound(place=place)
    if level is Level.STORE and (await repository.load_store(session, place)).merchant_id != merchant_id:
        raise StoreNotFound(store_id=place)
    if level is Level.TERMINAL and (await repository.load_terminal(session, place)).merchant_id != merchant_id:
        raise TerminalNotFound(terminal_id=place)


async def _load(session: Session, merchant_id: str, level: Level, place: str, name: str) -> PremisesSetting | None:
    row = (
        await session.execute(
            text(f"""SELECT {_ROW} FROM premises_settings AS s
                      WHERE merchant_id = :merchant_id AND level = :level AND place = :place AND name = :name
                        FOR NO KEY UPDATE"""),  # noqa: S608  # our own column list
            {"merchant_id": merchant_id, "level": level.value, "place": place, "name": name},
        )
    ).first()
    return None if row is None else _setting(row)


def _setting(row: Row[Any]) -> PremisesSetting:
    return PremisesSetting(
        row.merchant_id, Level(row.level), row.place, row.name, row.value, row.changed_at, row.version
    )
