"""The list of components is whole, says who brought what, and answers whether a package concerns us."""

from __future__ import annotations

import ast
import json
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.components import ROOT
from api.cli.main import app
from pci.evidence.components import OUR_PACKAGES, affected_by, own, third_party, way_to
from pci.evidence.sbom import cyclonedx
from tests.architecture.sources import PACKAGES, sources

DEVELOPMENT_ONLY = {"pytest", "ruff", "mypy", "hypothesis", "pyemv", "httpx"}


def imported() -> set[str]:
    """Top-level names that our sources import at their top, and that are nobody's but other packages'."""
    names = set()
    for source in sources():
        for node in source.tree.body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def test_everything_our_sources_import_is_in_the_list() -> None:
    listed = third_party(ROOT)
    distributions = metadata.packages_distributions()
    missing = {
        name for name in imported()
        if not any(distribution.lower().replace("_", "-") in listed for distribution in distributions.get(name, ()))
    }  # fmt: skip

    assert missing - {"hypothesis", "tests"} == set()
    assert listed["cryptography"].version == metadata.version("cryptography")
    assert DEVELOPMENT_ONLY & listed.keys() == set()


def test_the_list_is_cyclonedx_and_the_same_every_time(now: datetime) -> None:
    text = cyclonedx(third_party(ROOT), own(ROOT), now=now)
    said = json.loads(text)

    refs = [part["bom-ref"] for part in said["components"]]
    asked = {ref for line in said["dependencies"] for ref in line.get("dependsOn", ())}
    assert (said["bomFormat"], said["specVersion"]) == ("CycloneDX", "1.6")
    assert len(refs) == len(set(refs)) > 40
    assert asked <= set(refs)
    assert said["metadata"]["component"]["name"] == "kopeyka"
    assert {part["name"] for part in said["metadata"]["component"]["components"]} == set(OUR_PACKAGES)
    assert all(part["hashes"][0]["alg"] == "SHA-256" for part in said["metadata"]["component"]["components"])
    assert text == cyclonedx(third_party(ROOT), own(ROOT), now=now)


def test_our_packages_are_all_in_it() -> None:
    assert set(OUR_PACKAGES) == set(PACKAGES)


def test_a_changed_source_changes_its_digest(tmp_path: Path) -> None:
    (tmp_path / "pci").mkdir()
    file = tmp_path / "pci" / "a.py"
    file.write_text("x = 1\n")
    before = own(tmp_path)
    file.write_text("x = 2\n")

    assert [part.name for part in before] == ["pci"]
    assert own(tmp_path)[0].sha256 != before[0].sha256


@pytest.mark.parametrize(
    ("statement", "is_affected"),
    [
        ("cryptography", True), ("cryptography>=1", True), ("cryptography<1", False), ("Cryptography", True),
        ("pytest", False), ("no-such-package", False), ("cffi", True), ("typing_extensions", True),
    ],
)  # fmt: skip
def test_the_question_whether_we_are_affected_has_an_answer(statement: str, is_affected: bool) -> None:
    assert bool(affected_by(statement, third_party(ROOT))) is is_affected


def test_a_deep_component_says_through_whom_it_came() -> None:
    way = way_to("cffi", third_party(ROOT))

    assert (way[0], way[-1]) == ("kopeyka", "cffi")
    assert len(way) == 3


def test_the_commands_answer_by_their_codes(tmp_path: Path) -> None:
    run = CliRunner().invoke
    affected = run(app, ["affected", "cryptography"])
    told = json.loads(run(app, ["affected", "cffi", "--json"]).output)

    assert (affected.exit_code, "kopeyka → cryptography" in affected.output) == (1, True)
    assert told["affected"][0]["way"][0] == "kopeyka"
    assert run(app, ["affected", "cryptography<1"]).exit_code == 0
    assert run(app, ["affected", "not a package!"]).exit_code == 2
    assert run(app, ["sbom", "--output", str(tmp_path / "sbom.json")]).exit_code == 0
    assert json.loads((tmp_path / "sbom.json").read_text())["bomFormat"] == "CycloneDX"
