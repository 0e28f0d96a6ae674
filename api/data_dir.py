"""The data directory of an embedded PostgreSQL: where it is, who owns it, who holds it, its secrets.

    <data-dir>/lock              held by the one process that runs on it; its pid is inside
    <data-dir>/secrets.json      generated passwords, 0600
    <data-dir>/postgresql.conf   rewritten at each start
    <data-dir>/postgresql.log    what the server says
    <data-dir>/postgresql/       the cluster, 0700, owned by the server's user
    <data-dir>/run/              the socket, 0700, owned by the server's user

Only directories made here are ever owned or restricted; those of others are left as they are.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import KopeykaError

SYSTEM_USER = "kopeyka"
SYSTEM_HOME = Path("/var/lib/kopeyka")
PASSWORDS = (
    "postgres",
    "kopeyka_migrator",
    "kopeyka_app",
    "kopeyka_sequencer",
    "kopeyka_vault",
    "kopeyka_vault_sequencer",
)
"""The roles of the embedded server that log in."""


class StartRefused(KopeykaError):
    """The installation cannot start."""

    code = "api.start_refused"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom PostgreSQL runs as when we are root, because it refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class DataDir:
    """A prepared data directory."""

    path: Path
    user: ServerUser | None
    """None when the server runs as ourselves."""

    @property
    def cluster(self) -> Path:
        """The cluster's own files."""
        return self.path / "postgresql"

    @property
    def run(self) -> Path:
        """Where the socket is, unless its path would be too long."""
        return self.path / "run"

    def give(self, path: Path) -> None:
        """Let the server own a directory of ours, and nobody else read it."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.user is not None:
            os.chown(path, self.user.uid, self.user.gid)


def default_path() -> Path:
    """Where data lives when nobody says: the system's place for root, the user's own otherwise."""
    if os.geteuid() == 0:
        return SYSTEM_HOME
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "kopeyka"


def prepare(path: Path | None = None) -> DataDir:
    """Make (or find) the data directory and everything in it that is not PostgreSQL's.

    Raises: StartRefused if it is somebody else's directory, or the server could not reach it.
    """
    path = (path or default_path()).expanduser().absolute()
    if path.is_dir() and not (path / "lock").exists() and any(map(is_foreign, path.iterdir())):
        raise StartRefused(f"{path} is not empty and not ours: choose an empty or a new --data-dir")
    user = server_user() if os.geteuid() == 0 else None
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    standing = missing[-1].parent if missing else path
    if user is not None and not can_reach(user, standing):
        raise StartRefused(f"the user {user.name} cannot reach {standing}: choose a --data-dir it may enter")
    try:
        for folder in reversed(missing):
            folder.mkdir()
            folder.chmod(0o755 if user else 0o700)  # whatever the umask says
    except OSError as error:
        raise StartRefused(f"cannot make {path} ({error.strerror}): choose another --data-dir") from error
    place = DataDir(path, user)
    place.give(place.cluster)
    place.give(place.run)
    return place


def is_foreign(entry: Path) -> bool:
    """Whether something in a data directory is not ours. Copied programs may be there before the data."""
    return not entry.name.lstrip(".").startswith("postgresql-")


def server_user() -> ServerUser:
    """The system user of an installation run by root, made when missing."""
    try:
        found = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _add_system_user()
        found = pwd.getpwnam(SYSTEM_USER)
    return ServerUser(SYSTEM_USER, found.pw_uid, found.pw_gid)


def _add_system_user() -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise StartRefused(f"PostgreSQL will not run as root and useradd is missing: add a user {SYSTEM_USER}")
    shell = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin") or "/bin/false"
    made = subprocess.run(
        [useradd, "--system", "--user-group", "--home-dir", str(SYSTEM_HOME), "--no-create-home",
         "--shell", shell, SYSTEM_USER],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode not in (0, 9):  # 9: another process has just made it
        raise StartRefused(f"could not add the system user {SYSTEM_USER}: {made.stderr.strip()}")


def can_reach(user: ServerUser, path: Path) -> bool:
    """Whether ``user`` may enter every directory on the way to ``path``, and ``path`` itself."""
    tried = subprocess.run(
        [shutil.which("test") or "/usr/bin/test", "-x", str(path)],
        user=user.uid, group=user.gid, extra_groups=[], cwd="/", check=False,
    )  # fmt: skip
    return tried.returncode == 0


@dataclass(slots=True)
class Lock:
    """The right to run on a data directory. Kept by the file descriptor, so a crash gives it back."""

    descriptor: int

    def release(self) -> None:
        """Let another process start here."""
        os.close(self.descriptor)


def hold(place: DataDir) -> Lock:
    """Take the data directory for this process.

    Raises: StartRefused if another process runs on it.
    """
    descriptor = os.open(place.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 32).decode().strip() or "unknown"
        os.close(descriptor)
        raise StartRefused(
            f"Kopeyka already runs on {place.path} (pid {pid}): stop it or choose another --data-dir"
        ) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return Lock(descriptor)


def passwords(place: DataDir) -> Mapping[str, str]:
    """The generated passwords of this installation, made at the first call."""
    path = place.path / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if missing := [role for role in PASSWORDS if role not in known]:
        known |= {role: secrets.token_urlsafe(24) for role in missing}
        write_private(path, json.dumps(known, indent=2))
    return known


def write_private(path: Path, content: str) -> None:
    """Write a file that only we may read, all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
