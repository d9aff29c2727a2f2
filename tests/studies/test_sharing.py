"""What a chain takes over from its seed's first one: all but what lies behind the difference."""

import pytest
from kedro.framework.startup import bootstrap_project

from cai_kedro.studies.chains import Chain, chains_of, prepare
from cai_kedro.studies.sharing import ChainView, copy_what_is_shared, differing_inputs
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
    "no_judge": {"about": "x", "catalog": {"judge": None}},
}


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chain]:
    project = copy_project(tmp_path_factory.mktemp("shared") / "project")
    study = Study.model_validate({"about": "x", "env": "smoke", "seeds": (0,), "settings": SETTINGS})
    made = chains_of(study, project / "data" / "studies" / "x")
    for chain in made:
        prepare(chain, study, project)
    return {chain.setting: chain for chain in made}


def view(chain: Chain) -> ChainView:
    bootstrap_project(chain.folder)
    return ChainView(chain.folder, ["__default__"])


@pytest.mark.parametrize(
    ("setting", "inputs"),
    [
        ("default", set()),
        ("turned", {"constitution"}),
        ("no_clamp", {"params:preference_labeling.cot_labels"}),
        ("of_an_arm", None),
        ("no_judge", None),
    ],
)
def test_a_difference_is_known_by_the_inputs_of_the_graph(
    chains: dict[str, Chain], setting: str, inputs: set[str] | None
) -> None:
    assert differing_inputs(view(chains[setting]), view(chains["default"])) == inputs


def made_by(chain: Chain, *names: str) -> None:
    for name in names:
        (chain.folder / "data" / name / "2026").mkdir(parents=True)
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


def test_where_it_is_not_known_nothing_is_taken_over(chains: dict[str, Chain]) -> None:
    assert not copy_what_is_shared(view(chains["no_judge"]), view(chains["default"]))
    assert [path.name for path in (chains["no_judge"].folder / "data").iterdir()] == ["01_raw"]
