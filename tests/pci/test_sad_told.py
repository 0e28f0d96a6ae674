from __future__ import annotations

import json
from typing import Any

import pytest

from pci.sad_told import may_tell_sad, tells_sad


@pytest.mark.parametrize(
    "value",
    [{"cvc": "737"}, {"cvc": 737}, {"a": [{"CVV2": "7371"}]}, {"card": {"security_code": "123"}},
     {"codes": {"cvv": [1, 737]}}, {"pin": "1234"}, {"pin_block": "0412AC89ABCDEF67"},
     {"track2": "2200111753579001=3012"}, {"n": "cvc=737"},
     {"n": "paid, CVV 123"}, ["pin: 1234"], "track2=;2200111753579001=30",
     {"cvc: 737": 1}, {"n": "{'cvc': '737'}"}],
)  # fmt: skip
def test_what_must_never_be_kept_is_seen(value: Any) -> None:
    assert tells_sad(value)
    assert may_tell_sad(json.dumps(value).encode())


@pytest.mark.parametrize(
    "value",
    [{"cid": "1234"}, {"url": "https://shop.example/?cid=12345"}, {"wants_cvc": True}, {"cvc": None}, {"cvc": "***"},
     {"pin": "pinned"}, {"n": "shipping: 1234"}, {"track": "RA123456789RU"}, {"tracking_code": "14101"},
     {"n": "Spin 2000"},
     {"code": "123"}, {"n": "the cvc was wrong"}, {"cvc": 73712}, 737],
)  # fmt: skip
def test_what_only_looks_so_is_let_through(value: Any) -> None:
    assert not tells_sad(value)
