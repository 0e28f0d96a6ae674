"""What the rules and the vault need to know of a database: a session somebody else opened, and whose tables are whose.

The door opens transactions (``ledger.database.transaction`` is the only commit) and hands sessions in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncConnection

Session = AsyncConnection
"""One open transaction on one connection."""

Transactions = Callable[[], AbstractAsyncContextManager[Session]]
"""Opens one transaction: commits when the block ends, rolls back when it raises."""

vault_metadata = sqlalchemy.MetaData()
"""Every table of ``kopeyka_vault``, for Alembic; the log's tables aside."""

audit_metadata = sqlalchemy.MetaData()
"""The log's tables, which both databases have."""
