"""A stage's code is all that it calls: a repaired helper makes stored rows stale, a comment does not."""

import ast
import inspect
import shutil
import time
from pathlib import Path

import pytest

from cai_kedro.core.code import code_of, package_digest
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.templates import shards

PACKAGE = Path(inspect.getfile(shards)).parents[1]
LABELS = "cai_kedro.pipelines.preference_labeling.labels"
#: Stages that plan shards, and for each some of what it calls, near and far.
HELPERS = {
    LABELS: ("judging/comparer", "engines/letters", "core/constitution", "core/shards", "core/asks", "core/seeding"),
    "cai_kedro.pipelines.preference_labeling.cot_labels": ("pipelines/preference_labeling/options", "judging/comparer"),
    "cai_kedro.pipelines.data_generation.revision": (
        "pipelines/data_generation/critic",
        "pipelines/data_generation/drafts",
        "core/conversation",
        "templates/shards",
    ),
    "cai_kedro.pipelines.data_generation.red_team": ("core/schemas", "core/constitution"),
    "cai_kedro.pipelines.evaluation.answers": ("engines/fitting", "core/shards"),
    "cai_kedro.templates.responses": ("templates/selection", "engines/base"),
    TransformersEngine.__module__: (
        "engines/sampling",
        "engines/shared_prefix",
        "engines/choices",
        "engines/stopping",
        "engines/layout_files",
        "core/layouts/hh",
        "core/layouts/chat",
    ),
}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package's sources in a folder that a test may change."""
    return shutil.copytree(PACKAGE, tmp_path / "cai_kedro", ignore=shutil.ignore_patterns("*.pyc", "*.safetensors"))


@pytest.mark.parametrize(("stage", "helper"), [(stage, helper) for stage in HELPERS for helper in HELPERS[stage]])
def test_another_helper_is_other_code_and_another_comment_is_not(stage: str, helper: str, copied: Path) -> None:
    file = copied / f"{helper}.py"
    source, before = file.read_text(), code_of(stage, root=copied)
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    del tree.body[0]
    file.write_text("# another comment\n" + ast.unparse(tree))  # another layout, and no docstring of the module
    assert code_of(stage, root=copied) == before
    function = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    function.body.insert(0, ast.parse("assert 1 + 1 == 2").body[0])
    file.write_text(ast.unparse(tree))
    after = code_of(stage, root=copied)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"cai_kedro.{helper.replace('/', '.')}"}


def test_each_way_to_import_is_followed_and_other_packages_are_not(tmp_path: Path) -> None:
    for name in ("by_name", "as_module", "inside", "relative", "far", "never", "room/deep"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / "__init__.py").write_text("version = 1\n")
    (tmp_path / "room" / "__init__.py").write_text("from cai_kedro import never\n")
    (tmp_path / "by_name.py").write_text("import cai_kedro.far\n")
    (tmp_path / "stage.py").write_text(
        "import json\nimport torch.nn\nfrom cai_kedro.by_name import x\nfrom cai_kedro import as_module\n"
        "from . import relative\nfrom cai_kedro.room.deep import x as y\n"
        "def f():\n    from cai_kedro import inside\n"
    )
    followed = {"by_name", "as_module", "inside", "relative", "far", "room.deep", "stage"}
    assert set(code_of("cai_kedro.stage", root=tmp_path)) == {f"cai_kedro.{name}" for name in followed}
    (tmp_path / "stage.py").write_text("from cai_kedro import version\nfrom cai_kedro.room import never\n")
    followed = {"cai_kedro", "cai_kedro.stage", "cai_kedro.room", "cai_kedro.never"}
    assert set(code_of("cai_kedro.stage", root=tmp_path)) == followed


def test_a_module_of_the_user_counts_and_one_without_source_is_refused() -> None:
    assert __name__ in code_of(__name__)
    assert "cai_kedro.core.code" in code_of(__name__)
    with pytest.raises(ValueError, match=r"the module 'math' has no source, .* put its code into a file"):
        code_of("math")


def test_it_costs_nothing_beside_a_stage() -> None:
    code_of(LABELS)
    begin = time.perf_counter()
    for _ in range(20):
        code_of(LABELS)
    assert time.perf_counter() - begin < 2.0  # about 2 ms each


def test_the_package_is_another_one_by_code_and_by_what_is_read_and_not_by_words(copied: Path) -> None:
    before = package_digest(copied)
    assert before == package_digest()
    file = copied / "core" / "code.py"
    source = file.read_text()
    file.write_text(source + "# another comment\n")
    (copied / "microworld" / "micro_lm" / "README.md").write_text("Other words.\n")
    assert package_digest(copied) == before
    file.write_text(source + "NEW = 1\n")
    assert package_digest(copied) != before
    file.write_text(source)
    for read in ("microworld/lexicon.yml", "microworld/micro_lm/fingerprint.json"):
        text = (copied / read).read_text()
        (copied / read).write_text(text + " ")
        assert package_digest(copied) != before, read
        (copied / read).write_text(text)
