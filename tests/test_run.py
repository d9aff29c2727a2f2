"""`kedro run`, really: what the whole smoke run leaves behind, the same again, and training without the oracle."""

import hashlib
import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol
from mlflow.tracking import MlflowClient

from cai_kedro.core.conversation import as_messages, render
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.microworld.shipped import training_log
from tests.project_copy import PROJECT, copy_project, kedro_run

pytestmark = pytest.mark.slow

POLICIES = ["pretrained", "helpful_rlhf", "hh_rlhf", "sl_cai", "rl_cai", "rl_cai_cot"]
ARMS = ["helpful_rlhf", "hh_rlhf", "rl_cai", "rl_cai_cot"]
TRAINING = ["base_model", "baselines", "data_generation", "sl_cai", "preference_labeling", "rl_cai"]
#: Typed before `kedro run`: from then on nobody can import what knows the truth.
NO_ORACLE = """
import importlib, sys

TRUTH = ("cai_kedro.microworld.oracle", "cai_kedro.microworld.raters")

class NoOracle:
    def find_spec(self, name, path=None, target=None):
        if name in TRUTH:
            raise ImportError(f"{name} is out of reach")

sys.meta_path.insert(0, NoOracle())
for name in TRUTH:
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"{name} can be imported")
"""


# ---- what a run leaves behind ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def catalog(finished_run: Path) -> Iterator[CatalogProtocol]:
    bootstrap_project(finished_run)
    yield KedroSession.create(finished_run, env="smoke").load_context().catalog
    bootstrap_project(PROJECT)


@pytest.fixture(scope="module")
def outputs(catalog: CatalogProtocol) -> list[str]:
    return sorted(pipelines["__default__"].all_outputs())


def test_everything_that_the_graph_promises_is_there(catalog: CatalogProtocol, outputs: list[str]) -> None:
    """Loading a table checks it against its schema."""
    for name in outputs:
        loaded = catalog.load(name)
        if name == "pretraining_curves":
            assert len(loaded) == len(training_log())
        elif isinstance(loaded, LanguageModel):
            assert loaded.model.num_parameters() > 0
        elif name.startswith("recorded_"):
            assert loaded.empty, "people are simulated: they recorded nothing before the run"
        elif name == "not_measured":
            assert loaded.empty, "in the micro world everything is measured"
        elif name in ("evaluation.benchmark_metrics", "benchmarks_figure"):
            drawn = loaded.data if isinstance(loaded, go.Figure) else loaded
            assert len(drawn) == 0, "nobody gave answers to benchmarks"
        elif isinstance(loaded, go.Figure):
            assert len(loaded.data) > 0, f"{name} is empty"
        else:
            assert len(loaded) > 0, f"{name} is empty"


@pytest.fixture(scope="module")
def tables(catalog: CatalogProtocol, outputs: list[str]) -> dict[str, pd.DataFrame]:
    raw = [name for name in pipelines["__default__"].inputs() if name.endswith("_prompts")]
    loaded = {name: catalog.load(name) for name in [*raw, *outputs] if "model@" not in name}
    return {name: table for name, table in loaded.items() if isinstance(table, pd.DataFrame)}


def _keys(table: pd.DataFrame, *columns: str) -> set[tuple]:
    return set(table[list(columns)].itertuples(index=False, name=None))


def test_every_answer_leads_back_to_its_prompt(tables: dict[str, pd.DataFrame]) -> None:
    prompts = {name: set(tables[name]["prompt_id"]) for name in tables if name.endswith("_prompts")}
    assert prompts["given_red_team_prompts"] < prompts["red_team_prompts"]
    assert prompts["red_team_prompts"] == prompts["given_red_team_prompts"] | prompts["generated_red_team_prompts"]
    for name, asked in (
        ("initial_responses", "red_team_prompts"),
        ("helpful_responses", "helpful_prompts"),
        ("harmlessness_pairs", "red_team_prompts"),
        ("sl_helpful_pairs", "helpful_prompts"),
        ("human_helpful_pairs", "given_helpful_prompts"),
        ("human_red_team_pairs", "given_red_team_prompts"),
    ):
        assert set(tables[name]["prompt_id"]) <= prompts[asked], name
    for arm in ARMS:
        assert prompts[f"{arm}.rl_prompts"] <= prompts["red_team_prompts"] | prompts["helpful_prompts"]


def test_no_held_out_prompt_is_trained_on(tables: dict[str, pd.DataFrame]) -> None:
    held_out = {
        render(as_messages(cell))
        for name in ("red_team", "helpful")
        for cell in tables[f"eval_{name}_prompts"]["messages"]
    }
    trained_on = ["sl_rows", *(f"{arm}.{kind}" for arm in ARMS for kind in ("mixed_comparisons", "rl_prompts"))]
    for name in trained_on:
        assert not held_out & {render(as_messages(cell)) for cell in tables[name]["messages"]}, name


def test_every_revision_leads_back_to_a_response_and_a_principle(
    tables: dict[str, pd.DataFrame], catalog: CatalogProtocol
) -> None:
    principles = {principle.id for principle in catalog.load("constitution").critique_principles}
    initial = _keys(tables["initial_responses"], "prompt_id", "sample")
    for name in ("revisions", "direct_revisions"):
        revisions = tables[name]
        assert set(revisions["principle_id"]) <= principles
        assert _keys(revisions, "prompt_id", "sample") == initial
        assert set(revisions.groupby(["prompt_id", "sample"])["step"].agg(list).map(tuple)) == {(1, 2)}
    draw = ["prompt_id", "sample", "step", "principle_id"]
    assert _keys(tables["revisions"], *draw) == _keys(tables["direct_revisions"], *draw), "the ablation is paired"
    assert tables["direct_revisions"]["critique"].isna().all()


def test_every_training_row_leads_back_to_a_revision_or_a_helpful_answer(tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["sl_rows"]
    revised, helped = rows[rows["source"] == "revision"], rows[rows["source"] == "helpful"]
    made = tables["revisions"].rename(columns={"revision": "response"})
    assert len(revised) > 0
    assert _keys(revised, "prompt_id", "step", "response") <= _keys(made, "prompt_id", "step", "response")
    assert len(helped) > 0
    assert _keys(helped, "prompt_id", "response") <= _keys(tables["helpful_responses"], "prompt_id", "response")
    asked = pd.concat([tables["red_team_prompts"], tables["helpful_prompts"]]).set_index("prompt_id")["messages"]
    assert list(rows["messages"]) == list(asked[rows["prompt_id"]])


@pytest.mark.parametrize(
    ("comparisons", "pairs", "objective", "source"),
    [
        ("human_helpfulness_comparisons", "human_helpful_pairs", "helpfulness", "human"),
        ("human_red_team_helpfulness_comparisons", "human_red_team_pairs", "helpfulness", "human"),
        ("human_harmlessness_comparisons", "human_red_team_pairs", "harmlessness", "human"),
        ("sl_helpfulness_comparisons", "sl_helpful_pairs", "helpfulness", "human"),
        ("ai_comparisons", "harmlessness_pairs", "harmlessness", "ai"),
        ("ai_cot_comparisons", "harmlessness_pairs", "harmlessness", "ai_cot"),
    ],
)
def test_every_comparison_is_of_a_pair(
    tables: dict[str, pd.DataFrame],
    catalog: CatalogProtocol,
    comparisons: str,
    pairs: str,
    objective: str,
    source: str,
) -> None:
    compared = tables[comparisons]
    pair = list(tables[pairs].columns)
    if source == "human":  # people leave out what they cannot decide
        assert _keys(compared, "pair_id", "response_a", "response_b") <= _keys(
            tables[pairs], "pair_id", "response_a", "response_b"
        )
    else:
        pd.testing.assert_frame_equal(compared[pair], tables[pairs])
    assert set(compared["objective"]) == {objective}
    assert set(compared["source"]) == {source}
    principles = {principle.id for principle in catalog.load("constitution").preference_principles}
    assert set(compared["principle_id"].dropna()) <= principles
    assert compared["principle_id"].isna().all() == (source == "human")
    assert compared["thoughts"].notna().all() == (source == "ai_cot")


def test_an_arm_mixes_the_tables_that_the_graph_gives_it(tables: dict[str, pd.DataFrame]) -> None:
    for arm in ARMS:
        (node,) = [node for node in pipelines["__default__"].nodes if node.name == f"{arm}.mix_comparisons"]
        mixed = [name for name in node.inputs if name.endswith("_comparisons")]
        parts = pd.concat([tables[name] for name in mixed])
        key = ["pair_id", "objective", "source", "p_a_better"]
        assert _keys(tables[f"{arm}.mixed_comparisons"], *key) == _keys(parts, *key)
    assert set(tables["rl_cai.mixed_comparisons"].query("objective == 'harmlessness'")["source"]) == {"ai"}
    assert set(tables["rl_cai_cot.mixed_comparisons"].query("objective == 'harmlessness'")["source"]) == {"ai_cot"}


def test_all_policies_meet_at_all_prompts(tables: dict[str, pd.DataFrame]) -> None:
    prompts = set(tables["policy_prompts"]["prompt_id"])
    answered = set(itertools.product(POLICIES, prompts))
    assert _keys(tables["policy_responses"], "policy", "prompt_id") == answered
    assert _keys(tables["policy_judgements"], "policy", "prompt_id") == answered
    met = tables["policy_head_to_heads"]
    couples = {frozenset(couple) for couple in itertools.combinations(POLICIES, 2)}
    assert {frozenset(couple) for couple in _keys(met, "policy_a", "policy_b")} == couples
    assert len(met) == len(couples) * len(prompts)
    cases = set(tables["preference_test_cases"]["pair_id"])
    for arm in ARMS:
        assert _keys(tables[f"{arm}_test_scores"], "prompt_id", "sample") == set(itertools.product(cases, (0, 1)))


def test_the_terminal_ends_with_the_summary(finished_run: Path) -> None:
    lines = (finished_run / "terminal.txt").read_text().strip().split("\n")
    assert lines[-1] == "curves, metrics and tables: mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1"
    start = max(i for i, line in enumerate(lines) if line.startswith("policy") and "harmlessness Elo" in line)
    end = lines[start:]
    assert [line.split()[0] for line in end if line.split()[:1] and line.split()[0] in POLICIES] == POLICIES
    assert "evasive" in end[0]
    assert sum(line.startswith(("harmlessness  ", "helpfulness  ")) for line in end) == 2 * (len(POLICIES) - 1)
    assert "of memory" in lines[-4]
    assert lines[-3].startswith("machine: ")
    assert lines[-2] == "report, to open in a browser: data/smoke/08_reporting/report.html"
    assert any(re.search(r"stage (\d+) of \1: reporting.write_report", line) for line in lines)


def test_mlflow_has_one_finished_run_with_its_figures(finished_run: Path, tables: dict[str, pd.DataFrame]) -> None:
    runs = _runs(finished_run)
    (whole,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert (whole.info.run_name, whole.info.status) == ("whole method", "FINISHED")
    wanted = [f"elo.{objective}.{policy}" for objective in ("harmlessness", "helpfulness") for policy in POLICIES]
    # the reference of the ratings stands at 0, without an interval
    wanted += [f"{name}.{bound}" for name in wanted for bound in ("low", "high") if not name.endswith(".helpful_rlhf")]
    wanted += ["pm_score.revision_0", "pm_score.revision_1", "pm_score.revision_2", "behaviour.rl_cai.all.objects"]
    assert [name for name in wanted if name not in whole.data.metrics] == []
    assert whole.data.params["rlhf.rl.ppo.rollouts"] == "2"
    assert whole.data.tags["saved.sl_cai.model"] == whole.data.tags["save_version"]
    assert len(whole.data.tags["constitution.sha256"]) == 64
    nested = [run for run in runs if run is not whole]
    curves = {name.removesuffix("_curves") for name, table in tables.items() if name.endswith("_curves") and len(table)}
    assert {run.info.run_name for run in nested} == curves
    assert {run.data.tags["mlflow.parentRunId"] for run in nested} == {whole.info.run_id}
    assert {run.info.status for run in nested} == {"FINISHED"}


def _runs(project: Path) -> list:
    client = MlflowClient(tracking_uri=f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("cai_kedro")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


# ---- the same seed again, without the oracle -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained_again(catalog: CatalogProtocol, finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which every training pipeline ran once more, the oracle out of reach.

    Only the simulation of people is left out: its comparisons are read from the tables of the first run. Shards are not
    copied, so everything is made again. The names of its nodes are those of the last context, that of `catalog`.
    """
    project = tmp_path_factory.mktemp("again") / "project"
    shutil.copytree(finished_run, project, ignore=shutil.ignore_patterns("shards"))
    done = kedro_run(project, "--env=smoke", f"--nodes={','.join(_training_nodes())}", code=NO_ORACLE)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return project


def _training_nodes() -> list[str]:
    return [node.name for name in TRAINING for node in pipelines[name].nodes if "human_feedback" not in node.tags]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _artifacts(project: Path) -> dict[str, list[dict[str, str]]]:
    """Return the versions of every artifact, oldest first: of each version the sha256 of its files."""
    return {
        folder.name: [
            {str(file.relative_to(version)): _sha256(file) for file in sorted(version.rglob("*")) if file.is_file()}
            for version in sorted(folder.iterdir())
        ]
        for folder in (project / "data" / "smoke").glob("*/*")
        if folder.is_dir() and folder.name != "shards"  # the report is one file
    }


def test_training_runs_without_the_oracle_and_the_same_seed_gives_the_same_bytes(trained_again: Path) -> None:
    """Tables, metrics and weights."""
    again = {name: versions for name, versions in _artifacts(trained_again).items() if len(versions) == 2}
    made = {output.partition("@")[0] for name in TRAINING for output in pipelines[name].all_outputs()}
    by_people = {name for name in made if name.startswith("recorded_")}
    by_people |= {name for name in made if name.startswith(("human_", "sl_help")) and name.endswith("_comparisons")}
    assert len(again) == len(made) - len(by_people)
    assert sorted(name for name, (first, second) in again.items() if not first or first != second) == []


def test_simulated_people_say_the_same_again(catalog: CatalogProtocol, tables: dict[str, pd.DataFrame]) -> None:
    nodes = [node for node in pipelines["__default__"].nodes if "human_feedback" in node.tags]
    agreement = [node for node in nodes if node.name == "evaluation.measure_rater_agreement"]
    assert (len(nodes), len(agreement)) == (8, 1)
    for node in agreement:
        (name,) = node.outputs
        again = node.run({name: catalog.load(name) for name in node.inputs})[name]
        assert again == catalog.load(name)
    for node in (node for node in nodes if node not in agreement):
        said = node.run({name: catalog.load(name) for name in node.inputs})
        for name, table in said.items():
            pd.testing.assert_frame_equal(check_table(name.rpartition("_")[2], table), tables[name])


def test_simulated_people_say_the_same_of_old_pairs_when_pairs_are_added(
    catalog: CatalogProtocol, tables: dict[str, pd.DataFrame]
) -> None:
    pairs = tables["human_red_team_pairs"]
    few = catalog.load("human_raters").compare(pairs[len(pairs) // 2 :], "harmlessness", catalog.load("params:seed"))
    said = tables["human_harmlessness_comparisons"]
    old = said[said["pair_id"].isin(few["pair_id"])].reset_index(drop=True)
    assert 0 < len(few) < len(said)
    pd.testing.assert_frame_equal(check_table("comparisons", few), old)


def test_one_pipeline_runs_on_the_latest_versions(trained_again: Path) -> None:
    done = kedro_run(trained_again, "--env=smoke", "--pipelines=evaluation")
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    (evaluation,) = [run for run in _runs(trained_again) if run.info.run_name == "evaluation"]
    versions = sorted(folder.name for folder in (trained_again / "data" / "smoke" / "06_models" / "sl_cai").iterdir())
    assert len(versions) == 2
    assert evaluation.data.tags["loaded.sl_cai.model"] == versions[-1]
    assert evaluation.info.status == "FINISHED"
    made = _artifacts(trained_again)
    for name in pipelines["evaluation"].all_outputs():
        ((_, (first, second)),) = [item for item in made.items() if item[0].rpartition(".")[0] == name]
        assert list(first.values()) == list(second.values()), f"{name} differs at the same seed"


def test_pretraining_runs_without_the_oracle(tmp_path: Path) -> None:
    tiny = {"steps": 3, "tokenizer_documents": 200, "vocab_size": 700, "hidden_size": 32, "intermediate_size": 64}
    params = ",".join(
        [
            "base_model.source=micro",
            "base_model.micro.restart=null",
            *(f"base_model.micro.{name}={n}" for name, n in tiny.items()),
        ]
    )
    project = copy_project(tmp_path)
    done = kedro_run(project, "--env=smoke", "--pipelines=base_model", f"--params={params}", code=NO_ORACLE)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert len(list((project / "data" / "smoke" / "06_models" / "pretrained").rglob("model.safetensors"))) == 1
