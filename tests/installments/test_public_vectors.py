"""What Apache Fineract's public zero-interest scenarios say, figure by figure.

Source: Apache Fineract (Apache-2.0), end-to-end scenarios of the advanced payment allocation: products LP2 with a down
payment of 25 %. The tables here are ours, with their figures: past due first, then due, then in advance.
"""

from __future__ import annotations

import pytest

from tests.installments.fineract import play
from tests.installments.fineract_cases import ALLOCATION, CHARGEBACKS, MOVED_DAYS

CASES = {
    "UC1, each on its day": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125   | 0 125 125 125
        16.01 pay 125    | 0 0 125 125
        31.01 pay 125    | 0 0 0 125
        15.02 pay 125    | 0 0 0 0       overpaid 0
        """,
    "UC2, more than is due goes to the next": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 150    | 0 0 100 125
        31.01 pay 125    | 0 0 0 100
        """,
    "UC3, goodwill goes to the last": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 goodwill 150  | 0 0 125 100
        """,
    "UC05, a refund of goods spread evenly, the odd kopeck in the last": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        01.01 undo 1        | 125 125 125 125
        08.01 refund 300    | 0 66.67 66.67 66.66
        16.01 pay 201       | 0 0 0 0       overpaid 1
        """,
    "UC07, a refund on a day that is paid": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        16.01 pay 125       | 0 0 125 125
        16.01 refund 200    | 0 0 25 25
        """,
    "UC08, a refund lowers what is past due first": """
        500 in 4 every 15 days from 01.01.2023
        17.01 refund 300    | 0 0 100 100
        """,
    "UC17, a full refund gives back what was paid": """
        500 in 4 every 15 days from 01.01.2023
        01.01 down 125
        08.01 refund 500    | 0 0 0 0       overpaid 125
        08.01 credit 125    | 0 0 0 0       overpaid 0
        """,
    "UC24, an undone refund makes money already returned a debt": """
        500 in 4 every 15 days from 01.01.2023
        02.01 refund 400    | 0 33.33 33.33 33.34
        03.01 pay 50
        16.01 pay 125       | 0 0 0 0       overpaid 75
        17.01 credit 75     | 0 0 0 0       overpaid 0
        18.01 undo 1        | 0 75 200 125
        """,
    "UC25, an uneven re-amortisation: no part below zero, the surplus moves on": """
        500 in 4 every 15 days from 01.01.2023
        08.01 refund 400    | 0 33.33 33.33 33.34
        09.01 pay 50        | 0 0 16.66 33.34
        10.01 refund 40     | 0 0 0 10
        """,
    "rounding A, whole units, the rest in the last": """
        1000 in 6 every 1 months from 01.01.2023 first 0%
        01.01 early 0.01    | 166.99 167 167 167 167 165
        """,
    "rounding B, a half goes to the even unit": """
        1250 in 4 every 15 days from 01.01.2023
        02.01 early 0.01    | 311.99 313 313 312
        """,
    "re-age, six months of what was three late": """
        1000 in 4 every 15 days from 01.01.2024
        01.01 down 250
        20.02 re-age 6 from 01.03.2024 every 1 months  | 0 0 0 0 125 125 125 125 125 125
        20.02 pay 750                                  | 0 0 0 0 0 0 0 0 0 0    overpaid 0
        """,
    "re-age by days": """
        1000 in 4 every 15 days from 01.01.2024
        01.01 down 250
        20.02 re-age 2 from 10.03.2024 every 30 days   | 0 0 0 0 375 375
        """,
    "re-age undone": """
        1000 in 4 every 15 days from 01.01.2024
        01.01 down 250
        20.02 re-age 1 from 10.03.2024 every 1 days    | 0 0 0 0 750
        25.02 undo 2                                   | 0 250 250 250
        """,
    "re-amortisation in whole units": """
        500 in 4 every 15 days from 01.01.2024
        01.01 down 125
        25.01 re-amortise   | 0 0 187 188
        """,
    "re-amortisation undone": """
        500 in 4 every 15 days from 01.01.2024
        01.01 down 125
        25.01 re-amortise   | 0 0 187 188
        26.01 undo 2        | 0 125 125 125
        """,
    "re-amortisation replayed after a payment before it was undone": """
        800 in 6 every 15 days from 01.01.2024
        01.01 down 200
        16.01 pay 120
        20.02 re-amortise   | 0 0 0 0 240 240
        25.02 undo 2        | 0 0 0 0 300 300
        """,
    "re-amortisation replayed after a payment before it was told late": """
        800 in 6 every 15 days from 01.01.2024
        01.01 down 200
        20.02 re-amortise   | 0 0 0 0 300 300
        16.01 pay 120       | 0 0 0 0 240 240
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


ALL = CASES | ALLOCATION | CHARGEBACKS | MOVED_DAYS


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
def test_a_scenario_ends_as_published(case: str) -> None:
    told = play(case)

    assert told
    assert [each.said for each in told] == [each.expected for each in told], [each.line for each in told]
