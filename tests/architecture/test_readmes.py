"""Every package says what it promises, and what its README shows is what happens."""

from __future__ import annotations

import doctest
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ledger.database import Engine
from tests.architecture.sources import PACKAGES, ROOT

DOCUMENTS = ("README.md", "STYLE.md", "GLOSSARY.md", "CHANGELOG.md")
BLOCK = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")

Story = Callable[[Engine, datetime], Awaitable[None]]


def stories() -> list[tuple[str, str, str]]:
    """Package, code that defines ``story(engine, now)``, and the text that it prints."""
    found = []
    for package in PACKAGES:
        paper = ROOT / package / "README.md"
        blocks = BLOCK.findall(paper.read_text("utf-8")) if paper.exists() else []
        for (kind, code), (next_kind, said) in pairwise([*blocks, ("", "")]):
            if kind == "python" and "async def story(" in code:
                assert next_kind == "text", f"{package}/README.md does not show what its story prints"
                found.append((package, code, said))
    return found


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("name", ["README.md", "DECISIONS.md"])
def test_a_package_has_its_papers(package: str, name: str) -> None:
    text = (ROOT / package / name).read_text("utf-8")

    assert text.startswith("# ")
    assert len(text.split()) > 10


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_project_has_its_papers(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").startswith("# ")


@pytest.mark.parametrize(("package", "code", "said"), stories(), ids=[story[0] for story in stories()])
async def test_a_story_ends_as_told(
    package: str, code: str, said: str, engine: Engine, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    exec(compile(code, f"{package}/README.md", "exec"), names)
    story: Story = names["story"]

    await story(engine, now)

    assert capsys.readouterr().out == said


@pytest.mark.parametrize("package", PACKAGES)
def test_an_example_at_the_prompt_answers_so(package: str) -> None:
    paper = ROOT / package / "README.md"
    blocks = BLOCK.findall(paper.read_text("utf-8")) if paper.exists() else []
    prompts = "\n".join(code for kind, code in blocks if kind == "python" and ">>>" in code)
    test = doctest.DocTestParser().get_doctest(prompts, {}, package, f"{package}/README.md", 0)

    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_python_example_runs() -> None:
    idle = [
        f"{path.relative_to(ROOT)}: {code[:40]!r}"
        for path in [ROOT / "README.md", *ROOT.glob("*/README.md")]
        for kind, code in BLOCK.findall(path.read_text("utf-8"))
        if kind == "python" and ">>>" not in code and "async def story(" not in code
    ]

    assert idle == []


def test_links_between_papers_lead_somewhere() -> None:
    papers = [*ROOT.glob("*.md"), *(path for package in PACKAGES for path in (ROOT / package).glob("*.md"))]
    dead = [
        f"{paper.relative_to(ROOT)} -> {link}"
        for paper in papers
        for link in LINK.findall(paper.read_text("utf-8"))
        if not (paper.parent / link).exists()
    ]

    assert dead == []


def test_files_named_in_the_ledgers_papers_exist() -> None:
    text = (ROOT / "ledger" / "README.md").read_text("utf-8")
    named = set(re.findall(r"`((?:exports/)?[a-z_]+\.py)`", text))

    assert [name for name in sorted(named) if not Path(ROOT / "ledger" / name).exists()] == []
