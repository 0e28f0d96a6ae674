"""Whatever is written down, whoever writes it, has no card number, code or key in it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from api import logs

MIR = "2200111753579001"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    logs.set_up("debug")
    yield
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs.CarefulHandler)]
    logging.captureWarnings(False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert MIR not in out + err
    assert "cvc=123" not in out + err
    return [json.loads(line) for line in err.splitlines()]


def test_our_own_lines_hide_by_name_and_by_look(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    structlog.get_logger("x").info("paid", note=f"card {MIR}", cvc="123", deep=[{"pan": MIR}], number=int(MIR))

    (line,) = lines(capsys)
    assert (line["note"], line["cvc"], line["number"]) == ("card 220011******9001", "***", "220011******9001")


def test_an_exception_is_written_with_its_place_and_no_local_value(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up()
    secret_local = "only-in-a-local"
    try:
        raise ValueError(f"refused {MIR} cvc=123")
    except ValueError:
        structlog.get_logger("x").exception("broke")

    (line,) = lines(capsys)
    assert "test_logs.py" in line["exception"]
    assert secret_local not in line["exception"]


@pytest.mark.parametrize(
    "name", ["uvicorn.error", "starlette", "asyncio", "sqlalchemy.pool", "aiohttp.server", "anyone"]
)
def test_a_librarys_words_are_ours(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError(f"in a traceback {MIR}")
    except RuntimeError:
        logging.getLogger(name).exception("about %s", f"{MIR} cvc=123")

    (line,) = lines(capsys)
    assert (line["logger"], line["level"], line["event"]) == (name, "error", "about 220011******9001 cvc=***")
    assert "test_logs.py" in line["exception"]


def test_setting_up_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("debug")
    logging.getLogger("anyone").warning("once")

    assert len(lines(capsys)) == 1


async def test_a_task_whose_error_nobody_asked_for_is_written_so(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"Task exception was never retrieved {MIR}", "exception": ValueError(MIR)}
    )

    (line,) = lines(capsys)
    assert line["logger"] == "asyncio"


def test_a_warning_is_written_so(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"old card {MIR}", stacklevel=1)

    (line,) = lines(capsys)
    assert line["logger"] == "py.warnings"


def run(code: str) -> str:
    program = f"from api import logs\nlogs.set_up()\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert MIR not in done.stdout + done.stderr
    return done.stderr


def test_what_kills_the_process_or_a_thread_is_written_so() -> None:
    number = "'2200 1117' ' 5357 9001'"
    process = json.loads(run(f"raise ValueError({number})"))
    thread = json.loads(
        run(f"import threading\ndef f(): raise ValueError({number})\nthreading.Thread(target=f).start()")
    )

    assert process["event"] == thread["event"] == "uncaught"
    assert "ValueError: 220011******9001" in process["exception"]
    assert "ValueError: 220011******9001" in thread["exception"]
