"""Where the buyer's form leads back to: the shop's own pages."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.database import Session, text

URL_CHARACTERS_MAX = 2_048


@dataclass(frozen=True, slots=True)
class ReturnUrls:
    """The shop's pages for a plan that came about, and for one that did not."""

    success_url: str | None = None
    fail_url: str | None = None


async def add_return_urls(session: Session, plan_id: str, urls: ReturnUrls) -> None:
    """Keep where a new plan leads back to."""
    if urls == ReturnUrls():
        return
    await session.execute(
        text("""INSERT INTO plan_return_urls (plan_id, success_url, fail_url) VALUES (:plan_id, :success, :fail)
                ON CONFLICT (plan_id) DO NOTHING"""),
        {"plan_id": plan_id, "success": urls.success_url, "fail": urls.fail_url},
    )


async def find_return_urls(session: Session, plan_id: str) -> ReturnUrls:
    """Where a plan leads back to: as its shop said by either API."""
    row = (
        await session.execute(
            text("""SELECT success_url, fail_url FROM plan_return_urls WHERE plan_id = :plan_id
                    UNION ALL
                    SELECT success_url, fail_url FROM dolyame_orders WHERE plan_id = :plan_id
                    LIMIT 1"""),
            {"plan_id": plan_id},
        )
    ).first()
    return ReturnUrls() if row is None else ReturnUrls(row.success_url, row.fail_url)
