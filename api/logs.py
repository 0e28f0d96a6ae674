"""Logs: one JSON object a line on standard error, with the request's id and without secrets.

Ours go through structlog. What libraries say (uvicorn, asyncio, SQLAlchemy, warnings) and what kills a thread or the
process comes the other way, through ``logging``, and is written in the same form and as carefully. Tracebacks say where
and never with what local values.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from pci.redaction import is_plain_line, redact


def set_up(level: str = "info") -> None:
    """Make structlog write what we want, and libraries with it; uvicorn's own access log stays off."""
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
    take_in_libraries()


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Nothing secret is written, whoever logs it: by its name or by its look."""
    hidden: MutableMapping[str, Any] = event if is_plain_line(event) else redact(event)
    return hidden


class CarefulHandler(logging.Handler):
    """Writes what others log as we would."""

    def emit(self, record: logging.LogRecord) -> None:
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = "".join(traceback.format_exception(record.exc_info[1]))
        sys.stderr.write(_dumps(redact(line)) + "\n")


def take_in_libraries() -> None:
    """Send what is logged by ``logging``, warned of, or raised and never caught to the careful handler, once."""
    root = logging.getLogger()
    if not any(isinstance(handler, CarefulHandler) for handler in root.handlers):
        root.addHandler(CarefulHandler(logging.WARNING))
    logging.captureWarnings(True)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = log_uncaught
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_uncaught_of_thread


def log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last word of a process that nobody saved."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("process").critical("uncaught", exc_info=(kind, error, trace))


def _log_uncaught_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        log_uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _dumps(value: Any, default: Any = str, **_options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=default)
