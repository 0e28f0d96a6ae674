from __future__ import annotations

from datetime import datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from ledger import ids


def test_ids_of_one_process_never_run_backwards_even_when_the_clock_does(now: datetime) -> None:
    made = [ids.new_uuid(now - timedelta(milliseconds=step % 7)) for step in range(5_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {uuid.version for uuid in made} == {7}


def test_ids_of_a_batch_go_on_from_each_other_as_values_and_as_digits(now: datetime) -> None:
    made = [ids.new_uuid(now), *ids.new_uuids(now, 3), *map(UUID, ids.new_uuid_digits(now, 3)), ids.new_uuid(now)]

    assert made == sorted(made)
    assert len(set(made)) == 8
    assert {(uuid.version, uuid.variant) for uuid in made} == {(7, RFC_4122)}


def test_an_id_tells_its_time(now: datetime) -> None:
    later = now + timedelta(days=3)

    assert abs((ids.new_uuid(later).int >> 80) - later.timestamp() * 1000) < 1000


def test_an_id_is_shown_and_read_back(now: datetime) -> None:
    uuid = ids.new_uuid(now)

    assert ids.read("ord", ids.show("ord", uuid)) == uuid
    assert len(ids.show("ord", uuid)) == 30


@pytest.mark.parametrize(
    "text",
    ["", "ord_", "pay_06cb8g00000000000000000000", "ord_zzzzzzzzzzzzzzzzzzzzzzzzzz", "ord_06cb8g0000000000000000000u"],
)
def test_what_is_not_an_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ord_"):
        ids.read("ord", text)
