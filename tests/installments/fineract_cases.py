"""Apache Fineract's public zero-interest scenarios that publish what is owed, but no schedule table in a feature file.

Source: Apache Fineract (Apache-2.0): integration tests of the advanced payment allocation (``UC…``) and end-to-end
scenarios (``C…``) of chargebacks. Figures only. Those with tables are in ``data/fineract_*.txt``.
"""

from __future__ import annotations

FOUR = "500 in 4 every 15 days from 01.01.2023"
MONTHLY = "750 in 3 every 1 months from 01.01.2023 due 01.02.2023 first 0%"
MONTHLY_3000 = "3000 in 3 every 1 months from 01.01.2022 due 01.02.2022 first 0%"
ONE = "1000 in 1 every 30 days from 01.01.2022 due 31.01.2022"

ALLOCATION = {
    "UC2, too much at the end": f"""
        {FOUR}
        01.01 down 125
        16.01 pay 150       | 0 0 100 125
        31.01 pay 125       | 0 0 0 100
        15.02 pay 125       | 0 0 0 0          overpaid 25
        """,
    "UC3, goodwill from the end, then too much": f"""
        {FOUR}
        01.01 down 125
        16.01 goodwill 150  | 0 0 125 100
        31.01 pay 125       | 0 0 0 100
        15.02 pay 125       | 0 0 0 0          overpaid 25
        """,
    "UC5, a refund of what is past due, then on time": f"""
        {FOUR}
        01.01 down 125
        01.01 undo 1        | 125 125 125 125
        08.01 refund 300    | 0 66.67 66.67 66.66
        16.01 pay 66.67     | 0 0 66.67 66.66
        31.01 pay 66.67     | 0 0 0 66.66
        15.02 pay 66.66     | 0 0 0 0          overpaid 0
        """,
    "UC7, a refund after the day's payment, then on time": f"""
        {FOUR}
        01.01 down 125
        16.01 pay 125       | 0 0 125 125
        16.01 refund 200    | 0 0 25 25
        31.01 pay 25        | 0 0 0 25
        15.02 pay 25        | 0 0 0 0          overpaid 0
        """,
    "UC8, a refund of two that are past due, then on time": f"""
        {FOUR}
        01.01 down 125
        01.01 undo 1
        16.01 pay 125
        16.01 undo 3        | 125 125 125 125
        17.01 refund 300    | 0 0 100 100
        31.01 pay 100       | 0 0 0 100
        15.02 pay 100       | 0 0 0 0          overpaid 0
        """,
    "UC9, a payout refund in advance": f"""
        {FOUR}
        01.01 down 125
        05.01 payout 200    | 0 0 50 125
        31.01 pay 50        | 0 0 0 125
        15.02 pay 125       | 0 0 0 0          overpaid 0
        """,
    "UC10, a payout refund of what is past due and next": f"""
        {FOUR}
        01.01 down 125
        16.01 pay 125
        16.01 undo 2        | 0 125 125 125
        17.01 payout 200    | 0 0 50 125
        31.01 pay 50        | 0 0 0 125
        15.02 pay 125       | 0 0 0 0          overpaid 0
        """,
    "UC11, a payout refund of nearly all": f"""
        {FOUR}
        01.01 down 125
        01.01 undo 1
        15.01 payout 400    | 0 0 0 100
        15.02 pay 100       | 0 0 0 0          overpaid 0
        """,
    "UC12, goodwill in advance": f"""
        {FOUR}
        01.01 down 125
        08.01 goodwill 200  | 0 125 50 0
        16.01 pay 125       | 0 0 50 0
        31.01 pay 50        | 0 0 0 0          overpaid 0
        """,
    "UC13, goodwill of what is past due and last": f"""
        {FOUR}
        01.01 down 125
        16.01 pay 125
        16.01 undo 2
        18.01 goodwill 200  | 0 0 125 50
        31.01 pay 125       | 0 0 0 50
        15.02 pay 50        | 0 0 0 0          overpaid 0
        """,
    "UC14, a refund smaller than what is past due": f"""
        {FOUR}
        17.01 refund 200    | 0 50 125 125
        31.01 pay 125       | 0 0 50 125
        15.02 pay 175       | 0 0 0 0          overpaid 0
        """,
    "UC15, goodwill of a missed first part": f"""
        {FOUR}
        15.01 goodwill 200  | 0 125 125 50
        16.01 pay 125       | 0 0 125 50
        31.01 pay 125       | 0 0 0 50
        15.02 pay 50        | 0 0 0 0          overpaid 0
        """,
    "UC17a, a full refund of goods": f"""
        {FOUR}
        01.01 down 125
        08.01 refund 500    | 0 0 0 0          overpaid 125
        09.01 credit 125    | 0 0 0 0          overpaid 0
        """,
    "UC17b, a full payout refund": f"""
        {FOUR}
        01.01 down 125
        08.01 payout 500    | 0 0 0 0          overpaid 125
        09.01 credit 125    | 0 0 0 0          overpaid 0
        """,
    "UC17c, all forgiven": f"""
        {FOUR}
        01.01 down 125
        08.01 goodwill 500  | 0 0 0 0          overpaid 125
        09.01 credit 125    | 0 0 0 0          overpaid 0
        """,
    "UC18, a full refund after the last day": f"""
        {FOUR}
        01.01 down 125
        16.01 pay 125
        31.01 pay 125
        15.02 pay 125       | 0 0 0 0          overpaid 0
        18.02 refund 500    | 0 0 0 0          overpaid 500
        20.02 credit 500    | 0 0 0 0          overpaid 0
        """,
}

CHARGEBACKS = {
    "C2441, of a debt that was paid": f"""
        {ONE}
        01.02 pay 1000              | 0        overpaid 0
        25.02 chargeback 250 of 1   | 0 250    overpaid 0
        """,
    "C2444, paid again": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        01.04 pay 250               | 0 0 0
        25.04 chargeback 250 of 1   | 0 0 0 250
        25.04 pay 250               | 0 0 0 0  overpaid 0
        """,
    "C2445, again of another payment": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        01.04 pay 250
        25.04 chargeback 250 of 1   | 0 0 0 250
        25.04 pay 250               | 0 0 0 0
        01.05 chargeback 200 of 2   | 0 0 0 200
        """,
    "C2447, above what was overpaid": f"""
        {ONE}
        01.02 pay 1200              | 0        overpaid 200
        25.02 chargeback 250 of 1   | 0 50     overpaid 0
        """,
    "C2448, below what was overpaid": f"""
        {ONE}
        01.02 pay 1300              | 0        overpaid 300
        25.02 chargeback 250 of 1   | 0        overpaid 50
        """,
    "C2449, exactly what was overpaid": f"""
        {ONE}
        01.02 pay 1250              | 0        overpaid 250
        25.02 chargeback 250 of 1   | 0        overpaid 0
        """,
    "C2460, paid back part by part": f"""
        {MONTHLY_3000}
        01.02 pay 1000
        01.03 pay 1000
        15.03 chargeback 1000 of 1  | 0 0 2000
        20.03 pay 1000              | 0 0 1000
        01.04 pay 1000              | 0 0 0    overpaid 0
        """,
    "C2486, then goodwill, payout and goods told late": f"""
        {ONE}
        01.02 pay 1000              | 0        overpaid 0
        25.02 chargeback 1000 of 1  | 0 1000
        15.01 goodwill 1000         | 0        overpaid 0
        17.01 goodwill 100          | 0        overpaid 100
        18.01 payout 100            | 0        overpaid 200
        19.01 refund 100            | 0        overpaid 300
        """,
    "C2543, before the last day": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        30.03 pay 250               | 0 0 0
        30.03 chargeback 250 of 2   | 0 0 250
        """,
}
