"""What the product is made of: our own packages and every package of others that they need, as installed here.

Source: PCI DSS 6.3.2: an inventory of bespoke software and of the third-party components in it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PRODUCT = "kopeyka"
OUR_PACKAGES = (
    "api", "bench", "checkout", "installments", "ledger", "pci", "reconciliation", "sbp_gateway", "tokenization",
)  # fmt: skip
DEVELOPMENT = "dev"
"""The extra whose packages never run with cards."""


@dataclass(frozen=True, slots=True)
class Component:
    """One package of another's, installed here."""

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]
    """Names of components it needs itself."""
    needed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnComponent:
    """One package of ours."""

    name: str
    sha256: str
    """Over every file of it, in the order of their names."""
    files: int


def third_party(root: Path) -> dict[str, Component]:
    """Every component that the product needs, by its canonical name; of extras only what is installed here.

    In a checkout at ``root`` its own file says what is needed; elsewhere what was installed with the product does.
    """
    found: dict[str, Component] = {}
    asked = [(PRODUCT, need) for need in _needs(*_declared(root))]
    asking: dict[str, set[str]] = {}
    while asked:
        who, need = asked.pop()
        name = canonicalize_name(need.name)
        asking.setdefault(name, set()).add(who)
        if name in found or (installed := _installed(name)) is None:
            continue
        needs = _needs(installed.requires or (), need.extras)
        asked += [(name, deeper) for deeper in needs]
        found[name] = Component(
            installed.metadata["Name"], installed.version, _licence(installed),
            tuple(sorted({canonicalize_name(deeper.name) for deeper in needs})),
        )  # fmt: skip
    return {name: _needed_by(found[name], asking[name]) for name in sorted(found)}


def own(root: Path) -> list[OwnComponent]:
    """Our own packages below a folder, each with a digest of its sources."""
    return [_own(root / name) for name in OUR_PACKAGES if (root / name).is_dir()]


def affected_by(statement: str, components: Mapping[str, Component]) -> list[Component]:
    """Components that a statement such as ``cryptography<46`` is about; all of that name when it names no version.

    Raises: packaging.requirements.InvalidRequirement.
    """
    asked = Requirement(statement)
    component = components.get(canonicalize_name(asked.name))
    if component is None or not asked.specifier.contains(component.version, prereleases=True):
        return []
    return [component]


def way_to(name: str, components: Mapping[str, Component]) -> list[str]:
    """How a component came in: the product, then who needs whom, the shortest way."""
    ways: list[list[str]] = [[canonicalize_name(name)]]
    seen: set[str] = set(ways[0])
    for way in ways:
        for asker in components[way[-1]].needed_by:
            if asker == PRODUCT:
                return [PRODUCT, *reversed(way)]
            if asker not in seen and asker in components:
                seen.add(asker)
                ways.append([*way, asker])
    return [name]


def _declared(root: Path) -> tuple[list[str], set[str]]:
    """What the product says it needs, and its extras but that of development."""
    file = root / "pyproject.toml"
    if not file.exists():
        product = metadata.distribution(PRODUCT)
        return list(product.requires or ()), set(product.metadata.get_all("Provides-Extra") or ()) - {DEVELOPMENT}
    project = tomllib.loads(file.read_text("utf-8"))["project"]
    extras = {name: needs for name, needs in project.get("optional-dependencies", {}).items() if name != DEVELOPMENT}
    return [*project["dependencies"], *(need for needs in extras.values() for need in needs)], set()


def _needs(declared: Iterable[str], extras: Iterable[str]) -> list[Requirement]:
    environments = [{"extra": extra} for extra in ("", *sorted(extras))]
    return [
        need
        for need in map(Requirement, declared)
        if need.marker is None or any(need.marker.evaluate(environment) for environment in environments)
        if canonicalize_name(need.name) != PRODUCT
    ]


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _licence(installed: metadata.Distribution) -> str:
    given = [*(installed.metadata.get_all("License-Expression") or ()), *(installed.metadata.get_all("License") or ())]
    told = given[0] if given else ""
    classifiers = installed.metadata.get_all("Classifier") or ()
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return told if told and len(told) < 80 else ", ".join(named) or "unknown"


def _needed_by(component: Component, askers: set[str]) -> Component:
    return Component(component.name, component.version, component.licence, component.needs, tuple(sorted(askers)))


def _own(folder: Path) -> OwnComponent:
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in files:
        digest.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return OwnComponent(folder.name, digest.hexdigest(), len(files))
