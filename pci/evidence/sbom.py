"""The list of components as CycloneDX 1.6, which every scanner of vulnerabilities reads.

Source: OWASP CycloneDX v1.6; PCI DSS 6.3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as CycloneComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from pci.evidence.components import PRODUCT, Component, OwnComponent

NAMESPACE = UUID("5b1f4a0e-6c0f-4a53-8d0c-6f3b0c5d9a11")
"""Of serial numbers: the same components have the same one."""


def cyclonedx(third_party: Mapping[str, Component], own: Sequence[OwnComponent], *, now: datetime) -> str:
    """The list as JSON."""
    product = _product(own)
    bom = Bom(serial_number=uuid5(NAMESPACE, _content(third_party, own)))
    bom.metadata.timestamp = now
    bom.metadata.component = product
    made = {name: _of_others(component) for name, component in third_party.items()}
    bom.components.update(made.values())
    bom.register_dependency(product, [made[name] for name in made if PRODUCT in third_party[name].needed_by])
    for name, component in third_party.items():
        bom.register_dependency(made[name], [made[need] for need in component.needs if need in made])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _product(own: Sequence[OwnComponent]) -> CycloneComponent:
    parts = [
        CycloneComponent(
            type=ComponentType.LIBRARY, name=part.name, version=metadata.version(PRODUCT),
            bom_ref=f"{PRODUCT}/{part.name}", hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)],
        )
        for part in own
    ]  # fmt: skip
    return CycloneComponent(
        type=ComponentType.APPLICATION,
        name=PRODUCT,
        version=metadata.version(PRODUCT),
        bom_ref=PRODUCT,
        components=parts,
    )


def _of_others(component: Component) -> CycloneComponent:
    name = component.name
    return CycloneComponent(
        type=ComponentType.LIBRARY, name=name, version=component.version, bom_ref=f"{name}@{component.version}",
        purl=PackageURL("pypi", None, name.lower(), component.version),
        licenses=[DisjunctiveLicense(name=component.licence)],
    )  # fmt: skip


def _content(third_party: Mapping[str, Component], own: Sequence[OwnComponent]) -> str:
    lines = [f"{name}=={component.version}" for name, component in sorted(third_party.items())]
    return "\n".join([*lines, *(f"{part.name} {part.sha256}" for part in own)])
