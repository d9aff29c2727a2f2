"""What is imported is declared, and what is declared is imported."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from scripts.make_notice import canonical, declared

PROJECT = Path(__file__).parents[1]
GROUPS = declared(PROJECT / "pyproject.toml")
#: Needed though nothing of ours imports it, and why.
WITHOUT_IMPORT = {
    "accelerate": "transformers' Trainer imports it",
    "gguf": "transformers imports it when it reads a GGUF file",
    "jinja2": "transformers imports it when a chat template is used",
    "kedro-viz": "the command `kedro viz`",
    "lm-eval": "the command `lm_eval` reads lm_eval_tasks",
}
#: Commands, and what notebooks run on.
TOOLS = {"build", "import-linter", "ipykernel", "mypy", "pytest-cov", "pytest-xdist", "ruff"}
#: Imported by tests and benchmarks that are left out where it is not installed, because it is large or rarely wanted.
OPTIONAL = {"distilabel", "llama-cpp-python"}
#: Other names of distributions that need not be installed here; packages_distributions knows the installed ones.
EXTRAS = {"lm_eval": "lm-eval"}
OURS = {"benchmarks", "cai_kedro", "scripts", "tests", *(path.stem for path in (PROJECT / "benchmarks").glob("*.py"))}


def imports(folder: str) -> Iterator[tuple[str, str]]:
    """Yield file and top-level name of each foreign import, those inside functions too."""
    for file in sorted((PROJECT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top not in OURS:
                    yield str(file.relative_to(PROJECT)), top


@cache
def providers() -> dict[str, list[str]]:
    """Return the distributions behind each module; reading them all takes seconds."""
    return dict(metadata.packages_distributions())


def distributions(module: str) -> set[str]:
    """Return what provides a module."""
    return {canonical(name) for name in providers().get(module, [EXTRAS.get(module, module)])}


def undeclared(used: Iterator[tuple[str, str]], allowed: set[str]) -> list[str]:
    return [f"{file} imports {name}" for file, name in used if not distributions(name) & allowed]


@pytest.fixture(scope="module")
def everything() -> set[str]:
    return {name for names in GROUPS.values() for name in names}


def test_what_the_package_imports_is_declared() -> None:
    allowed = {name for group, names in GROUPS.items() if group != "dev" for name in names}
    assert undeclared(imports("src"), allowed) == []


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "scripts", "lm_eval_tasks"])
def test_what_tests_and_benchmarks_import_is_declared(folder: str, everything: set[str]) -> None:
    assert undeclared(imports(folder), everything | OPTIONAL) == []


def test_what_is_declared_for_runs_is_imported() -> None:
    used = {name for _, module in imports("src") for name in distributions(module)}
    for group, names in GROUPS.items():
        if group != "dev":
            assert set(names) - used - set(WITHOUT_IMPORT) == set(), f"declared as {group}, imported nowhere"


def test_what_is_declared_for_development_is_used() -> None:
    folders = ("tests", "benchmarks", "scripts")
    used = {name for folder in folders for _, module in imports(folder) for name in distributions(module)}
    assert set(GROUPS["dev"]) - used - TOOLS == set()


def test_the_exceptions_are_declared(everything: set[str]) -> None:
    assert set(WITHOUT_IMPORT) | TOOLS <= everything


def test_the_versions_seen_to_work_hold_all_that_is_installed_by_default() -> None:
    text = (PROJECT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {canonical(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
    assert set(GROUPS["needed"]) | set(GROUPS["dev"]) <= pinned
