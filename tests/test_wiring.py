"""Every dataset of every pipeline resolves in every environment, and the parameters of every environment are whole."""

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol, MemoryDataset
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from cai_kedro.datasets.file_dataset import FileDataset
from cai_kedro.datasets.table_dataset import TableDataset
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.templates.rlhf.parameters import ArmParams, parameters_of

PROJECT = Path(__file__).parents[1]
ENVIRONMENTS = sorted(
    folder.name for folder in (PROJECT / "conf").iterdir() if folder.is_dir() and folder.name != "local"
)
#: What only the user can give.
GIVEN = {"base_model": {"repo": "organisation/name", "revision": "0" * 40}}
ORDER = [
    "base_model",
    "baselines",
    "data_generation",
    "sl_cai",
    "preference_labeling",
    "rl_cai",
    "evaluation",
    "reporting",
]
ON_REQUEST = ["check_labeller", "judge_accuracy", "teach_skills", "self_align", "leave_one_rule_out", "ablations"]


@functools.cache
def _project(env: str) -> tuple[KedroContext, dict[str, Pipeline]]:
    """Return the context of an environment and the pipelines of its own lineage: Kedro's are those of the last one."""
    bootstrap_project(PROJECT)
    context = _session(env, GIVEN if env in ("hub", "paper") else {}).load_context()
    return context, dict(pipelines)


def _context(env: str) -> KedroContext:
    return _project(env)[0]


def _session(env: str, given: dict[str, Any]) -> KedroSession:
    return KedroSession.create(PROJECT, env=env, runtime_params=given)


@functools.cache
def _catalog(env: str) -> CatalogProtocol:
    return _context(env).catalog


def _datasets(env: str) -> set[str]:
    """Every dataset of every pipeline of an environment, but what is made anew in memory."""
    return {name for one in _project(env)[1].values() for name in one.datasets() if not is_parameter(name)} - _anew(env)


def _made(env: str) -> set[str]:
    return {name for one in _project(env)[1].values() for name in one.all_outputs()} - _anew(env)


def _anew(env: str) -> set[str]:
    """The constitutions with something left out, which every run of the ablations makes anew."""
    ablations = _project(env)[1].get("ablations", Pipeline([]))
    return {name for name in ablations.all_outputs() if "constitution" in name}


def test_the_pipelines_stand_in_the_order_of_one_rows_trip() -> None:
    registered = _project("base")[1]
    assert [name for name in registered if name != "__default__"] == ORDER + ON_REQUEST
    nodes = {node.name for name in ORDER for node in registered[name].nodes}
    assert {node.name for node in registered["__default__"].nodes} == nodes


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_dataset_resolves_and_none_is_in_memory(env: str) -> None:
    catalog, datasets = _catalog(env), _datasets(env)
    unknown = sorted(name for name in datasets if name not in catalog)
    assert not unknown, f"no catalog entry or pattern in {env}: {unknown}"
    in_memory = sorted(name for name in datasets if isinstance(catalog[name], MemoryDataset))
    assert not in_memory
    assert "a_misspelt_nmae" not in catalog


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_the_ablations_make_is_stored(env: str) -> None:
    ablations = _project(env)[1].get("ablations", Pipeline([]))
    made = ablations.all_outputs() - _anew(env)
    assert sorted(name for name in made if isinstance(_catalog(env).get(name), MemoryDataset | None)) == []
    assert {name for name in ablations.inputs() if name not in _catalog(env)} == set()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_parameters_are_whole_and_typed(env: str) -> None:
    catalog = _catalog(env)  # Kedro checks types and unknown keys here
    wanted = {name for one in _project(env)[1].values() for name in one.datasets() if is_parameter(name)}
    assert sorted(name for name in wanted if name not in catalog) == []


def test_the_last_word_of_a_table_is_its_kind() -> None:
    for name in _datasets("base"):
        dataset = _catalog("base")[name]
        if isinstance(dataset, TableDataset):
            assert name.endswith(dataset._describe()["kind"]), name


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_whatever_is_written_is_written_aside(env: str) -> None:
    """A dataset of Kedro writes in place: a full disk leaves half a file as the newest version, without a word."""
    made = _made(env)
    in_place = sorted(name for name in made if not isinstance(_catalog(env)[name], LocalVersionedDataset))
    assert not in_place
    models = {name for name in made if ".model@" in name or ".snapshots@" in name}
    given = {name for name in made if name.startswith(("given_", "eval_"))}
    unchecked = sorted(name for name in made - models - given if not isinstance(_catalog(env)[name], FileDataset))
    assert not unchecked, "no digest beside these"


@pytest.mark.parametrize("env", [*ENVIRONMENTS, "local"])
def test_no_catalog_names_a_dataset_of_kedro(env: str) -> None:
    entries = [
        entry
        for file in sorted((PROJECT / "conf" / env).glob("**/catalog*"))
        for entry in yaml.safe_load(file.read_text()).items()
    ]
    foreign = {name: entry["type"] for name, entry in entries if entry is not None and not name.startswith("_")}
    assert {kind for kind in foreign.values() if not kind.startswith("cai_kedro.datasets.")} == set()


def test_two_names_of_one_model_are_one_artifact() -> None:
    for name in ("pretrained.model", "rl_cai.policy.model", "hh_rlhf.preference.model"):
        checkpoint, engine = (_catalog("base")[f"{name}@{how}"] for how in ("checkpoint", "engine"))
        assert checkpoint._filepath == engine._filepath
        assert checkpoint._filepath.name == name.removesuffix(".model")


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_has_two_names_is_made_by_a_pipeline(env: str) -> None:
    """kedro-viz cannot place a transcoded dataset that nothing makes, and fails on the whole graph."""
    made = {name.partition("@")[0] for name in _made(env)}
    assert {name.partition("@")[0] for name in _datasets(env) if "@" in name} <= made


def test_no_two_datasets_share_a_file() -> None:
    owner: dict[str, str] = {}
    for name in sorted(_datasets("base")):
        path = getattr(_catalog("base")[name], "_filepath", None)
        # the models that judge_accuracy looks at are other pipelines'; it only reads them
        if path is not None and not name.startswith("accuracy_"):
            artifact = name.partition("@")[0]
            assert owner.setdefault(str(path), artifact) == artifact


@pytest.mark.parametrize("env", [env for env in ENVIRONMENTS if env != "base"])
def test_an_environment_writes_into_a_folder_of_its_own(env: str) -> None:
    catalog = _catalog(env)
    for name in sorted(_made(env)):
        assert Path(str(catalog[name]._filepath)).is_relative_to(PROJECT / "data" / env), name


def test_an_overlay_holds_only_what_differs() -> None:
    """The parameters that an overlay names replace those of base one by one, not block by block."""
    base, smoke = (_context(env).params["rlhf"].rl.ppo for env in ("base", "smoke"))
    assert smoke.rollouts < base.rollouts
    assert smoke.clip_range == base.clip_range


@pytest.mark.parametrize("env", ["base", "smoke", "hub", "paper"])
@pytest.mark.parametrize("arm", ["helpful_rlhf", "hh_rlhf", "rl_cai", "rl_cai_cot"])
def test_every_arm_learns_at_the_pace_of_its_environment_and_ends_on_a_snapshot(env: str, arm: str) -> None:
    """What an arm of base does differently would otherwise go on in the environments of large models."""
    params = _context(env).params
    rl = parameters_of(
        ArmParams(name=arm, algorithm="ppo", differences=params["lineage"]["policies"][arm]["differences"]),
        params["rlhf"],
    ).rl
    assert rl.rollouts % rl.snapshot_every == 0
    assert (rl.learning_rate == 1e-6) == (env in ("hub", "paper"))
    if env in ("hub", "paper"):
        assert rl.rollouts == params["rlhf"].rl.ppo.rollouts


@pytest.mark.parametrize("env", ["hub", "paper"])
def test_a_hub_environment_needs_a_pinned_model(env: str) -> None:
    with pytest.raises(Exception, match="base_model"):
        _session(env, {}).load_context()
