"""What both methods ask of people: counted from what is given, and from the lineage."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cai_kedro.core.axes import Axes
from cai_kedro.core.constitution import NO_FEW_SHOTS, ComparisonFewShot, CritiqueFewShot
from cai_kedro.core.conversation import user
from cai_kedro.core.question_types import read_question_types, read_seed_tasks
from cai_kedro.core.rules_reader import read_rules
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.workload import Load, Sizes
from cai_kedro.planning.inputs import Material
from cai_kedro.planning.self_align import SelfAlignMaterial
from cai_kedro.planning.two_methods import (
    effort_of,
    labels_behind,
    lines_of_cai,
    lines_of_self_align,
    starts_of_self_align,
)
from cai_kedro.reporting.plan import render_efforts
from tests.lineages import lineage
from tests.pipelines.builders import constitution, prompt_table
from tests.project_copy import PROJECT

FOLDER = PROJECT / "conf" / "base" / "self_align"
_PAIRS = {"human_helpful_pairs": 100, "human_red_team_pairs": 1000, "sl_helpful_pairs": 10, "harmlessness_pairs": 7}
SIZES = Sizes(**{**dict.fromkeys(Sizes.__dataclass_fields__, 0), **_PAIRS})


def labels(changes: Mapping[str, Any]) -> int:
    known = lineage(changes)
    return labels_behind([known.headline], known, SIZES)


def test_labels_are_those_behind_the_headline() -> None:
    """RL-CAI and Helpful RLHF, who answers first, learn from people; HH RLHF is only compared with."""
    assert labels({}) == 100 + 1000 + 10
    assert labels({"policies": {"hh_rlhf": None, "rl_cai_cot": None}}) == 100 + 1000 + 10
    given = {"policies": {"helpful_rlhf": {"given": "pretrained"}}}
    assert labels(given) == 100 + 10
    assert labels({**given, "helpfulness": "labeller"}) == 0
    known = lineage()
    assert labels_behind(["hh_rlhf"], known, SIZES) == 100 + 1000
    assert labels_behind(["helpful_rlhf", "hh_rlhf"], known, SIZES) == 100 + 2 * 1000


def test_self_align_asks_for_none_from_the_base_model() -> None:
    known = lineage()
    assert starts_of_self_align(known) == {"pretrained"}
    assert labels_behind(starts_of_self_align(known), known, SIZES) == 0
    other = lineage({"policies": {"self_align_engraved": {"start": "helpful_rlhf"}}})
    assert labels_behind(starts_of_self_align(other), other, SIZES) == 100 + 1000


def test_lines_of_the_constitution_and_of_what_people_ask() -> None:
    asked = prompt_table(["One.", "Two\nlines."])
    longer = [user("a"), {"role": "assistant", "content": "of a model"}, user("b")]
    asked.at[0, "messages"] = longer
    written = constitution().model_copy(update={"few_shots": NO_FEW_SHOTS})
    material = Material(asked, prompt_table(["Three."], "h"), Axes.model_construct({}), {}, written)
    principles = 2 * len(written.critique_principles) + len(written.preference_principles)
    assert lines_of_cai(material) == 2 + 2 + 1 + principles
    shots = NO_FEW_SHOTS.model_copy(
        update={
            "critiques": (CritiqueFewShot.model_validate({**dict.fromkeys(CRITIQUE, "x"), "messages": "How?"}),),
            "comparisons": (ComparisonFewShot.model_validate({"messages": "How?", "better": "a\nb", "worse": "c"}),),
            "red_team_prompts": ("p", "q"),
        }
    )
    more = written.model_copy(update={"few_shots": shots})
    other = Material(asked, prompt_table(["Three."], "h"), Axes.model_construct({}), {}, more)
    assert lines_of_cai(other) == lines_of_cai(material) + 6 + 4 + 2


CRITIQUE = ("response", "critique_request", "critique", "revision_request", "revision")


def of_files(folder: Path) -> SelfAlignMaterial:
    types, tasks = read_question_types(folder / "question_types.yml"), read_seed_tasks(folder / "seed_tasks.yml")
    return SelfAlignMaterial(types, tasks, read_rules(folder), [], {})


@pytest.mark.parametrize(("world", "known"), [("english", 252), ("micro_world", None)])
def test_lines_of_self_align_are_about_those_of_its_files(world: str, known: int | None) -> None:
    """Below the promise of the method, and no line of a file counts as many."""
    counted = lines_of_self_align(of_files(FOLDER / world))
    lines = [line for file in (FOLDER / world).glob("*.yml") for line in file.read_text(encoding="utf-8").splitlines()]
    written = len([line for line in lines if line.strip() and not line.lstrip().startswith("#")])
    assert known in (None, written)
    assert abs(counted - written) < 0.2 * written
    assert counted < 300


def load(calls: int) -> Load:
    return Load(1, calls, 10 * calls, 5 * calls, 2 * calls, Estimate(value=1.0, low=None, high=None, n=1), 1)


def test_what_only_compares_is_no_effort_of_the_method() -> None:
    loads = {"revisions": load(100), "labels": load(20), "direct_revisions": load(1000), "eval_responses": load(5000)}
    effort = effort_of("Constitutional AI", 9, 12_000, loads)
    assert (effort.calls, effort.prompt_tokens, effort.written_tokens) == (120, 1200, 240)
    lines = render_efforts([effort, effort_of("SELF-ALIGN", 252, 0, {"topic_lists": load(3)})]).split("\n")
    assert lines[2].split() == ["Constitutional", "AI", "9", "12,000", "120", "1,200", "240"]
    assert lines[3].split() == ["SELF-ALIGN", "252", "–", "3", "30", "6"]
    assert len({len(line) for line in lines}) == 1
