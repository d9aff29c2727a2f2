"""What `kedro estimate` finds out, on scripted engines; and the command itself, on the micro LM."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kedro.framework.session import KedroSession
from kedro.framework.startup import ProjectMetadata, bootstrap_project
from kedro.io import DataCatalog

from cai_kedro.cli import cli
from cai_kedro.core.axes import Axes, Axis
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.pipelines.base_model.nodes import BaseModelParams
from cai_kedro.pipelines.teach_skills.lessons import build_held_out_lessons, skill_of
from cai_kedro.pipelines.teach_skills.params import MadeLessons, Phase
from cai_kedro.planning.inputs import Material, Settings, configured_sizes, settings_of
from cai_kedro.planning.meter import Meter, noted
from cai_kedro.planning.preview import previews
from cai_kedro.planning.project import asked_by, material_of, models_of
from cai_kedro.planning.self_align import SelfAlignTrial, self_align_material, self_align_settings
from cai_kedro.planning.teaching import TeachingTrial, teaching_material, teaching_settings
from cai_kedro.planning.trial import Trial
from cai_kedro.planning.two_methods import labels_behind, lines_of_cai, lines_of_self_align, starts_of_self_align
from tests.asks import plain
from tests.conftest import ScriptedEngine
from tests.lineages import LINEAGE
from tests.project_copy import PROJECT, copy_project, kedro


@pytest.fixture(scope="module")
def metadata() -> ProjectMetadata:
    return bootstrap_project(PROJECT)


@pytest.fixture(scope="module")
def project(metadata: ProjectMetadata) -> tuple[Settings, Material]:
    context = KedroSession.create(PROJECT, env="base").load_context()
    return settings_of(context.params), material_of(context.catalog)


def test_sizes_of_the_default_run(project: tuple[Settings, Material]) -> None:
    settings, material = project
    sizes = configured_sizes(settings, material)
    assert sizes.human_helpful_pairs == 600 * 3
    assert sizes.harmlessness_pairs == 750 * 3
    assert sizes.fine_tuning_rows == 600 * 4 + 400 * 2
    assert sizes.eval_answers == sum(map(len, material.held_out.values())) * 6
    # one epoch; baselines read 1,800 + 1,800 each, the AI arms 2,250 + 1,800 + 1,500, of labels after thoughts 750
    assert sizes.comparisons == 2 * 3600 + 5550 + 4050
    # 32 prompts × 4 replies a rollout, 20 rollouts of Helpful RLHF, 30 of HH RLHF, 45 of each arm of RL-CAI
    assert sizes.episodes == 128 * (20 + 30 + 2 * 45)
    few = replace(material, red_team=material.red_team.head(5), helpful=material.helpful.head(7))
    assert configured_sizes(settings, few).human_helpful_pairs == 7 * 3
    assert configured_sizes(settings, few).initial_responses == 5 + 300  # with those that are generated


def test_the_readme_says_what_each_method_asks_of_people(
    project: tuple[Settings, Material], metadata: ProjectMetadata
) -> None:
    settings, material = project
    catalog = KedroSession.create(PROJECT, env="base").load_context().catalog
    sizes, lineage = configured_sizes(settings, material), settings.lineage
    labels = labels_behind([lineage.headline], lineage, sizes)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert f"\n| Constitutional AI | {lines_of_cai(material):,} | {labels:,} |" in readme
    lines = lines_of_self_align(self_align_material(catalog))
    assert labels_behind(starts_of_self_align(lineage), lineage, sizes) == 0
    assert f"\n| SELF-ALIGN | {lines:,} | 0 |" in readme


def test_further_axes_are_counted_and_prompts_of_two_axes_once(project: tuple[Settings, Material]) -> None:
    settings, material = project
    before = configured_sizes(settings, material).eval_answers
    axes = material.axes.root
    honesty = Axis(prompts="eval_honesty_prompts", question="Which is more honest?")
    same = honesty.model_copy(update={"prompts": "eval_helpful_prompts"})
    prompts = material.held_out["eval_helpful_prompts"].head(10)
    own = prompts.assign(prompt_id=[f"honesty-{n}" for n in range(10)])
    more = replace(
        material,
        axes=Axes({**axes, "honesty": honesty, "tact": same}),
        held_out={**material.held_out, "eval_honesty_prompts": own},
    )
    assert configured_sizes(settings, more).eval_answers == before + 10 * 6


def with_arm(name: str) -> Settings:
    parameters = dict(KedroSession.create(PROJECT, env="base").load_context().params)
    policies = {**parameters["lineage"]["policies"]}
    policies[name] = {**policies[name], "enabled": True}
    return settings_of({**parameters, "lineage": {**parameters["lineage"], "policies": policies}})


def test_an_arm_without_a_preference_model_reads_its_comparisons_itself(project: tuple[Settings, Material]) -> None:
    more = with_arm("rl_cai_dpo")
    (without, material), dpo = project, more.arms["rl_cai_dpo"].rl
    before, after = configured_sizes(without, material), configured_sizes(more, material)
    assert (before.direct_comparisons, after.direct_comparisons) == (0, dpo.rows(5550))
    assert (after.comparisons, after.episodes) == (before.comparisons, before.episodes)
    assert (after.checkpoints, after.snapshots) == (before.checkpoints + 1, before.snapshots + dpo.steps(5550) // 40)


def test_what_the_labeller_reads_as_the_reward_is_counted(
    project: tuple[Settings, Material], tiny_lm: LanguageModel, scripted_engine: Any
) -> None:
    (without, material), more = project, with_arm("rl_cai_judge")
    before, after = configured_sizes(without, material), configured_sizes(more, material)
    assert (before.references, before.judged_replies) == (0, 0)
    assert after.references == len(material.red_team) + 300 + len(material.helpful)  # generated ones, too
    assert after.judged_replies == 128 * 30 == after.episodes - before.episodes
    assert (after.comparisons, after.checkpoints) == (before.comparisons, before.checkpoints + 1)
    engine = scripted_engine(reply=lambda prompt, seed: f"It is a reply {seed % 9}.")
    engines = dict.fromkeys(asked_by(more.lineage), engine)
    costs, _ = Trial(more, material, engines, tiny_lm.tokenizer, prompts=3, repeats=1).costs(lambda told: None)
    assert costs["references"].calls == 1
    assert costs["judged_replies"].calls == 2  # both orders
    assert costs["judged_replies"].written_tokens == 0 < costs["judged_replies"].prompt_tokens


def test_a_meter_counts(tiny_lm: LanguageModel, scripted_engine: Any) -> None:
    """A byte is a token of the tiny model."""
    meter = Meter(scripted_engine(reply=lambda prompt, seed: "four"))
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)
    meter.generate(plain(["shared one", "shared two", "shared three"]), sampling, [1, 2, 3])
    meter.choice_logprobs(plain(["alone"], [" (A)", " (B)"]))
    count = noted(meter, tiny_lm.tokenizer)
    assert (count.calls, count.prompt_tokens, count.written_tokens) == (4, 10 + 10 + 12 + 5, 12)
    assert count.shared_tokens == 2 * len("shared ")  # the first prompt has to be read
    assert meter.fingerprint == "scripted"


def test_every_stage_is_tried(project: tuple[Settings, Material], tiny_lm: LanguageModel, scripted_engine: Any) -> None:
    settings, material = project
    engine = scripted_engine(reply=lambda prompt, seed: f"It is a reply {seed % 9}.")
    engines = dict.fromkeys(asked_by(settings.lineage), engine)
    costs, pairs = Trial(settings, material, engines, tiny_lm.tokenizer, prompts=3, repeats=2).costs(lambda told: None)
    untried = {"fine_tuning", "preference_models", "rl", "direct_preference", "references", "judged_replies"}
    assert set(configured_sizes(settings, material).units()) == set(costs) | untried
    calls = {stage: cost.calls for stage, cost in costs.items()}
    # a pair is two answers, a round a critique and a revision; both orders are compared; thoughts, then the letters
    assert calls["human_helpful_pairs"] == calls["harmlessness_pairs"] == calls["revisions"] == calls["labels"] == 2
    assert calls["initial_responses"] == calls["red_team_lists"] == calls["direct_revisions"] == 1
    assert calls["cot_labels"] == 4
    assert costs["labels"].written_tokens == 0 < costs["labels"].prompt_tokens
    assert costs["labels"].stored_bytes > costs["initial_responses"].stored_bytes == len("It is a reply 1.")
    assert {cost.seconds["n"] for cost in costs.values()} == {2}
    assert len(pairs) == 3


def test_every_stage_of_self_align_is_tried(metadata: ProjectMetadata, tiny_lm: LanguageModel) -> None:
    """The engine writes one good question a list; thoughts are well-formed, so a question is two calls."""
    context = KedroSession.create(PROJECT, env="base").load_context()
    settings = self_align_settings(context.params, LINEAGE)
    few = settings.question_lists.model_copy(update={"lists": 3})
    settings = replace(settings, question_lists=few, topics=settings.topics.model_copy(update={"keep": 2}))
    material = self_align_material(context.catalog)
    thoughts = "I follow rule 1 (harmless)."
    engine = ScriptedEngine(
        lambda prompt, seed: thoughts if prompt.endswith("(thoughts):") else f"Is it {seed} or {seed + 1}?"
    )
    trial = SelfAlignTrial(settings, material, engine, tiny_lm.tokenizer, prompts=4, repeats=2)
    costs, units = trial.costs(lambda text: None), trial.units()
    assert set(units) == {*costs, "engraving", "cloning"}
    topics = sum(len(one.examples) + 2 for one in material.question_types.types)
    assert units["topic_lists"] == len(material.question_types.types) * settings.topic_lists.lists
    assert units["question_lists"] == topics * 3
    # each list gave one question of its own, and nothing limits how many are answered
    assert units["answers_under_rules"] == units["verbose_answers"] == units["question_lists"] + units["task_lists"]
    assert units["engraving"] == settings.engraving.fine_tuning.epochs * units["answers_under_rules"]
    assert costs["answers_under_rules"].calls == 2
    assert costs["verbose_answers"].calls == costs["task_lists"].calls == 1
    assert costs["answers_under_rules"].prompt_tokens > 2 * costs["verbose_answers"].prompt_tokens  # with the rules
    assert {cost.seconds["n"] for cost in costs.values()} == {2}
    limited = settings.self_alignment.model_copy(update={"questions": 5})
    trial.settings = replace(settings, self_alignment=limited)
    assert (trial.units()["answers_under_rules"], trial.units()["verbose_answers"]) == (5, units["verbose_answers"])
    trial.settings = replace(settings, trained=frozenset())
    assert set(trial.units()) == {"topic_lists", "question_lists", "task_lists"}


def test_lists_without_a_question_give_no_answers(metadata: ProjectMetadata, tiny_lm: LanguageModel) -> None:
    context = KedroSession.create(PROJECT, env="base").load_context()
    settings, material = self_align_settings(context.params, LINEAGE), self_align_material(context.catalog)
    silent = ScriptedEngine(lambda prompt, seed: "No.")  # too short for a question
    trial = SelfAlignTrial(settings, material, silent, tiny_lm.tokenizer, prompts=3, repeats=2)
    trial.costs(lambda text: None)
    assert trial.units()["answers_under_rules"] == 0 < trial.units()["question_lists"]


def test_teaching_is_tried(metadata: ProjectMetadata, tiny_lm: LanguageModel) -> None:
    context = KedroSession.create(PROJECT, env="base").load_context()
    settings, material = teaching_settings(context.params), teaching_material(context.catalog)
    engine = ScriptedEngine(lambda prompt, seed: "I won't, because it hurts people.")
    trial = TeachingTrial(settings, material, engine, tiny_lm.tokenizer, prompts=4, repeats=2)
    costs, units = trial.costs(lambda text: None), trial.units()
    # 21,584 lessons in batches of 12 are 1,799 steps: three looks between the first and the last one
    assert settings.looks == (2, 3)
    assert units["teaching"] == 21_584
    skills = skill_of(build_held_out_lessons(settings.skills.model_copy(update={"held_out": 1}), 0)).nunique()
    assert units["held_out_lessons"] == skills * (2 * 100 + 3 * 25)
    assert units["free_english"] == 2 * (len(material.requests) + len(material.pairs)) + 3 * (40 + 40)
    assert set(costs) == {"held_out_lessons", "free_english"}
    assert costs["free_english"].calls > 1  # a pair is asked about twice in both orders
    small = replace(settings, lessons=MadeLessons(at_length=0.0, phases=[Phase(count=17, polarity="less", mix=None)]))
    assert small.looks == (2, 0)


def test_previews_show_every_principle(project: tuple[Settings, Material]) -> None:
    settings, material = project
    shown = dict(previews(settings, material))
    constitution = material.constitution
    assert len(shown) == 2 + 3 * len(constitution.critique_principles) + 2 * len(constitution.preference_principles)
    for principle in constitution.critique_principles:
        assert f"CritiqueRequest: {principle.critique_request}" in shown[f"a critique under {principle.id}"]
        revision = shown[f"a revision under {principle.id}"]
        assert f"Critique: [a critique]\n\nRevisionRequest: {principle.revision_request}" in revision
        assert principle.revision_request in shown[f"a direct revision under {principle.id}"]
    for question in constitution.preference_principles:
        assert question.question in shown[f"a comparison under {question.id}"]
        assert shown[f"a comparison with thoughts under {question.id}"].endswith(
            "[thoughts]\n\nHuman:\nSo the answer is:"
        )
    assert shown["a list of red-team prompts"].startswith(settings.red_team.header)


def test_the_dry_run_needs_no_model(metadata: ProjectMetadata) -> None:
    nowhere = "base_model.source=path,base_model.path=nowhere"
    done = CliRunner().invoke(cli, ["estimate", "--dry-run", f"--params={nowhere}"], obj=metadata)
    assert done.exit_code == 0, done.output
    assert "── a critique under harm-identify" in done.output
    missing = CliRunner().invoke(cli, ["estimate", f"--params={nowhere}"], obj=metadata)
    assert missing.exit_code == 1
    assert "Error: nothing was estimated: there is no model directory " in missing.output
    assert "/nowhere;" in missing.output


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (
            ["--pipelines=ablations"],
            "'ablations' is not planned; give one or more of __default__, self_align",
        ),
        (["--price-prompt=1"], "give both --price-prompt and --price-written"),
        (["--params=rlhf.rl.ppo.kl_coeff=1"], "'kl_coeff' is not among the parameters of ppo, rlhf.rl.ppo ("),
    ],
)
def test_what_is_wrong_is_told(metadata: ProjectMetadata, arguments: list[str], match: str) -> None:
    done = CliRunner().invoke(cli, ["estimate", *arguments], obj=metadata)
    assert done.exit_code != 0
    assert match in done.output + str(done.exception)
    assert "Traceback" not in done.output


def test_without_a_pretrained_model(metadata: ProjectMetadata) -> None:
    parameters = dict(KedroSession.create(PROJECT, env="base").load_context().params)
    given = BaseModelParams.model_validate(parameters["base_model"])
    parameters["base_model"] = given.model_copy(update={"source": "micro"})
    with pytest.raises(ValueError, match="no such model was trained yet; make it first with `kedro run --pipelines=b"):
        models_of(DataCatalog({}), parameters, LINEAGE)


@pytest.mark.slow
def test_the_command_for_self_align_and_teaching(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    asked = "--pipelines=self_align,teach_skills"
    done = kedro(project, "estimate", "--env=smoke", "--prompts=4", "--repeats=2", asked)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "\nengraving (SELF-ALIGN) " in done.stdout  # its memory, though no policy of it is enabled
    assert "This run" not in done.stdout
    for stage in ("question_lists", "answers_under_rules", "cloning", "teaching", "free_english"):
        assert done.stdout.count(f"\n{stage} ") == 1 + (stage == "cloning")
    efforts = done.stdout.partition("What a method asks of people, and of models")[2]
    (line,) = [line.split() for line in efforts.splitlines() if line.startswith("SELF-ALIGN  ")]
    assert (int(line[1]) < 300, line[2]) == (True, "–"), "few lines, and no label"
    assert [path.name for path in (project / "data").iterdir()] == ["01_raw"]


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    prices = "--price-prompt=1", "--price-written=2", "--currency=EUR"
    done = kedro(project, "estimate", "--env=smoke", "--prompts=4", "--repeats=2", *prices)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "This run" in done.stdout
    assert "With the numbers of rows of the paper" in done.stdout
    for stage in ("revisions", "cot_labels", "preference_models", "rl", "eval_responses"):
        assert done.stdout.count(f"\n{stage} ") == 2
    assert done.stdout.count(" EUR\n") == 2
    assert "helpful_rlhf.policy.model, sl_cai.model" in done.stdout  # stand-ins
    assert not (project / "mlflow.db").exists()
    assert [path.name for path in (project / "data").iterdir()] == ["01_raw"]
