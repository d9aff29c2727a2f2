"""Who is who in a run, and what is said where policies and roles do not fit together."""

from typing import Any

import pytest
from pydantic import ValidationError

from cai_kedro.core.lineage import Lineage
from cai_kedro.core.lineage_checks import check_entries_of_catalog, is_hub_model, is_path
from tests.lineages import LINEAGE, lineage

COMMIT = "0123456789" * 4
HUB_MODEL = f"organisation/name@{COMMIT}"


def policies(**entries: Any) -> Lineage:
    return lineage({"policies": entries})


def test_the_default_lineage_is_the_papers() -> None:
    assert list(LINEAGE.evaluated) == ["pretrained", "helpful_rlhf", "hh_rlhf", "sl_cai", "rl_cai", "rl_cai_cot"]
    assert LINEAGE.evaluated["sl_cai"] == "sl_cai.model"
    assert LINEAGE.evaluated["rl_cai"] == "rl_cai.policy.model"
    assert LINEAGE.starts == {
        "helpful_rlhf": "pretrained",
        "hh_rlhf": "pretrained",
        "rl_cai": "sl_cai",
        "rl_cai_cot": "sl_cai",
    }
    assert LINEAGE.baselines == ("helpful_rlhf", "hh_rlhf")
    assert LINEAGE.ai_arms == ("rl_cai", "rl_cai_cot")
    assert LINEAGE.tables_of("rl_cai") == (
        "ai_comparisons",
        "human_helpfulness_comparisons",
        "sl_helpfulness_comparisons",
    )
    assert (LINEAGE.base, LINEAGE.supervised, LINEAGE.headline, LINEAGE.scorer(LINEAGE.arms)) == (
        "pretrained",
        "sl_cai",
        "rl_cai",
        "rl_cai",
    )
    assert (LINEAGE.left_out, LINEAGE.given_models, LINEAGE.catalog_roles) == ({}, {}, {})
    assert LINEAGE.teachers == {"pretrained": "pretrained.model", "helpful_rlhf": "helpful_rlhf.policy.model"}
    assert LINEAGE.compared_with("rl_cai") == "hh_rlhf"
    assert LINEAGE.compared_with("pretrained") is None


def test_an_entry_is_an_arm() -> None:
    more = policies(rl_again={"start": "rl_cai", "comparisons": ["ai"], "algorithm": "grpo"})
    assert list(more.evaluated)[-1] == "rl_again"
    assert more.starts["rl_again"] == "rl_cai"
    assert more.ai_arms == ("rl_cai", "rl_cai_cot", "rl_again")
    assert more.headline == "rl_cai"


def test_an_arm_that_is_not_enabled_is_not_there_until_it_is() -> None:
    assert "rl_cai_dpo" not in LINEAGE.named
    more = policies(rl_cai_dpo={"enabled": True})
    assert (list(more.evaluated)[-1], more.algorithm_of("rl_cai_dpo")) == ("rl_cai_dpo", "dpo")
    assert (more.algorithm_of("rl_cai"), more.headline) == ("ppo", "rl_cai")
    assert more.scorer(["rl_cai_cot"]) == "rl_cai_cot"
    assert more.scorer([]) is None


def test_an_arm_that_the_labeller_rewards_needs_no_comparisons() -> None:
    assert "rl_cai_judge" not in LINEAGE.named
    more = policies(rl_cai_judge={"enabled": True})
    assert (more.judged, more.algorithm_of("rl_cai_judge"), more.headline) == (("rl_cai_judge",), "ppo", "rl_cai")
    assert (more.tables_of("rl_cai_judge"), more.starts["rl_cai_judge"]) == ((), "sl_cai")
    assert "rl_cai_judge" in more.ai_arms
    alone = policies(rl_cai=None, rl_cai_cot=None, rl_cai_judge={"enabled": True})
    assert (alone.headline, alone.tables_by("labeller"), alone.asks_labeller) == ("rl_cai_judge", {}, True)
    nobody = lineage({"roles": {"labeller": None}, "policies": {"rl_cai": None, "rl_cai_judge": {"enabled": True}}})
    told = "its reward is the labeller's judgement, and nobody plays that role"
    assert nobody.left_out["rl_cai_judge"] == told
    assert not nobody.asks_labeller


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (
            {"rl_cai": {"reward": "judge"}},
            r"learns from no comparisons, but names ai, .* \(comparisons: \[\]\), or",
        ),
        ({"sl_cai": {"reward": "judge"}}, "'sl_cai' learns by sft, from revisions, and has no reward"),
        ({"rl_cai": {"reward": "labeller"}}, "'preference_model' or 'judge'"),
        ({"x": {"start": "sl_cai"}}, "'x' learns from comparisons and names none; .*take reward: judge"),
    ],
)
def test_a_reward_that_does_not_fit_is_refused(entries: dict, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        policies(**entries)


def test_a_labeller_cannot_reward_what_it_comes_from() -> None:
    """It would have to be trained before itself."""
    judged = {"rl_cai": None, "rl_cai_cot": None, "rl_cai_judge": {"enabled": True}}
    with pytest.raises(ValidationError, match="need one another in a circle"):
        lineage({"roles": {"labeller": "rl_cai_judge"}, "policies": judged})


def test_an_arm_on_what_people_say_of_the_pretrained_model_is_a_baseline() -> None:
    human = {"comparisons": ["human_helpfulness"]}
    more = policies(further={"start": "helpful_rlhf", **human}, late={"start": "sl_cai", **human})
    assert more.baselines == ("helpful_rlhf", "hh_rlhf", "further")
    assert "late" in more.ai_arms


def test_a_policy_that_is_another_one_has_no_rows_of_its_own() -> None:
    given = policies(helpful_rlhf={"given": "pretrained"})
    assert "helpful_rlhf" not in given.evaluated
    assert given.arms == ("hh_rlhf", "rl_cai", "rl_cai_cot")
    assert given.stands_for("helpful_rlhf") == "pretrained"
    assert given.engine_of("assistant") == "pretrained.model@engine"
    assert given.teachers == {"pretrained": "pretrained.model"}
    assert given.given_models == {}


@pytest.mark.parametrize("place", ["models/helpful", "./helpful", "~/helpful", HUB_MODEL])
def test_a_given_policy_is_a_model_of_the_catalog(place: str) -> None:
    given = policies(helpful_rlhf={"given": place})
    assert given.evaluated["helpful_rlhf"] == "helpful_rlhf.model"
    assert given.given_models == {"helpful_rlhf.model": place}
    assert "human_red_team_helpfulness" not in given.sources, "nobody is asked for comparisons for it"


def test_a_given_model_may_have_a_layout_of_its_own() -> None:
    elsewhere = policies(helpful_rlhf={"given": "models/mine", "layout": "hh"})
    assert elsewhere.given_layouts == {"helpful_rlhf.model": "hh"}
    assert policies(helpful_rlhf={"given": "models/mine"}).given_layouts == {"helpful_rlhf.model": "auto"}
    for entry in ({"given": "pretrained", "layout": "chat"}, {"layout": "chat"}):
        with pytest.raises(
            ValidationError, match=r"'helpful_rlhf' has the layout 'chat', but it is .* base_model\.layout"
        ):
            policies(helpful_rlhf=entry)
    with pytest.raises(ValidationError, match="'auto', 'hh' or 'chat'"):
        policies(helpful_rlhf={"given": "models/mine", "layout": "chatml"})


def test_a_given_policy_of_the_supervised_stage_is_still_the_one_whose_answers_are_compared() -> None:
    given = policies(sl_cai={"given": "models/sl"})
    assert (given.supervised, given.revised) == (None, "sl_cai")
    assert given.sources_of("rl_cai") == ("ai", "human_helpfulness", "sl_helpfulness")


@pytest.mark.parametrize(
    ("helpfulness", "tables"),
    [("labeller", ["ai_comparisons", "ai_helpfulness_comparisons"]), ("none", ["ai_comparisons"])],
)
def test_without_people_arms_mix_what_is_there(helpfulness: str, tables: list[str]) -> None:
    alone = lineage({"helpfulness": helpfulness, "policies": {"helpful_rlhf": {"given": "pretrained"}}})
    assert not alone.has_people
    assert list(alone.tables_of("rl_cai")) == tables
    assert alone.tables_by("people") == {}
    assert alone.left_out == {"hh_rlhf": "nobody makes the comparisons human_helpfulness, human_harmlessness"}
    assert list(alone.evaluated) == ["pretrained", "sl_cai", "rl_cai", "rl_cai_cot"]
    assert alone.compared_with("rl_cai") is None


def test_a_role_that_nobody_plays_leaves_out_who_learns_from_it() -> None:
    alone = lineage({"roles": {"thinker": None}})
    assert alone.left_out == {"rl_cai_cot": "nobody makes the comparisons ai_cot"}
    assert "ai_cot" not in alone.sources


def test_null_takes_a_policy_out() -> None:
    assert "hh_rlhf" not in policies(hh_rlhf=None).evaluated


@pytest.mark.parametrize(
    ("who", "engine", "models", "entries"),
    [
        ("helpful_rlhf", "helpful_rlhf.policy.model@engine", {}, {}),
        ("models/critic", "critic.model@engine", {"critic.model": "models/critic"}, {}),
        (HUB_MODEL, "critic.model@engine", {"critic.model": HUB_MODEL}, {}),
        ("my_server", "my_server", {}, {"critic": "my_server"}),
    ],
)
def test_a_role_names_one_engine(who: str, engine: str, models: dict[str, str], entries: dict[str, str]) -> None:
    played = lineage({"roles": {"critic": who}})
    assert played.engine_of("critic") == engine
    assert played.given_models == models
    assert played.catalog_roles == entries


def test_an_entry_of_the_catalog_has_to_be_there() -> None:
    check_entries_of_catalog({"critic": "my_server"}, LINEAGE.named, ["my_server"])
    with pytest.raises(ValueError, match=r"'my_servr', .* no entry of the catalog; did you mean 'my_server'\?"):
        check_entries_of_catalog({"critic": "my_servr"}, LINEAGE.named, ["my_server"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"policies": {"x": {"start": "rlcai", "comparisons": ["ai"]}}},
            r"'x' starts from 'rlcai', which is no policy; did you mean 'rl_cai'\?",
        ),
        ({"policies": {"x": {"comparisons": ["ai"]}}}, "'x' names no start; there are pretrained, "),
        (
            {"policies": {"x": {"start": "sl_cai", "comparisons": ["aicot"]}}},
            r"the comparisons 'aicot', which nobody makes; did you mean 'ai_cot'\?",
        ),
        (
            {"policies": {"x": {"start": "sl_cai"}}},
            "'x' learns from comparisons and names none; name some of human_helpfulness, ",
        ),
        (
            {"policies": {"x": {"start": "sl_cai", "algorithm": "sft"}}},
            "one policy is fine-tuned on revisions, not 2: sl_cai, x",
        ),
        (
            {"policies": {"sl_cai": {"comparisons": ["ai"]}}},
            "'sl_cai' learns by sft, from revisions; take its comparisons away",
        ),
        (
            {"policies": {"x": {"given": "pretraned"}}},
            r"given as 'pretraned', which is no policy, .*did you mean 'pretrained'\?",
        ),
        ({"policies": {"x": {"given": "base_model"}}}, "one policy has to be the pretrained model .*there are 2"),
        ({"policies": {"pretrained": {"given": "./x"}}}, "one policy has to be the pretrained model .*there are 0"),
        ({"policies": {"evaluation": {"given": "./x"}}}, "'evaluation' has the name of a stage or a role"),
        ({"policies": {"RL-CAI": {"given": "./x"}}}, "'RL-CAI' needs a name of lower-case letters"),
        (
            {"policies": {"rl_cai": {"compared_with": "hh_rhlf"}}},
            r"compared with 'hh_rhlf', which is no policy; did you mean 'hh_rlhf'\?",
        ),
        ({"policies": {"rl_cai": {"start": "rl_cai_cot"}, "rl_cai_cot": {"start": "rl_cai"}}}, "in a circle, .*rl_cai"),
        ({"policies": {"hh_rlhf": {"given": "helpful_rlhf"}, "helpful_rlhf": {"given": "hh_rlhf"}}}, "in a circle"),
        ({"roles": {"critic": "rl_cai"}}, "in a circle, .*sl_cai"),
        ({"roles": {"labeller": "rl_cai"}}, "in a circle, .*rl_cai"),
        (
            {"roles": {"critic": "pretraned"}},
            r"the role 'critic' names 'pretraned', which is no policy; did you mean 'pretrained'\?",
        ),
        (
            {"helpfulness": "none"},
            r"'assistant' names 'helpful_rlhf', which cannot be trained: .*policies.helpful_rlhf.given",
        ),
        ({"helpfulness": "peeple"}, "'people', 'labeller' or 'none'"),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        lineage(changes)


def test_models_of_the_hub_and_directories_are_told_apart() -> None:
    assert is_hub_model(HUB_MODEL)
    assert not is_hub_model("organisation/name")
    assert not is_path(HUB_MODEL)
    assert is_path("organisation/name@main"), "a name without a commit is taken for a directory, and looked for"
    assert not is_path("my_server")
