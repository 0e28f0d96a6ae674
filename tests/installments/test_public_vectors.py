"""What Apache Fineract's public zero-interest scenarios say, figure by figure.

Source: Apache Fineract (Apache-2.0), end-to-end scenarios of the advanced payment allocation: products LP2 with a down
payment of 25 %. The tables here are ours, with their figures: past due first, then due, then in advance.
"""

from __future__ import annotations

import pytest

from tests.installments.fineract import play
from tests.installments.fineract_cases import ALLOCATION, CHARGEBACKS

CASES = {
    "rounding A, whole units, the rest in the last": """
        1000 in 6 every 1 months from 01.01.2023 first 0%
        01.01 early 0.01    | 166.99 167 167 167 167 165
        """,
    "rounding B, a half goes to the even unit": """
        1250 in 4 every 15 days from 01.01.2023
        02.01 early 0.01    | 311.99 313 313 312
        """,
    "re-amortised on the day that one is due": """
        500 in 4 every 15 days from 01.01.2024
        01.01 down 125
        31.01 re-amortise   | 0 0 0 375
        """,
    "a refund of a credit balance above what is left of it is lent again": """
        1000 in 1 every 30 days from 01.01.2023 due 31.01.2023
        03.01 pay 100
        05.01 pay 500
        05.01 pay 600       | 0             overpaid 200
        07.01 credit 200    | 0             overpaid 0
        08.01 undo 1        | 100           overpaid 0
        """,
    "a chargeback after everything was paid": """
        1000 in 1 every 30 days from 01.01.2022 due 31.01.2022
        01.02 pay 1000      | 0             overpaid 0
        25.02 chargeback 250 of 1  | 0 250
        """,
    "a chargeback falls on the part that is next": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 125
        20.01 chargeback 125 of 2  | 0 0 250 125
        31.01 pay 250              | 0 0 0 125
        """,
    "a chargeback on the last day falls on the last part": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 375
        15.02 chargeback 100 of 2  | 0 0 0 100
        """,
    "a second chargeback after the last day joins the first": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 375
        20.02 chargeback 100 of 2  | 0 0 0 0 100
        25.02 chargeback 50 of 2   | 0 0 0 0 150
        """,
    "a chargeback takes what was overpaid first": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 400              | 0 0 0 0       overpaid 25
        20.01 chargeback 125 of 1  | 0 0 100 0     overpaid 0
        """,
    "a payout refund goes to the next": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        08.01 payout 50     | 0 75 125 125
        """,
}


ALL = CASES | ALLOCATION | CHARGEBACKS


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
def test_a_scenario_ends_as_published(case: str) -> None:
    told = play(case)

    assert told
    assert [each.said for each in told] == [each.expected for each in told], [each.line for each in told]
