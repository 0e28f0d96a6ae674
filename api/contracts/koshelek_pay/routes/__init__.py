"""Routes of the contract."""

from __future__ import annotations

from fastapi import APIRouter

from api.contracts.koshelek_pay.routes import availability, payments, receipts, refunds, unmatched

ROUTERS: tuple[APIRouter, ...] = (
    availability.router, payments.router, refunds.router, receipts.router, unmatched.router,
)  # fmt: skip
"""What is not matched is last, for it matches everything."""
