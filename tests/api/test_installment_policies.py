"""Decision policies over HTTP: published from a day on, listed, shown, never rewritten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Client
from tests.api.installment_world import api_key_of, today_plus

POLICIES = "/v1/installments/decision-policies"


def policy(**changes: Any) -> dict[str, Any]:
    return {
        "name": "harder", "effective_on": today_plus(1), "age_min": 21, "freeze_days_overdue": 1,
        "freeze_days_after": 30, "plans_max": 3, "first_plan_max_kopecks": 1_000_000,
        "share_after_arrears_basis_points": 2_500,
    } | changes  # fmt: skip


async def test_a_version_is_published_listed_and_shown(client: Client) -> None:
    answer = await client.post(POLICIES, policy())
    assert answer.status_code == 201, answer.text
    made = answer.json()

    listed = (await client.get(POLICIES)).json()

    assert made == policy() | {"version": 2, "scoring": "history"}
    assert [one["version"] for one in listed] == [1, 2]
    assert (await client.get(f"{POLICIES}/2")).json() == made == listed[1]
    events = (await client.get("/v1/events?limit=100")).json()["items"]
    assert [one["data"]["version"] for one in events if one["type"] == "decision_policy.published"] == [2]


async def test_the_same_request_again_publishes_once(client: Client) -> None:
    key = "0" * 32
    answers = [await client.post(POLICIES, policy(), key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert len((await client.get(POLICIES)).json()) == 2


async def test_two_who_publish_at_once_make_one_version_of_a_day(client: Client) -> None:
    answers = await asyncio.gather(*(client.post(POLICIES, policy(name=f"by-{number}")) for number in range(3)))

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"effective_on": today_plus(-1)}, id="from-yesterday"),
        pytest.param({"scoring": "oracle"}, id="a-scoring-nobody-wrote"),
        pytest.param({"age_min": 17}, id="a-minor"),
        pytest.param({"first_plan_max_kopecks": 0}, id="no-first-plan"),
        pytest.param({"version": 7}, id="a-number-of-ones-own"),
    ],
)
async def test_what_could_not_decide_is_refused(client: Client, change: dict[str, Any]) -> None:
    refused = await client.post(POLICIES, policy(**change))

    assert refused.status_code == 422, refused.text
    assert len((await client.get(POLICIES)).json()) == 1


async def test_a_version_before_the_last_one_is_refused_and_an_unknown_one_is_not_there(client: Client) -> None:
    await client.post(POLICIES, policy(effective_on=today_plus(5)))

    earlier = await client.post(POLICIES, policy())

    assert (earlier.status_code, earlier.json()["code"]) == (422, "installments.policy_refused")
    missing = await client.get(f"{POLICIES}/9")
    assert (missing.status_code, missing.json()["code"]) == (404, "installments.policy_not_found")


async def test_policies_are_the_house_s_alone(client: Client) -> None:
    stranger = await api_key_of(client, None)

    assert (await stranger.get(POLICIES)).status_code == 403
