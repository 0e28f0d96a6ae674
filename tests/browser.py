"""A real browser without a window, driven over its own DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

WAIT_SECONDS_MAX = 120
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """The browser's path, if one is installed."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@dataclass
class BrowserTab:
    """One page, and what became of it."""

    socket: aiohttp.ClientWebSocketResponse
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    waiting: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    contexts: dict[str, int] = field(default_factory=dict)
    """Where scripts run, by frame."""
    said: list[str] = field(default_factory=list)
    """Warnings and errors of the page."""
    requested: list[str] = field(default_factory=list)
    """Every address that was asked for."""

    async def listen(self) -> None:
        async for message in self.socket:
            told = message.json()
            if "id" in told:
                self.waiting.pop(told["id"]).set_result(told)
            else:
                self.hear(told["method"], told.get("params", {}))

    def hear(self, method: str, about: Any) -> None:
        if method == "Runtime.executionContextCreated" and about["context"]["auxData"]["isDefault"]:
            self.contexts[about["context"]["auxData"]["frameId"]] = about["context"]["id"]
        elif method == "Log.entryAdded":
            self.said.append(f"{about['entry']['level']}: {about['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.said.append(f"exception: {about['exceptionDetails']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requested.append(f"{about['request']['method']} {about['request']['url']}")

    async def call(self, method: str, **parameters: Any) -> Any:
        number = next(self.numbers)
        future = self.waiting[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(future, WAIT_SECONDS_MAX)
        assert "error" not in told, told
        return told["result"]

    async def frames(self) -> dict[str, str]:
        """Frames by their addresses."""
        tree = (await self.call("Page.getFrameTree"))["frameTree"]
        return {one["frame"]["url"]: one["frame"]["id"] for one in (tree, *tree.get("childFrames", ()))}

    async def run(self, script: str, *, frame: str) -> Any:
        """What a script in the frame whose address contains ``frame`` gives."""
        ids = [id_ for url, id_ in (await self.frames()).items() if frame in url]
        if not ids or ids[0] not in self.contexts:
            return None
        where = {"contextId": self.contexts[ids[0]], "returnByValue": True, "awaitPromise": True}
        done = await self.call("Runtime.evaluate", expression=script, **where)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, script: str, *, frame: str) -> Any:
        """Wait until the script gives something."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
        while not (found := await self._run_if_there(script, frame=frame)):
            assert asyncio.get_running_loop().time() < deadline, (script, self.said, await self.frames())
            await asyncio.sleep(0.05)
        return found

    async def _run_if_there(self, script: str, *, frame: str) -> Any:
        """The same; nothing while the page is being left."""
        try:
            return await self.run(script, frame=frame)
        except AssertionError as gone:
            if not any(words in str(gone) for words in ("Cannot find context", "navigated", "context was destroyed")):
                raise
            return None

    async def type_into(self, id_: str, text: str, *, frame: str) -> None:
        """Type as a person does, key by key."""
        await self.run(f"document.getElementById('{id_}').focus()", frame=frame)
        for character in text:
            await self.call("Input.dispatchKeyEvent", type="keyDown", text=character, key=character)
            await self.call("Input.dispatchKeyEvent", type="keyUp", key=character)

    async def press(self, key: str) -> None:
        codes = {"Enter": (13, "\r"), "Backspace": (8, ""), "Tab": (9, "")}
        code, text = codes[key]
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    async def reload(self, frame: str) -> None:
        """Ask for the page once more; the old one answers for a while."""
        await self.run("window.isOld = true", frame=frame)
        await self.call("Page.reload")
        await self.until("!window.isOld && document.readyState === 'complete'", frame=frame)

    async def picture(self, path: Path, *, width: int, height: int) -> None:
        """A screenshot."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=False
        )
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))


@asynccontextmanager
async def browser_tab(url: str) -> AsyncIterator[BrowserTab]:
    """A tab on ``url`` in a browser of its own."""
    folder = Path(tempfile.mkdtemp(prefix="kopeyka-browser-"))
    found = program()
    assert found is not None
    process = subprocess.Popen(  # noqa: ASYNC220  # starts at once
        [found, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        async with aiohttp.ClientSession() as http:
            async with http.ws_connect(await _debugger(http, folder), max_msg_size=0) as socket:
                tab = BrowserTab(socket)
                listening = asyncio.create_task(tab.listen())
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await tab.call(f"{domain}.enable")
                await tab.call("Page.navigate", url=url)
                yield tab
            await listening
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _debugger(http: aiohttp.ClientSession, folder: Path) -> str:
    """Where the first tab is driven from."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX
    while True:
        assert asyncio.get_running_loop().time() < deadline, "the browser does not start"
        await asyncio.sleep(0.1)
        told = folder / "DevToolsActivePort"
        if not told.exists() or not (port := told.read_text().partition("\n")[0]):
            continue
        with suppress(aiohttp.ClientError):
            async with http.get(f"http://127.0.0.1:{port}/json") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
