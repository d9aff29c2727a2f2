"""Where the check of the roles stands in the graph, and that nothing is labelled below the bar."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.exam import Exam
from cai_kedro.core.shards import ShardParams
from cai_kedro.engines.base import Sampling
from cai_kedro.pipeline_registry import pipelines_of
from cai_kedro.pipelines.data_generation.check import check_critic
from cai_kedro.pipelines.data_generation.revision import RevisionParams
from cai_kedro.pipelines.evaluation.not_measured import tell_not_measured_of
from cai_kedro.pipelines.preference_labeling.check import check_labeller
from cai_kedro.pipelines.preference_labeling.labels import LabelParams
from cai_kedro.templates.role_check import RoleCheckParams
from tests.lineages import LINEAGE, lineage
from tests.pipelines.builders import AXES, pair_table
from tests.probe_engines import ProbedEngine, always_a, knows, knows_with_examples, names, says_nothing

ENGLISH = read_constitution(Path(__file__).parents[2] / "conf" / "base" / "constitution" / "english")
CHECK = RoleCheckParams(pairs=8, critiques=4, min_accuracy=0.75, max_contradictions=0.5, min_naming=0.5, insist=False)
LABELS = LabelParams(both_orders=True, few_shots=0)
EXAM = Exam(AXES)
PROBED = lineage({"probe": "english"})


def _names(pipeline: Pipeline) -> set[str]:
    return {node.name.rpartition(".")[2] for node in pipeline.nodes}


def test_nobody_is_asked_in_the_micro_world() -> None:
    default = pipelines_of(LINEAGE, EXAM)["__default__"]
    assert not _names(default) & {"check_critic", "check_labeller"}
    assert not {name for name in default.all_inputs() if "check_" in name}


def test_with_a_probe_the_work_waits_for_the_check() -> None:
    pipelines = pipelines_of(PROBED, EXAM)
    default = pipelines["__default__"]
    assert {"check_critic", "check_labeller"} <= _names(default)
    waits = {node.name.rpartition(".")[2]: set(node.inputs) for node in default.nodes}
    assert "labeller_check_metrics" in waits["label_pairs"]
    assert "critic_check_metrics" in waits["critique_and_revise"] & waits["revise_directly"]
    assert _names(pipelines["check_labeller"]) == {"check_critic", "check_labeller"}
    without = pipelines_of(lineage({"probe": "english", "roles": {"labeller": None}}), EXAM)
    assert "check_labeller" not in _names(without["__default__"])


@pytest.mark.parametrize(("p_first", "labelled"), [(always_a, False), (knows, True)])
def test_nothing_is_labelled_below_the_bar(p_first, labelled: bool) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """The real nodes in Kedro's runner."""
    engine = ProbedEngine(p_first)
    labelling = pipelines_of(PROBED, EXAM)["preference_labeling"]
    pipeline = labelling.only_nodes(*[n.name for n in labelling.nodes if n.name.endswith(("label_pairs", "labeller"))])
    given = {
        "harmlessness_pairs": pair_table([("Good one.", "Bad one.")]),
        "constitution": ENGLISH,
        LINEAGE.engine_of("labeller"): engine,
        "params:preference_labeling.labels": LABELS,
        "params:check_labeller": CHECK,
        "params:seed": 0,
        "params:shards": ShardParams(prompts=8, max_quarantined=0.5),
    }
    catalog = DataCatalog({name: MemoryDataset(data, copy_mode="assign") for name, data in given.items()})
    if labelled:
        outputs = SequentialRunner().run(pipeline, catalog)
        assert set(outputs) >= {"ai_comparisons"}
    else:
        with pytest.raises(ValueError, match="the labeller is below the bar"):
            SequentialRunner().run(pipeline, catalog)
        assert len(engine.asks) == 8 * 2 * 2  # the run's setting and, to name the next choice, four worked examples


def test_the_next_choice_is_tried_only_where_the_run_would_stop() -> None:
    engine = ProbedEngine(knows)
    metrics = check_labeller(ENGLISH, engine, LABELS, CHECK, seed=0)
    assert metrics["check.labeller.passed"]["value"] == 1.0
    assert len(engine.asks) == 8 * 2
    with pytest.raises(ValueError, match=r"set preference_labeling\.labels\.few_shots=4, which passes with 1\.00"):
        check_labeller(ENGLISH, ProbedEngine(knows_with_examples), LABELS, CHECK, seed=0)
    insisting = CHECK.model_copy(update={"insist": True})
    engine = ProbedEngine(always_a)
    assert check_labeller(ENGLISH, engine, LABELS, insisting, seed=0)["check.labeller.passed"]["value"] == 0.0
    assert len(engine.asks) == 8 * 2


def test_the_critic_is_checked_alike() -> None:
    params = RevisionParams(rounds=1, few_shots=2, sampling=Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8))
    metrics = check_critic(ENGLISH, ProbedEngine(criticise=names), params, CHECK, seed=0)
    assert metrics["check.critic.naming"]["value"] == 1.0
    with pytest.raises(ValueError, match="the critic is below the bar"):
        check_critic(ENGLISH, ProbedEngine(criticise=says_nothing), params, CHECK, seed=0)


def test_who_works_below_the_bar_is_told_with_the_report(caplog: pytest.LogCaptureFixture) -> None:
    insisting = CHECK.model_copy(update={"insist": True})
    failed = check_labeller(ENGLISH, ProbedEngine(always_a), LABELS, insisting, seed=0)
    passed = check_labeller(ENGLISH, ProbedEngine(knows), LABELS, insisting, seed=0)
    tell = tell_not_measured_of({}, [])
    told = tell(AXES, labeller_check_metrics=failed)
    assert told["missing"].tolist() == ["check.labeller"]
    assert told["line"][0].startswith("whether the AI labels are more than noise: the labeller is below the bar")
    assert "0.50 [" in told["line"][0]
    assert "(n = 8), and works because check_labeller.insist is true" in told["line"][0]
    assert tell(AXES, labeller_check_metrics=passed).empty
    telling = next(n for n in pipelines_of(PROBED, EXAM)["evaluation"].nodes if n.name.endswith("tell_not_measured"))
    assert {"critic_check_metrics", "labeller_check_metrics"} <= set(telling.inputs)
    nobody = next(n for n in pipelines_of(LINEAGE, EXAM)["evaluation"].nodes if n.name.endswith("tell_not_measured"))
    assert not {"critic_check_metrics", "labeller_check_metrics"} & set(nobody.inputs)
