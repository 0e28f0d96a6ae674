"""More of Apache Fineract's public zero-interest scenarios, by theme, with a table after each step that it publishes.

Source: Apache Fineract (Apache-2.0): integration tests of the advanced payment allocation (``UC…``) and end-to-end
scenarios (``C…``) of down payments, chargebacks, re-ages and re-amortisations. Figures only; the tables are ours.
"""

from __future__ import annotations

FOUR = "500 in 4 every 15 days from 01.01.2023"
FOUR_OF_1000 = "1000 in 4 every 15 days from 01.01.2024"
FOUR_OF_500 = "500 in 4 every 15 days from 01.01.2024"
SIX = "800 in 6 every 15 days from 01.01.2024"
MONTHLY = "750 in 3 every 1 months from 01.01.2023 due 01.02.2023 first 0%"
MONTHLY_3000 = "3000 in 3 every 1 months from 01.01.2022 due 01.02.2022 first 0%"
ONE = "1000 in 1 every 30 days from 01.01.2022 due 31.01.2022"

ALLOCATION = {
    "UC1, on their days": f"""
        {FOUR}
        01.01 down 125      | 0 125 125 125
        16.01 pay 125       | 0 0 125 125
        31.01 pay 125       | 0 0 0 125
        15.02 pay 125       | 0 0 0 0          overpaid 0
        """,
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
    "UC4, failed payments and late ones": f"""
        {FOUR}
        01.01 down 125
        01.01 undo 1        | 125 125 125 125
        16.01 pay 125
        16.01 undo 3        | 125 125 125 125
        20.01 pay 100       | 25 125 125 125
        31.01 pay 40        | 0 110 125 125
        15.02 pay 360       | 0 0 0 0          overpaid 0
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
    "UC24, replayed to its end": f"""
        {FOUR}
        02.01 refund 400    | 0 33.33 33.33 33.34
        04.01 pay 50        | 0 0 16.66 33.34
        16.01 pay 125       | 0 0 0 0          overpaid 75
        18.01 credit 75     | 0 0 0 0          overpaid 0
        20.01 undo 1        | 0 75 200 125     overpaid 0
        31.01 pay 275       | 0 0 0 125
        15.02 pay 125       | 0 0 0 0          overpaid 0
        """,
    "C2812, months with a first part": """
        1000 in 4 every 1 months from 01.01.2022
        01.01 down 250      | 0 250 250 250
        01.02 pay 250       | 0 0 250 250
        15.02 pay 400       | 0 0 0 100
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
    "C2544, before the last day and paid on it": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        30.03 pay 250
        30.03 chargeback 250 of 2   | 0 0 250
        01.04 pay 250               | 0 0 0    overpaid 0
        """,
    "C2545, another payment undone": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        30.03 pay 250
        30.03 chargeback 250 of 2
        01.04 pay 250               | 0 0 0    overpaid 0
        01.04 undo 1                | 0 0 250  overpaid 0
        """,
    "C2610, after the last day, another payment undone": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        01.04 pay 250
        25.04 chargeback 250 of 2   | 0 0 0 250
        25.04 pay 250               | 0 0 0 0
        25.04 undo 1                | 0 0 0 250
        """,
    "C2611, after the last day, two payments undone": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        01.04 pay 250
        25.04 chargeback 250 of 2
        25.04 pay 250               | 0 0 0 0
        25.04 undo 1
        25.04 undo 3                | 0 0 250 250
        """,
    "C2623, a second one moves the added part to its day": f"""
        {MONTHLY}
        01.02 pay 250
        01.03 pay 250
        01.04 pay 250
        25.04 chargeback 250 of 2   | 0 0 0 250
        25.04 pay 250               | 0 0 0 0
        01.05 chargeback 200 of 3   | 0 0 0 200
        """,
}

MOVED_DAYS = {
    "C3069, what is late over two": f"""
        {FOUR_OF_500}
        01.01 down 125
        25.01 re-amortise           | 0 0 187 188
        """,
    "C3074, all late on the last": f"""
        {FOUR_OF_500}
        01.01 down 125
        01.02 re-amortise           | 0 0 0 375
        """,
    "C3075, a payment told late": f"""
        {FOUR_OF_500}
        01.01 down 125
        01.02 re-amortise           | 0 0 0 375
        15.01 pay 125               | 0 0 0 250
        """,
    "C3077, on the day that one is due": f"""
        {FOUR_OF_500}
        01.01 down 125
        31.01 re-amortise           | 0 0 0 375
        """,
    "C3078, of a part that was paid in part": f"""
        {FOUR_OF_500}
        01.01 down 125
        17.01 pay 50                | 0 75 125 125
        30.01 re-amortise           | 0 0 163 162
        """,
    "C3112, replayed without an undone payment": f"""
        {SIX}
        01.01 down 200
        16.01 pay 120
        20.02 re-amortise           | 0 0 0 0 240 240
        25.02 undo 2                | 0 0 0 0 300 300
        """,
    "C3113, replayed with a payment told late": f"""
        {SIX}
        01.01 down 200
        20.02 re-amortise           | 0 0 0 0 300 300
        16.01 pay 120               | 0 0 0 0 240 240
        """,
    "C3115, paid a little in advance before": f"""
        {SIX}
        01.01 down 200
        16.01 pay 140
        20.02 re-amortise           | 0 0 0 0 230 230
        """,
    "C3053, a chargeback after a re-age": f"""
        {FOUR_OF_1000}
        01.01 pay 250                                  | 0 250 250 250
        21.02 re-age 3 from 10.03.2024 every 2 months  | 0 0 0 0 250 250 250
        25.02 chargeback 250 of 1                      | 0 0 0 0 500 250 250
        """,
    "C3054, a payment told late, then the re-age undone": f"""
        {FOUR_OF_1000}
        01.01 down 250
        27.02 re-age 6 from 01.03.2024 every 1 months  | 0 0 0 0 125 125 125 125 125 125
        01.02 pay 250
        27.02 undo 2                                   | 0 0 250 250
        """,
    "C3055, the first part undone, then the re-age": f"""
        {FOUR_OF_1000}
        01.01 down 250
        27.02 re-age 6 from 01.03.2024 every 1 months
        27.02 undo 1
        27.02 undo 2                                   | 250 250 250 250
        """,
    "C3056, a chargeback before the last day, then a re-age to the cent": f"""
        {FOUR_OF_1000} to the kopeck
        01.01 pay 250
        02.02 chargeback 125 of 1                      | 0 250 250 375
        21.02 re-age 3 from 10.03.2024 every 2 months  | 0 0 0 0 291.67 291.67 291.66
        """,
    "C3057, a chargeback after the last day, then a re-age to the cent": f"""
        {FOUR_OF_1000} to the kopeck
        01.01 pay 250
        20.02 chargeback 125 of 1                      | 0 250 250 250 125
        21.02 re-age 3 from 10.03.2024 every 2 months  | 0 0 0 0 0 291.67 291.67 291.66
        """,
    "C3059, a part that was paid in part": f"""
        {FOUR_OF_500}
        01.01 down 125
        16.01 pay 50                                   | 0 75 125 125
        27.02 re-age 6 from 01.03.2024 every 1 months  | 0 0 0 0 54 54 54 54 54 55
        29.02 undo 3                                   | 0 75 125 125
        """,
    "C3107, replayed without an undone payment": f"""
        {FOUR_OF_500}
        01.01 down 125
        16.01 pay 125
        20.02 re-age 2 from 01.03.2024 every 1 months  | 0 0 0 0 125 125
        25.02 undo 2                                   | 0 0 0 0 188 187
        """,
    "C3108, replayed with a payment told late": f"""
        {FOUR_OF_500}
        01.01 down 125
        20.02 re-age 2 from 01.03.2024 every 1 months  | 0 0 0 0 188 187
        16.01 pay 125                                  | 0 0 0 0 125 125
        """,
}
