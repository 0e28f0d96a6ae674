"""Routes of the contract, one file for each resource of it."""

from __future__ import annotations

from fastapi import APIRouter

from api.contracts.yookassa.routes import payments, pos_links, refunds, sbp_banks, unmatched, webhooks

ROUTERS: tuple[APIRouter, ...] = (
    payments.router,
    pos_links.router,
    refunds.router,
    sbp_banks.router,
    webhooks.router,
    unmatched.router,
)
"""What is not matched is last, for it matches everything."""
