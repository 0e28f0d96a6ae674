"""What ends a demo.

KopeykaError
└── DemoFailed
"""

from __future__ import annotations

from ledger.errors import KopeykaError


class DemoFailed(KopeykaError):
    """The demo did not come to its end."""

    code = "api.demo_failed"
