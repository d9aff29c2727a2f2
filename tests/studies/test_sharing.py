"""What a chain takes over from its seed's first one: all but what lies behind the difference."""

import functools

import pytest
from kedro.framework.startup import bootstrap_project

from cai_kedro.studies.chains import Chain, chains_of, prepare
from cai_kedro.studies.sharing import ChainView, copy_what_is_shared, differing_parts
from cai_kedro.studies.study_file import Study
from tests.project_copy import copy_project

SETTINGS = {
    "default": {"about": "x"},
    "turned": {"about": "x", "constitution": "conf/base/constitution/inverted"},
    "no_clamp": {"about": "x", "parameters": {"preference_labeling": {"cot_labels": {"clamp": [0.0, 1.0]}}}},
    "of_an_arm": {
        "about": "x",
        "parameters": {"lineage": {"policies": {"rl_cai": {"differences": {"rl": {"kl_coef": 0.2}}}}}},
    },
    "another_role": {"about": "x", "parameters": {"lineage": {"roles": {"thinker": "helpful_rlhf"}}}},
    "fewer": {"about": "x", "parameters": {"lineage": {"policies": {"rl_cai_cot": None}}}},
    "more": {"about": "x", "parameters": {"lineage": {"policies": {"rl_cai_dpo": {"enabled": True}}}}},
    "no_judge": {"about": "x", "catalog": {"judge": None}},
    "of_another_pipeline": {"about": "x", "catalog": {"self_align.rules_left_out": None}},
}


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chain]:
    project = copy_project(tmp_path_factory.mktemp("shared") / "project")
    study = Study.model_validate({"about": "x", "env": "smoke", "seeds": (0,), "settings": SETTINGS})
    made = chains_of(study, project / "data" / "studies" / "x")
    for chain in made:
        prepare(chain, study, project)
    return {chain.setting: chain for chain in made}


@functools.cache  # reading a conf takes seconds
def view(chain: Chain) -> ChainView:
    bootstrap_project(chain.folder)
    return ChainView(chain.folder, ["__default__"])


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("default", (set(), set())),
        ("turned", ({"constitution"}, set())),
        ("no_clamp", ({"params:preference_labeling.cot_labels"}, set())),
        ("another_role", None),
        ("no_judge", None),
        ("of_another_pipeline", (set(), set())),
    ],
)
def test_a_difference_is_known_by_the_inputs_of_the_graph(
    chains: dict[str, Chain], setting: str, parts: tuple[set[str], set[str]] | None
) -> None:
    assert differing_parts(view(chains[setting]), view(chains["default"])) == parts


def test_a_difference_of_an_arm_is_known_by_its_nodes(chains: dict[str, Chain]) -> None:
    parts = differing_parts(view(chains["of_an_arm"]), view(chains["default"]))
    assert parts is not None
    inputs, nodes = parts
    assert inputs == set()
    assert "rl_cai.reinforce" in nodes
    assert all(name.startswith("rl_cai.") for name in nodes)


@pytest.mark.parametrize(("setting", "arm"), [("fewer", None), ("more", "rl_cai_dpo")])
def test_with_other_policies_all_that_compares_them_is_made_anew(
    chains: dict[str, Chain], setting: str, arm: str | None
) -> None:
    chain = view(chains[setting])
    parts = differing_parts(chain, view(chains["default"]))
    assert parts is not None
    inputs, nodes = parts
    assert inputs == set()
    of_arm = {node.name for node in chain.graph.nodes if node.namespace == arm}
    comparing = {node.name for node in chain.graph.nodes if node.namespace in ("evaluation", "reporting")}
    assert len(comparing) > 40
    assert (len(of_arm) > 2) == (arm is not None)
    assert comparing | of_arm <= nodes
    assert not {name for name in nodes if name.startswith(("data_generation", "sl_cai", "rl_cai.", "hh_rlhf"))}


def test_of_further_pipelines_nothing_is_made_anew_but_their_own_stages(chains: dict[str, Chain]) -> None:
    bootstrap_project(chains["default"].folder)
    whole = ChainView(chains["default"].folder, ["__default__", "ablations"])
    parts = differing_parts(whole, view(chains["default"]))
    assert parts is not None
    inputs, nodes = parts
    assert inputs == set()
    assert len(nodes) > 20
    assert {name.split(".")[0] for name in nodes} == {"ablations"}


def test_a_chain_that_ends_with_some_datasets_has_what_they_need_and_takes_it_from_a_whole_one(
    chains: dict[str, Chain],
) -> None:
    first, turned = chains["default"], chains["no_clamp"]
    made_by(first, "03_primary/shards/revisions", "05_model_input/ai_cot_comparisons.parquet")
    bootstrap_project(turned.folder)
    part = ChainView(turned.folder, ["__default__"], ["label_metrics"])
    assert "evaluation.measure_labels" in {node.name for node in part.graph.nodes}
    assert not {name for name in part.graph.all_outputs() if name.startswith(("rl_cai.", "elo", "policy"))}
    assert copy_what_is_shared(part, view(first))
    data = turned.folder / "data"
    assert (data / "03_primary/shards/revisions/2026/file").is_file()
    assert not (data / "05_model_input/ai_cot_comparisons.parquet/2026").exists()


def test_nothing_of_a_policy_that_is_not_there_is_taken_over(chains: dict[str, Chain]) -> None:
    first, fewer = chains["default"], chains["fewer"]
    kept, gone = "06_models/hh_rlhf.policy", ("06_models/rl_cai_cot.policy", "08_reporting/elo_metrics.json")
    made_by(first, kept, *gone)
    assert copy_what_is_shared(view(fewer), view(first))
    data = fewer.folder / "data"
    assert {name for name in (kept, *gone) if (data / name / "2026" / "file").is_file()} == {kept}


def made_by(chain: Chain, *names: str) -> None:
    for name in names:
        (chain.folder / "data" / name / "2026").mkdir(parents=True, exist_ok=True)
        (chain.folder / "data" / name / "2026" / "file").write_text(name)


def test_what_lies_behind_the_difference_is_left_out(chains: dict[str, Chain]) -> None:
    first, turned = chains["default"], chains["no_clamp"]
    kept = (
        "06_models/helpful_rlhf.policy",
        "06_models/sl_cai",
        "03_primary/shards/revisions",
        "06_models/rl_cai.policy",
    )
    anew = ("06_models/rl_cai_cot.policy", "05_model_input/ai_cot_comparisons.parquet", "08_reporting/elo_metrics.json")
    made_by(first, *kept, *anew)
    assert copy_what_is_shared(view(turned), view(first))
    data = turned.folder / "data"
    assert {name for name in (*kept, *anew) if (data / name / "2026" / "file").is_file()} == set(kept)
    assert (data / "01_raw").is_symlink()
    assert {name for name in (*kept, *anew) if (first.folder / "data" / name / "2026" / "file").is_file()} == {
        *kept,
        *anew,
    }


def test_of_another_arm_all_is_taken_over(chains: dict[str, Chain]) -> None:
    first, other = chains["default"], chains["of_an_arm"]
    kept, anew = ("06_models/hh_rlhf.policy", "06_models/rl_cai_cot.policy"), "06_models/rl_cai.policy"
    made_by(first, *kept, anew)
    assert copy_what_is_shared(view(other), view(first))
    data = other.folder / "data"
    assert {name for name in (*kept, anew) if (data / name / "2026" / "file").is_file()} == set(kept)


def test_where_it_is_not_known_nothing_is_taken_over(chains: dict[str, Chain]) -> None:
    assert not copy_what_is_shared(view(chains["no_judge"]), view(chains["default"]))
    assert [path.name for path in (chains["no_judge"].folder / "data").iterdir()] == ["01_raw"]
