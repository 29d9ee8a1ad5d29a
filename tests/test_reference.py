"""Every public name is documented, its examples hold, and the reference is what they say."""

from __future__ import annotations

import doctest
import inspect
import re
import sys
from pathlib import Path

import pytest

import autodiff as ad

DOCS = Path(__file__).parents[1] / "docs"
sys.path.insert(0, str(DOCS))

import families  # noqa: E402 - found by the line above
import make_reference as reference  # noqa: E402
from make_reference import Entry, lacking  # noqa: E402

ENTRIES = reference.entries()
FLAGS = doctest.ELLIPSIS
NAMES = reference.names_of_examples()


def family(name: str) -> str:
    """What is told once of one to three dimensions: Conv1d and Conv3d are a family."""
    return re.sub(r"[123]d", "d", name)


SHOWN = {family(name) for entry in ENTRIES for name in entry.names if entry.example}


def faults(entry: Entry) -> list[str]:
    shown = family(entry.names[0]) in SHOWN
    return [fault for fault in lacking(entry) if not (shown and fault == "an example")]


def test_every_public_name_is_told_what_it_does_by_example() -> None:
    lack = [f"{entry.names[0]}: {', '.join(faults(entry))}" for entry in ENTRIES if faults(entry)]
    assert not lack, "what is missing: " + "; ".join(lack)


def test_every_public_method_has_a_docstring() -> None:
    lack = []
    for entry in ENTRIES:
        if not isinstance(entry.target, type):
            continue
        for name, value in vars(entry.target).items():
            known = any(hasattr(base, name) for base in entry.target.__mro__[1:])
            if not name.startswith("_") and callable(value) and not known:
                lack += [] if inspect.getdoc(value) else [f"{entry.names[0]}.{name}"]
    assert not lack


@pytest.mark.usefixtures("settings_kept")
@pytest.mark.parametrize("page", reference.PAGES)
def test_examples_hold(page: str) -> None:
    finder, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    failed, text = 0, []
    for entry in ENTRIES:
        if entry.page == page and ">>>" in entry.doc:
            ad.manual_seed(0)
            test = finder.get_doctest(entry.doc, dict(NAMES), entry.names[0], None, 0)
            failed += runner.run(test, out=text.append).failed
    assert not failed, "".join(text)


def test_the_pages_are_fresh() -> None:
    found = {path.name: path.read_text() for path in reference.FOLDER.glob("*.md")}
    expected = reference.texts()
    assert sorted(found) == sorted(expected), f"docs/reference {reference.ADVICE}"
    for name, text in expected.items():
        assert found[name] == text, f"docs/reference/{name} {reference.ADVICE}"


def test_every_page_is_listed_and_linked() -> None:
    text = (reference.FOLDER / "README.md").read_text()
    linked = re.findall(r"\]\((\S+)\)", text)
    assert sorted(linked) == sorted(path.name for path in reference.FOLDER.glob("[a-z]*.md"))


def test_what_lacks_documentation_is_found() -> None:
    def bare() -> None: ...

    def long() -> None: ...

    long.__doc__ = "A line.\n" * 40 + ">>> 1\n1"
    assert lacking(Entry(bare, "io", "io", ["bare"])) == ["a docstring", "an example"]
    assert lacking(Entry(long, "io", "io", ["long"])) == ["brevity"]


def test_every_family_is_counted() -> None:
    rows = [families.row(each, {}) for each in families.families()]
    assert len(rows) == 9
    assert all(python and native for _, _, python, native in rows)
    assert sum(primitives for primitives, *_ in rows) > families.instructions() > 50
