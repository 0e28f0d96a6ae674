"""Months of plans as a newcomer plays them: the real command line, and the books equal to the plans on every day."""

from __future__ import annotations

from pathlib import Path

from api.demo.plan_purchases import THRESHOLD, PlanRun, read_wishes
from api.demo.plan_world import CARDS, card_number
from api.demo.plans import ALL_DAYS, FEW, run_of
from pci.pan import Pan
from tests.scenarios.test_demo import ended, started

DAYS = 40


def test_a_short_run_of_plans_with_killed_processes_ends_with_books_equal_to_plans(tmp_path: Path) -> None:
    found = ended(started(tmp_path, "--plans", "--orders", "8", "--days", str(DAYS), "--chaos"))

    assert found["fits"]
    assert found["kills"] == {"api": 3, "worker": 3}
    assert found["proofs"] == 2 * DAYS
    assert found["events"]["committed"] == found["asked"] == 8
    assert found["receivable_in_books_kopecks"] == found["receivable_by_plans_kopecks"]
    assert found["charges"]["captured"]["charges"] > 0
    assert found["broken_proofs"] == []
    page = (tmp_path / "plans-report.html").read_text(encoding="utf-8")
    assert "The books are the plans, to the kopeck" in page
    assert "<script" not in page


def test_dear_purchases_become_wishes_by_day_the_same_at_every_run() -> None:
    wishes = read_wishes(FEW)

    assert len(wishes) == FEW.count
    assert all(wish.purchase.amount >= THRESHOLD for wish in wishes)
    assert [wish.day for wish in wishes] == sorted(wish.day for wish in wishes)
    assert wishes == read_wishes(FEW) != read_wishes(PlanRun(FEW.count, FEW.days, 2))
    assert all(sum(int(str(item["price_kopecks"])) for item in wish.items()) == wish.purchase.amount for wish in wishes)


def test_the_command_line_chooses_how_much_is_played() -> None:
    assert run_of(is_all=False, orders=None, days=None, seed=1) == FEW
    assert run_of(is_all=True, orders=None, days=None, seed=1) == PlanRun(0, ALL_DAYS, 1)
    assert run_of(is_all=False, orders=8, days=DAYS, seed=3) == PlanRun(8, DAYS, 3)


def test_test_cards_have_check_digits_and_different_ends() -> None:
    numbers = [card_number(number) for number in range(CARDS)]

    assert [Pan(number).expose() for number in numbers] == numbers
    assert len({number[-4:] for number in numbers}) == CARDS
