"""NOTICE names each declared dependency with its licence."""

from pathlib import Path

import pytest
from scripts.make_notice import PROJECT, declared, entries, licence, name_of, render

NOTICE = (PROJECT / "NOTICE").read_text(encoding="utf-8")


def test_notice_is_up_to_date_with_the_declared_dependencies() -> None:
    assert render(declared(PROJECT / "pyproject.toml"), entries(NOTICE)) == NOTICE, "run python scripts/make_notice.py"


def test_each_declared_dependency_stands_in_its_group(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[project]\nname = "our_own"\ndependencies = ["click>=8", "PyYAML"]\n'
        '[project.optional-dependencies]\nmore = ["no_such.Thing[extra]~=1.0", "our_own[other]"]\n'
    )
    groups = declared(file)
    assert groups == {"needed": ["click", "pyyaml"], "more": ["no-such-thing"]}
    text = render(groups, {"no-such-thing": "MIT"})
    assert entries(text) == {"click": "BSD-3-Clause", "pyyaml": "MIT", "no-such-thing": "MIT"}
    with pytest.raises(SystemExit, match="no-such-thing is neither installed nor in NOTICE"):
        render(groups, {})


def test_a_requirement_names_a_distribution() -> None:
    assert name_of("kedro[pydantic]~=1.7.0") == "kedro"


def test_the_licence_of_what_is_not_installed_is_not_known() -> None:
    assert licence("no-such-thing") is None
