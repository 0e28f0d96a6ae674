"""The operations that a bank's register is compared with: each says its link, whatever kind of link it is."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.api.test_cash_link_constraints import LINK, MATCHED, UNMATCHED
from tests.api.test_cash_link_constraints import ROWS as LINK_ROWS
from tests.api.test_rail_constraints import QR, ROWS, TWO, insert
from tests.api.test_refund_constraints import MOVED, REFUND

STICKER = LINK_ROWS["sbp_stickers"]["id"]


@pytest.mark.parametrize(
    ("of_link", "qrc_id"),
    [
        pytest.param({"sticker_id": STICKER}, "S" * 32, id="a sticker"),
        pytest.param({"cash_link_id": LINK}, "C" * 32, id="a plate"),
        pytest.param({"qr_id": QR}, "A" * 32, id="a code paid twice"),
    ],
)
@pytest.mark.parametrize("is_matched", [False, True])
def test_money_that_was_unmatched_and_its_refund_are_of_its_link(
    database: Any, of_link: dict[str, Any], qrc_id: str, is_matched: bool
) -> None:
    unmatched = LINK_ROWS["sbp_unmatched_payments"] | {"sticker_id": None} | of_link
    rows = {name: ROWS[name] for name in ("merchants", "stores", "terminals", "orders", "attempts", "sbp_merchants")}
    rows |= {"qr_codes": ROWS["qr_codes"]} | {name: LINK_ROWS[name] for name in ("cash_links", "sbp_stickers")}
    rows |= {"sbp_unmatched_payments": unmatched | (MATCHED if is_matched else {})}
    if is_matched:
        payment = {"qr_id": None, "unmatched_payment_id": UNMATCHED, "trx_id": "U" * 32, "entry_id": TWO}
        payment |= {"refund_kopecks": 60}
        rows |= {"sbp_payments": ROWS["sbp_payments"] | payment, "sbp_refunds": REFUND | MOVED}
    with psycopg.connect(database.superuser_url) as connection:
        for table, row in rows.items():
            insert(connection, table, row)
        found = connection.execute(
            "SELECT kind, qrc_id, is_of_reused_link FROM sbp_operations ORDER BY kind"
        ).fetchall()

    kinds = ["payment", "refund"] if is_matched else ["payment"]
    assert found == [(kind, qrc_id, True) for kind in kinds]
