"""Cards and tokens: kept once, found by whoever they belong to, opened for an allowed use only, and every act told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.database import Session, transaction
from pci.audit_log.staging import lines_of
from pci.keys.key import KeyPurpose
from pci.luhn import passes_luhn
from pci.pan import Pan
from pci.schemes import Scheme
from tests.card_world import CHARGE, MIR, NEIGHBOUR, OTHER, SHOP, VISA, World
from tokenization import cards
from tokenization.card import CardDetails, CardTerms, OpenCard
from tokenization.card_errors import (
    AmountRefused,
    CardExpired,
    CardExpiryMalformed,
    CardHolderMalformed,
    CardKeysNotReady,
    CardTampered,
    ScopeMalformed,
    TokenExpired,
    TokenNotFound,
)
from tokenization.card_use import CardPurpose, CardRestrictions, CardUse
from tokenization.cards import CardAsk, CardIn
from tokenization.ids import new_id


async def test_a_card_becomes_a_token_and_the_token_the_card(world: World) -> None:
    tokenized = await world.tokenize(holder="IVAN PETROV")
    opened = await world.read(tokenized.card.token)

    assert tokenized.is_new
    assert tokenized.card.mask == "220011******9001"
    assert opened.pan == Pan(MIR)
    assert (opened.expires, opened.holder_name, opened.scheme) == ("2028-12", "IVAN PETROV", "mir")
    assert await world.find(tokenized.card.token) == tokenized.card


async def test_the_same_number_in_the_same_scope_keeps_its_token_and_a_new_expiry_is_told(world: World) -> None:
    first = await world.tokenize()
    again = await world.tokenize()
    reissued = await world.tokenize(expires="2031-01", holder="ANNA PETROVA")

    assert [t.card.token for t in (again, reissued)] == [first.card.token] * 2
    assert [(t.is_new, t.metadata_changed) for t in (first, again, reissued)] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    assert reissued.card.fingerprint_id == first.card.fingerprint_id
    opened = await world.read(first.card.token)
    assert (opened.expires, opened.holder_name) == ("2031-01", "ANNA PETROVA")


async def test_other_merchants_and_other_scopes_have_other_tokens_and_fingerprints(world: World) -> None:
    found = [await world.tokenize(), await world.tokenize(merchant_id=NEIGHBOUR), await world.tokenize(scope="loyalty")]

    assert all(tokenized.is_new for tokenized in found)
    assert len({tokenized.card.token for tokenized in found}) == 3
    assert len({tokenized.card.fingerprint_id for tokenized in found}) == 3
    assert len({row[0] for row in world.sql("SELECT fingerprint FROM cards")}) == 3


async def test_a_foreign_token_is_not_found_and_the_attempt_is_told(world: World) -> None:
    tokenized = await world.tokenize()

    with pytest.raises(TokenNotFound):
        await world.read(tokenized.card.token, NEIGHBOUR)
    with pytest.raises(TokenNotFound):
        await world.find(tokenized.card.token, NEIGHBOUR)

    (event,) = world.events("card.read")
    assert (event["outcome"], event["facts"]["code"]) == ("refused", "vault.token_not_found")
    assert event["merchant_id"] == NEIGHBOUR


async def test_every_act_is_told_without_a_number(world: World) -> None:
    tokenized = await world.tokenize()
    await world.read(tokenized.card.token)

    (kept,) = world.events("card.tokenized")
    (read,) = world.events("card.read")
    assert kept["facts"] == {"is_new": True, "metadata_changed": False}
    assert read["facts"] == {"purpose": "charge"}
    assert kept["subject"] == read["subject"] == f"card:{tokenized.card.token}"
    assert not [row for row in world.sql("SELECT event FROM audit_events") if MIR.encode() in row[0]]


async def test_a_row_put_under_another_token_or_another_merchant_does_not_open(world: World) -> None:
    one, two = await world.tokenize(MIR), await world.tokenize(VISA)
    foreign = await world.tokenize(OTHER, merchant_id=NEIGHBOUR)
    swap = (
        "UPDATE cards AS c SET pan_sealed = o.pan_sealed, key_number = o.key_number FROM cards AS o"
        " WHERE c.token = %s AND o.token = %s"
    )
    world.sql(swap, (one.card.token, two.card.token))
    world.sql(
        "UPDATE cards SET merchant_id = %s, fingerprint_scope = %s WHERE token = %s", (SHOP, SHOP, foreign.card.token)
    )

    for token in (one.card.token, foreign.card.token):
        with pytest.raises(CardTampered):
            await world.read(token)

    assert [event["outcome"] for event in world.events("card.read")] == ["failed", "failed"]
    assert (await world.read(two.card.token)).pan == Pan(VISA)


async def test_a_digits_token_looks_like_a_number_and_passes_for_none(world: World) -> None:
    plain = await world.tokenize()
    tokenized = await world.tokenize(wants_digits=True)
    digits = tokenized.card.digits_token

    assert plain.card.digits_token is None
    assert digits is not None
    assert (len(digits), digits[:4], passes_luhn(digits)) == (16, "9999", False)
    assert tokenized.card.token == plain.card.token
    assert (await world.read(digits)).pan == Pan(MIR)
    assert (await world.find(digits)).token == plain.card.token
    with pytest.raises(TokenNotFound):
        await world.read(digits, NEIGHBOUR)


async def test_a_token_whose_time_is_over_opens_nothing_and_its_card_is_new_again(world: World) -> None:
    tokenized = await world.tokenize(expires_at=world.now + timedelta(days=1))
    later = world.now + timedelta(days=1)

    with pytest.raises(TokenExpired):
        await world.read(tokenized.card.token, at=later)
    again = await world.at(later).tokenize()

    assert again.is_new
    assert again.card.token != tokenized.card.token
    assert (await world.find(tokenized.card.token)).status == "expired"
    assert [event["subject"] for event in world.events("card.expired")] == [f"card:{tokenized.card.token}"]


async def test_a_card_brought_again_is_kept_for_the_longer_of_both_times(world: World) -> None:
    first = await world.tokenize(expires_at=world.now + timedelta(days=2))
    shorter = await world.tokenize(expires_at=world.now + timedelta(days=1))
    for_ever = await world.tokenize()

    assert shorter.card.expires_at == first.card.expires_at
    assert for_ever.card.expires_at is None


async def test_one_batch_holds_new_cards_known_ones_and_twins(world: World) -> None:
    known = await world.tokenize(VISA)
    numbers = (MIR, VISA, MIR, OTHER)
    batch = [
        CardIn(CardDetails(Pan(number), "2028-12"), CardTerms(SHOP), "service:api", f"req_{place}")
        for place, number in enumerate(numbers)
    ]

    async with transaction(world.engine) as session:
        found = await cards.tokenize_many(session, world.ring, batch, now=world.now)

    assert [tokenized.is_new for tokenized in found] == [True, False, False, True]
    assert found[1].card.token == known.card.token
    assert found[0].card.token == found[2].card.token
    assert [tokenized.card.mask[-4:] for tokenized in found] == [number[-4:] for number in numbers]


async def test_many_tokens_are_read_at_once_each_with_its_own_answer_and_event(world: World) -> None:
    limited = CardRestrictions(amount_max_kopecks=1)
    tokens = [
        (await world.tokenize(MIR)).card.token,
        "tok_" + "0" * 25,
        (await world.tokenize(VISA, restrictions=limited)).card.token,
    ]
    asks = [CardAsk(token, SHOP, CHARGE, "service:worker", "run_1") for token in tokens]

    async with transaction(world.engine) as session:
        answers = await cards.read_pans(session, world.ring, asks, now=world.now)

    assert isinstance(answers[0], OpenCard)
    assert isinstance(answers[1], TokenNotFound)
    assert isinstance(answers[2], AmountRefused)
    assert sorted(event["outcome"] for event in world.events("card.read")) == ["done", "refused", "refused"]


async def test_a_line_of_the_log_names_every_card_that_one_caller_opened_for_one_thing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "TOKENS_A_LINE_MAX", 2)
    mir, visa, other = [(await world.tokenize(number)).card.token for number in (MIR, VISA, OTHER)]
    asks = [CardAsk(token, SHOP, CHARGE, "service:worker", "run_1") for token in (mir, visa, "tok_" + "0" * 25, other)]
    reveal = CardAsk(mir, SHOP, CardUse(CardPurpose.REVEAL), "service:worker", "run_1")

    async with transaction(world.engine) as session:
        await cards.read_pans(session, world.ring, [*asks, reveal], now=world.now)

    (line,) = world.events("cards.read")
    assert (line["subject"], line["merchant_id"]) == (f"merchant:{SHOP}", SHOP)
    assert line["facts"] == {"count": 2, "purpose": "charge", "tokens": f"{mir} {visa}"}
    alone = [(event["subject"], event["facts"]["purpose"], event["outcome"]) for event in world.events("card.read")]
    assert sorted(alone) == sorted(
        [
            (f"card:{other}", "charge", "done"),
            (f"card:{mir}", "reveal", "done"),
            ("card:tok_" + "0" * 25, "charge", "refused"),
        ]
    )


@given(st.integers(2, cards.TOKENS_A_LINE_MAX).map(lambda count: [new_id("tok") for _ in range(count)]))
@example(["tok_cvc1pin2cid3track4cvv5aaa", "tok_12345678a12345678b1234567"] * (cards.TOKENS_A_LINE_MAX // 2))
def test_nothing_that_hides_secrets_hides_a_token_that_was_opened(tokens: list[str]) -> None:
    opened = [
        OpenCard(token, "mer_" + "a" * 40, Pan(MIR), "2028-12", None, Scheme.MIR, "fpr_" + "0" * 25) for token in tokens
    ]
    asks = [CardAsk(token, "mer_" + "a" * 40, CHARGE, "a" * 128, "o" * 128) for token in tokens]

    (line,) = lines_of(list(cards._read_events(asks, opened, datetime(2026, 11, 22, tzinfo=UTC))))

    assert json.loads(line)["facts"]["tokens"].split(" ") == tokens


@pytest.mark.parametrize(
    ("details", "refusal"),
    [
        pytest.param({"expires": "2026-10"}, CardExpired, id="a card that is over"),
        pytest.param({"expires": "2028-13"}, CardExpiryMalformed, id="no month"),
        pytest.param({"expires": "12/28"}, CardExpiryMalformed, id="another form"),
        pytest.param({"expires": "2059-01"}, CardExpiryMalformed, id="no card lives so long"),
        pytest.param({"holder": "4242 4242 4242 4242"}, CardHolderMalformed, id="a number for a name"),
        pytest.param({"holder": "IVAN 4242424242424242"}, CardHolderMalformed, id="a number in a name"),
        pytest.param({"scope": "../x"}, ScopeMalformed, id="a scope that is no word"),
    ],
)
async def test_what_is_no_good_card_is_not_kept(
    world: World, details: dict[str, Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await world.tokenize(**details)

    assert world.sql("SELECT count(*) FROM cards") == [(0,)]


async def test_a_card_good_through_this_month_is_kept(world: World) -> None:
    assert (await world.tokenize(expires="2026-11")).is_new


async def test_without_its_merchants_keys_nothing_is_kept(world: World) -> None:
    with pytest.raises(CardKeysNotReady):
        await world.tokenize(merchant_id="mer_nobody")


async def test_no_row_holds_a_number(world: World) -> None:
    await world.tokenize(holder="IVAN PETROV", wants_digits=True)

    ((row,),) = world.sql("SELECT cards::text FROM cards")
    assert MIR not in row
    assert MIR.encode().hex() not in row
    assert "IVAN" not in row
    assert b"IVAN".hex() not in row


async def test_the_events_of_a_rolled_back_tokenization_are_gone_with_it(world: World) -> None:
    async with Session(world.engine) as session:
        details = CardDetails(Pan(MIR), "2028-12")
        await cards.tokenize(session, world.ring, details, CardTerms(SHOP), actor="a", origin="o", now=world.now)
        await session.rollback()

    assert world.events("card.tokenized") == []
    assert world.sql("SELECT count(*) FROM cards") == [(0,)]


async def test_a_retired_key_still_opens_and_the_new_one_closes(world: World) -> None:
    old = await world.tokenize(MIR)
    dek = await world.ring.renew(KeyPurpose.CARD, SHOP, world.now)
    new = await world.tokenize(VISA)

    assert (await world.read(old.card.token)).pan == Pan(MIR)
    assert (await world.read(new.card.token)).pan == Pan(VISA)
    assert world.sql("SELECT key_number FROM cards WHERE token = %s", (new.card.token,)) == [(dek.number,)]
