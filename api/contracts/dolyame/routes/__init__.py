"""Routes of the contract."""

from __future__ import annotations

from fastapi import APIRouter

from api.contracts.dolyame.routes import orders, refunds, unmatched

ROUTERS: tuple[APIRouter, ...] = (orders.router, refunds.router, unmatched.router)
"""What is not matched is last, for it matches everything."""
