"""Logs: one JSON object a line on standard error, with the request's id and without secrets."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from pci.redaction import redact


def set_up(level: str = "info") -> None:
    """Make structlog write what we want; uvicorn's own access log stays off (``access_log=False``)."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            hide_secrets,
            structlog.processors.JSONRenderer(serializer=_dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nothing secret is written, whoever logs it: by its name or by its look."""
    hidden: MutableMapping[str, Any] = redact(event)
    return hidden


def _dumps(value: Any, default: Any = str, **_options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=default)
