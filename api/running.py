"""What runs under one supervisor, and the file that says where everything is."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from api.data_dir import write_private
from api.installation import Databases
from api.postgres import Server
from api.processes import Child
from api.settings import Settings
from tokenization.settings import VaultSettings

LOOK_SECONDS = 0.1
"""How often everybody is looked after."""

Announce = Callable[[str], None]


class Stopped(Exception):  # not an error: somebody asked
    """SIGTERM or Ctrl-C came."""


@dataclass(slots=True)
class Installation:
    """Everything that runs under one supervisor."""

    settings: Settings
    announce: Announce
    databases: Databases
    server: Server | None = None
    scratch: Path = Path()
    """For files that are worth nothing after the stop."""
    children: list[Child] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)
    sandbox_key: str = ""
    vault_settings: VaultSettings = field(default_factory=VaultSettings)
    runtime_files: list[Path] = field(default_factory=list)
    dolyame: dict[str, str] = field(default_factory=dict)
    """What a client of the sandbox's own shop of Долями is given."""
    stop_asked: bool = False

    def pause(self) -> None:
        """Wait a moment. Raises: Stopped."""
        time.sleep(LOOK_SECONDS)
        if self.stop_asked:
            raise Stopped


def write_runtime(running: Installation) -> None:
    """Say where everything is. The file has keys in it, so only we may read it."""
    pids: dict[str, list[int]] = {"supervisor": [os.getpid()]}
    for child in running.children:
        if child.pid is not None:
            pids.setdefault(child.name.split("-")[0], []).append(child.pid)
    told: Mapping[str, object] = {
        "urls": running.urls | phone_url(running),
        "ports": {name: int(url.rsplit(":", 1)[1]) for name, url in running.urls.items() if url.count(":") > 1},
        "pids": pids,
        "postgres_pid": running.server.pid if running.server else None,
        "data_dir": str(running.server.place.path) if running.server else None,
        "database_urls": asdict(running.databases),
        "sandbox_key": running.sandbox_key,
        "dolyame": running.dolyame,
    }
    for path in running.runtime_files:
        write_private(path, json.dumps(told, indent=2))


def phone_url(running: Installation) -> dict[str, str]:
    """Where a browser plays the buyer's phone, and a whole till beside it, if there are simulators."""
    simulators, api = running.urls.get("simulators"), running.urls.get("api")
    return ({"phone": f"{simulators}/phone"} if simulators else {}) | (
        {"till": f"{api}/till"} if simulators and api else {}
    )


def forget_runtime(running: Installation) -> None:
    """Take the files away: nothing is where they say any more."""
    for path in running.runtime_files:
        path.unlink(missing_ok=True)
