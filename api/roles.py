"""The roles of Kopeyka as child processes: what each runs and what it is told."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path

from prometheus_client import multiprocess

from api.acquirer_simulator import ACQUIRER_LISTEN_FD, ACQUIRER_STATE
from api.contracts.dolyame.shops import PREFIX
from api.data_dir import StartRefused, write_private
from api.dolyame_certificates import DOOR, SHOP, DolyameCertificates, make_dolyame_certificates
from api.dolyame_sandbox import sandbox_shop
from api.processes import Child
from api.running import Installation
from api.sandbox_certificates import SandboxCertificates, make_certificates
from api.serve import LISTEN_FD, PUBLIC_LISTEN_FD, listening_sockets
from api.settings import Mode
from api.simulators_tls import CERTIFICATES, TLS_LISTEN_FD
from api.vault_certificates import VaultCertificates, make_vault_certificates
from ledger.clock import machine_now
from ledger.ids import new_secret
from sbp_gateway.simulator.tkassa import TERMINAL
from tokenization.settings import KeyKeeper

WITHHELD = frozenset({"KOPEYKA_MIGRATOR_DATABASE_URL", "KOPEYKA_SEQUENCER_DATABASE_URL", LISTEN_FD})
"""What children never get, whatever we were started with."""
VAULT_LINK = frozenset({"URL", "CA_FILE", "CERT_FILE", "KEY_FILE"})
"""All that is told of the vault (``KOPEYKA_VAULT_…``) to whoever is not the vault."""
OF_THE_VAULT = frozenset({"KOPEYKA_MODE", "KOPEYKA_LOG_LEVEL"})
"""All that the vault is told of the rest."""
OF_THE_SEALER = OF_THE_VAULT | {"KOPEYKA_SEQUENCER_DATABASE_URL", "KOPEYKA_VAULT_SEQUENCER_DATABASE_URL"}
"""All that the sealer is told, besides what is of the log (``KOPEYKA_AUDIT_…``). Nobody else gets these two."""
DOLYAME_FOLDER = "dolyame"
"""In the data directory: certificates of Долями's door and shops."""


class Role(StrEnum):
    """What a process is for."""

    ALL = "all"
    API = "api"
    WORKER = "worker"
    VAULT = "vault"
    SEALER = "sealer"
    SIMULATORS = "simulators"


def add_simulators(running: Installation, role: Role, stack: ExitStack) -> None:
    """The outside world on a port of its own, with a file in which it remembers."""
    port = running.settings.port if role is Role.SIMULATORS else 0
    (listener,) = listen(running, port, 1, stack)
    running.urls["simulators"] = url_of(listener)
    folder = running.server.place.path if running.server is not None else running.scratch
    own = {LISTEN_FD: str(listener.fileno()), "KOPEYKA_SIMULATORS_STATE": str(folder / "simulators.jsonl")}
    listeners = [listener]
    if running.settings.sandbox_mutual_tls:
        (tls_listener,) = listen(running, 0, 1, stack)
        listeners.append(tls_listener)
        running.urls["nspk"] = url_of(tls_listener).replace("http://", "https://")
        made = make_certificates(certificates_folder(running), now=machine_now())
        own |= {TLS_LISTEN_FD: str(tls_listener.fileno()), CERTIFICATES: str(made.folder)}
    descriptors = [open_one.fileno() for open_one in listeners]
    running.children.append(Child("simulators", python("api.simulators"), own, descriptors))


def certificates_folder(running: Installation) -> Path:
    """Where the sandbox's certificates are kept: in the data directory, if there is one."""
    return (running.server.place.path if running.server is not None else running.scratch) / "certificates"


def nspk_environment(running: Installation) -> dict[str, str]:
    """How children reach NSPK: where the settings say, or the simulator, over mutual TLS when it speaks it."""
    url = running.urls.get("nspk")
    if running.settings.nspk_url or url is None:
        return {"KOPEYKA_NSPK_URL": running.settings.nspk_url or running.urls.get("simulators", "")}
    ours = SandboxCertificates(certificates_folder(running)).agent
    return {
        "KOPEYKA_NSPK_URL": url,
        "KOPEYKA_NSPK_CA_FILE": str(ours.ca),
        "KOPEYKA_NSPK_CERT_FILE": str(ours.certificate),
        "KOPEYKA_NSPK_KEY_FILE": str(ours.key),
    }


def add_api(running: Installation, stack: ExitStack) -> None:
    """As many api processes as the settings say, each with its socket on the same port."""
    settings = running.settings
    listeners = listen(running, settings.port, settings.workers, stack)
    running.urls["api"] = settings.public_url or url_of(listeners[0])
    metrics = running.scratch / "metrics"
    metrics.mkdir()
    for number, listener in enumerate(listeners, start=1):
        own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        command = python("api.serve", "api.app:create_app")
        bury = partial(multiprocess.mark_process_dead, path=str(metrics))  # the dead have nothing in flight
        running.children.append(Child(f"api-{number}", command, own, [listener.fileno()], bury))
    if settings.nspk_notifications_port is not None:
        (listener,) = listen(running, settings.nspk_notifications_port, 1, stack)
        running.urls["notifications"] = url_of(listener).replace("http://", "https://")
        own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        bury = partial(multiprocess.mark_process_dead, path=str(metrics))
        running.children.append(Child("api-nspk", python("api.serve_nspk"), own, [listener.fileno()], bury))
    add_dolyame(running, metrics, stack)


def add_dolyame(running: Installation, metrics: Path, stack: ExitStack) -> None:
    """The door of Долями's shops: where the settings say, else on a free port of a sandbox."""
    settings = running.settings
    if settings.dolyame_port is None and settings.mode is Mode.PRODUCTION:
        return
    (listener,) = listen(running, settings.dolyame_port or 0, 1, stack)
    running.urls["dolyame"] = url_of(listener).replace("http://", "https://")
    own = {LISTEN_FD: str(listener.fileno()), "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    if settings.dolyame_cert_file is None:
        made = make_dolyame_certificates(dolyame_folder(running), now=machine_now())
        own |= {
            "KOPEYKA_DOLYAME_CERT_FILE": str(made.certificate(DOOR)),
            "KOPEYKA_DOLYAME_KEY_FILE": str(made.key(DOOR)),
            "KOPEYKA_DOLYAME_CA_FILE": str(made.ca),
        }
    bury = partial(multiprocess.mark_process_dead, path=str(metrics))
    running.children.append(Child("dolyame", python("api.serve_dolyame"), own, [listener.fileno()], bury))


def dolyame_shop(running: Installation) -> dict[str, str]:
    """What a client of the sandbox's own shop is given; nothing where certificates are not ours to make."""
    if running.settings.dolyame_cert_file is not None or "dolyame" not in running.urls:
        return {}
    made = DolyameCertificates(dolyame_folder(running))
    shop = asyncio.run(sandbox_shop(running.databases.app, made))
    return {
        "base_url": running.urls["dolyame"] + PREFIX, "login": shop.login, "password": shop.password,
        "merchant_id": shop.merchant_id, "certificate": str(made.certificate(SHOP)), "key": str(made.key(SHOP)),
        "ca": str(made.ca),
    }  # fmt: skip


def dolyame_folder(running: Installation) -> Path:
    """Where a sandbox keeps the certificates of Долями's door and shops."""
    return (running.server.place.path if running.server is not None else running.scratch) / DOLYAME_FOLDER


def add_acquirer(running: Installation, stack: ExitStack) -> None:
    """The sandbox's acquirer: ISO 8583 on one port, a tester's orders on another, a file in which it remembers."""
    (messages,), (control,) = listen(running, 0, 1, stack), listen(running, 0, 1, stack)
    running.urls["acquirer"] = url_of(messages).replace("http://", "tcp://")
    running.urls["acquirer_control"] = url_of(control)
    folder = running.server.place.path if running.server is not None else running.scratch
    own = {
        LISTEN_FD: str(control.fileno()),
        ACQUIRER_LISTEN_FD: str(messages.fileno()),
        ACQUIRER_STATE: str(folder / "acquirer.jsonl"),
    }
    descriptors = [messages.fileno(), control.fileno()]
    running.children.append(Child("acquirer", python("api.acquirer_simulator"), own, descriptors))


def add_vault(running: Installation, stack: ExitStack) -> None:
    """The vault: two listeners, its own database and nobody else's; in a sandbox a key and certificates too."""
    own = running.vault_settings
    (service,) = listen(running, own.port, 1, stack, host=own.host)
    (public,) = listen(running, own.public_port, 1, stack, host=own.host)
    running.urls["vault"] = url_of(service).replace("http://", "https://")
    running.urls["card_form"] = own.public_url or url_of(public)
    told = {
        LISTEN_FD: str(service.fileno()),
        PUBLIC_LISTEN_FD: str(public.fileno()),
        "KOPEYKA_VAULT_DATABASE_URL": running.databases.vault,
        "KOPEYKA_VAULT_PUBLIC_URL": running.urls["card_form"],
    }
    if running.settings.mode is Mode.SANDBOX:
        told |= sandbox_vault(running)
    if "acquirer" in running.urls and not own.acquirer_url:
        told["KOPEYKA_VAULT_ACQUIRER_URL"] = running.urls["acquirer"]
    child = Child("vault", python("api.serve_vault"), told, [service.fileno(), public.fileno()])
    running.children.append(child)


def sandbox_vault(running: Installation) -> dict[str, str]:
    """Certificates of the link and a development key, where the settings name none."""
    own, told = running.vault_settings, dict[str, str]()
    if own.cert_file is None:
        told |= make_vault_certificates(vault_certificates(running).folder, now=machine_now()).environment("vault")
    if own.files_dir is None:
        files = vault_folder(running) / "files"
        files.mkdir(mode=0o700, exist_ok=True)
        told["KOPEYKA_VAULT_FILES_DIR"] = str(files)
    if own.kek_file is None and own.kek_provider is KeyKeeper.FILE:
        folder = vault_folder(running)
        told |= {
            "KOPEYKA_VAULT_KEK_FILE": str(folder / "kek.json"),
            "KOPEYKA_VAULT_KEK_PASSPHRASE": development_passphrase(folder / "passphrase"),
        }
    return told


def development_passphrase(path: Path) -> str:
    """What opens a sandbox's key, drawn at the first start. Beside the key: this guards nothing but the habit."""
    if not path.exists():
        write_private(path, new_secret("kp_test_"))
    return path.read_text()


def audit_folder(running: Installation) -> dict[str, str]:
    """Where the log's keys are, when the settings do not say: in the data directory, if there is one."""
    if os.environ.get("KOPEYKA_AUDIT_FOLDER"):
        return {}
    folder = running.server.place.path if running.server is not None else running.settings.data_dir
    return {"KOPEYKA_AUDIT_FOLDER": str((folder or running.scratch) / "audit")}


def sealer(running: Installation) -> Child:
    """Seals both logs: the only process with the sequencers' roles and the key that signs checkpoints."""
    databases = running.databases
    told = audit_folder(running) | {
        "KOPEYKA_SEQUENCER_DATABASE_URL": databases.sequencer,
        "KOPEYKA_VAULT_SEQUENCER_DATABASE_URL": databases.vault_sequencer,
    }
    metrics = running.scratch / "metrics"
    if not metrics.exists():
        return Child("sealer", python("api.sealer"), told)
    bury = partial(multiprocess.mark_process_dead, path=str(metrics))
    return Child("sealer", python("api.sealer"), told | {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}, bury=bury)


def vault_folder(running: Installation) -> Path:
    """Where a sandbox keeps the vault's key and certificates: apart from the database's files."""
    folder = (running.server.place.path if running.server is not None else running.scratch) / "vault"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def vault_certificates(running: Installation) -> VaultCertificates:
    """The certificates of the link, in a sandbox."""
    return VaultCertificates(vault_folder(running) / "certificates")


def vault_link(running: Installation, role: str) -> dict[str, str]:
    """How the api and the worker reach the vault: as the settings say, or the one that was started here."""
    if running.settings.vault_url or "vault" not in running.urls:
        return {}
    told = {"KOPEYKA_VAULT_URL": running.urls["vault"]}
    if running.settings.vault_cert_file is None and running.settings.mode is Mode.SANDBOX:
        told |= vault_certificates(running).environment(role)
    return told


def listen(running: Installation, port: int, count: int, stack: ExitStack, *, host: str = "") -> list[socket.socket]:
    """Listening sockets that stay open until the stop, whoever dies meanwhile."""
    host = host or running.settings.host
    try:
        listeners = listening_sockets(host, port, count)
    except OSError as error:
        raise StartRefused(f"cannot listen on {host}:{port} ({error.strerror}): set KOPEYKA_PORT") from error
    for listener in listeners:
        stack.enter_context(listener)
    return listeners


def url_of(listener: socket.socket) -> str:
    """Where a listening socket of ours is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


def environment(running: Installation, child: Child) -> dict[str, str]:
    """What a child is told. The migrator's ways in stay here; the vault and the rest learn nothing of each other."""
    given = {name: value for name, value in os.environ.items() if name not in WITHHELD}
    if child.name == "acquirer":  # it hears card numbers, and has nothing to do with us otherwise
        return {name: value for name, value in given.items() if not name.startswith("KOPEYKA_")}
    if child.name == "vault":
        of_the_vault = {name: value for name, value in given.items() if is_of_the_vault(name)}
        return of_the_vault | modes(running) | audit_folder(running)
    if child.name == "sealer":
        return {name: value for name, value in os.environ.items() if is_of_the_sealer(name)} | modes(running)
    return {name: value for name, value in given.items() if is_of_the_rest(name)} | told_to_the_rest(running, child)


def is_of_the_vault(name: str) -> bool:
    """Whether the vault may have this variable. It watches its log by the log's sinks."""
    if name in OF_THE_SEALER - OF_THE_VAULT:
        return False
    return (
        not name.startswith("KOPEYKA_") or name.startswith(("KOPEYKA_VAULT_", "KOPEYKA_AUDIT_")) or name in OF_THE_VAULT
    )


def is_of_the_sealer(name: str) -> bool:
    """Whether the sealer may have this variable."""
    return not name.startswith("KOPEYKA_") or name.startswith("KOPEYKA_AUDIT_") or name in OF_THE_SEALER


def is_of_the_rest(name: str) -> bool:
    """Whether everybody but the vault may have this variable."""
    if name.startswith("KOPEYKA_AUDIT_"):
        return False
    return not name.startswith("KOPEYKA_VAULT_") or name.removeprefix("KOPEYKA_VAULT_") in VAULT_LINK


def modes(running: Installation) -> dict[str, str]:
    """What all are told."""
    return {"KOPEYKA_MODE": running.settings.mode}


def told_to_the_rest(running: Installation, child: Child) -> dict[str, str]:
    """What every child but the vault is told."""
    settings = running.settings
    simulators = running.urls.get("simulators", "")
    told = {
        "KOPEYKA_HOST": settings.host,
        "KOPEYKA_DATABASE_URL": running.databases.app,
        "KOPEYKA_PUBLIC_URL": running.urls.get("api", settings.public_url),
        "KOPEYKA_BANK_URL": settings.bank_url or simulators,
        "KOPEYKA_MESSAGES_URL": settings.messages_url or simulators,
        "KOPEYKA_BUREAU_URL": settings.bureau_url or simulators,
        "KOPEYKA_EVENTS_URL": settings.events_url or (f"{simulators}/sink/events" if simulators else ""),
    }
    role = "api" if child.name == "dolyame" else child.name.split("-")[0]  # another door of the same house
    link = vault_link(running, role) if child.name != "simulators" else {}
    return modes(running) | told | nspk_environment(running) | tkassa_environment(running) | link


def tkassa_environment(running: Installation) -> dict[str, str]:
    """How children reach T-Kassa: as the settings say, or its simulator with the sandbox's own shop."""
    settings, simulators = running.settings, running.urls.get("simulators", "")
    if settings.tkassa_url or not simulators or not settings.tkassa_members:
        return {}
    return {
        "KOPEYKA_TKASSA_URL": simulators,
        "KOPEYKA_TKASSA_TERMINAL_KEY": TERMINAL.key,
        "KOPEYKA_TKASSA_PASSWORD": TERMINAL.password.expose(),
    }


def worker(running: Installation) -> Child:
    """Everything that happens later: deliveries, polling, payouts, nightly proofs. Counted with the api beside it."""
    metrics = running.scratch / "metrics"
    if not metrics.exists():
        return Child("worker", python("api.worker"), {})
    bury = partial(multiprocess.mark_process_dead, path=str(metrics))
    return Child("worker", python("api.worker"), {"PROMETHEUS_MULTIPROC_DIR": str(metrics)}, bury=bury)
