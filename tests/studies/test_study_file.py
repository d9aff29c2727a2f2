"""A study file is read strictly: what is wrong in it is told before the first of many hours."""

from pathlib import Path

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.metrics.between_runs import MIN_RUNS
from cai_kedro.studies.checks import check_against_project
from cai_kedro.studies.study_file import CLAIMS, STUDIES, find_study, read_claims, read_study

PROJECT = Path(__file__).parents[2]
CONSTITUTIONS = PROJECT / "conf" / "base" / "constitution"
GOOD = """
about: two settings
seeds: [0, 1, 2]
settings:
  default: {about: as it is}
  no_clamp: {about: no clamp, parameters: {preference_labeling: {cot_labels: {clamp: [0.0, 1.0]}}}}
"""


def study(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "mine.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_is_left_out_is_as_in_a_plain_run(tmp_path: Path) -> None:
    read = read_study(study(tmp_path, GOOD))
    assert (read.env, read.pipelines, read.first) == ("base", ("__default__",), "default")
    assert read.settings["no_clamp"].parameters == {"preference_labeling": {"cot_labels": {"clamp": [0.0, 1.0]}}}
    assert read.settings["default"].entries == {}


def test_one_seed_is_a_study_that_decides_nothing(tmp_path: Path) -> None:
    assert read_study(study(tmp_path, GOOD.replace("[0, 1, 2]", "[7]"))).seeds == (7,)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("about: no clamp,", "about: no clamp, paramters: {},", "settings.no_clamp.paramters is no key"),
        ("[0, 1, 2]", "[0, 1, 0]", "the seed 0 is there twice"),
        ("[0, 1, 2]", "[]", "seeds: "),
        ("[0, 1, 2]", "[0, -1]", "seeds.1: input should be greater than or equal to 0, got -1"),
        ("about: as it is", "about: x, globals: {seed: 4}", "sets the dial 'seed', which the study itself sets"),
        ("seeds:", "sedes:", "seeds is missing"),
        ("clamp: [0.0, 1.0]", "clamp: ${", "cannot be read as YAML"),
        ("  no_clamp:", "  default:", "cannot be read as YAML.*duplicate"),
        ("  no_clamp:", "  No Clamp:", "settings.No Clamp"),
        (", parameters: {preference_labeling: {cot_labels: {clamp: [0.0, 1.0]}}}", "", "differ in nothing"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    file = study(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ValueError, match=told) as raised:
        read_study(file)
    assert str(file) in str(raised.value)


def test_a_study_is_found_by_its_name(tmp_path: Path) -> None:
    assert find_study("headline", PROJECT) == PROJECT / STUDIES / "headline.yml"
    named = ", ".join(sorted(path.stem for path in (PROJECT / STUDIES).glob("*.yml") if path != PROJECT / CLAIMS))
    with pytest.raises(ValueError, match=f"there is no study 'headlin'; give a file, or one of {named}"):
        find_study("headlin", PROJECT)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("cot_labels", "cot_lables", "'no_clamp': there is no parameter preference_labeling.cot_lables; did you mean"),
        ("parameters: {", "catalog: {judg: null}, parameters: {", "no entry 'judg'; did you mean 'judge'"),
        (
            "parameters: {",
            "globals: {sede: 1}, parameters: {",
            "'no_clamp': there is no dial sede; did you mean 'seed'",
        ),
        ("about: as it is", "about: x, constitution: conf/nowhere", "'default': there is no constitution at"),
        (
            "about: two settings",
            "about: x\npipelines: [base_modle]",
            "no pipeline 'base_modle'; did you mean 'base_model'",
        ),
        (
            "about: two settings",
            "about: x\npipelines: [base_model, data_generation]\nto_outputs: [label_metrics]",
            "no node of base_model, data_generation makes 'label_metrics'; ",
        ),
    ],
)
def test_what_the_project_has_not_is_told_before_the_first_chain(tmp_path: Path, old: str, new: str, told: str) -> None:
    bootstrap_project(PROJECT)
    good = read_study(study(tmp_path, GOOD))
    check_against_project(good, PROJECT)
    bad = read_study(study(tmp_path, GOOD.replace(old, new, 1)))
    with pytest.raises(ValueError, match=told):
        check_against_project(bad, PROJECT)


@pytest.mark.parametrize(
    "file", sorted(path.name for path in (PROJECT / STUDIES).glob("*.yml") if path != PROJECT / CLAIMS)
)
def test_our_studies_fit_our_project(file: str) -> None:
    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        session.load_context()  # the graph is that of the last context, which may be another test's
    ours = read_study(PROJECT / STUDIES / file)
    check_against_project(ours, PROJECT)
    assert len(ours.seeds) >= MIN_RUNS


def test_our_claims_are_about_settings_and_policies_that_there_are() -> None:
    claims = read_claims(PROJECT / CLAIMS)
    named = {name for claim in claims for name in (claim.setting, claim.against) if name}
    settings = {
        name for study in ("headline", "sizes") for name in read_study(PROJECT / STUDIES / f"{study}.yml").settings
    }
    assert named <= settings
    assert {f"F{i}" for i in range(4, 10)} == {"F4", "F5", "F6", "F7", "F8", "F9"}
    told = " ".join(claim.paper for claim in claims)
    assert all(f"figure {place}" in told for place in range(4, 10))
    assert sum(claim.headline for claim in claims) >= 6


def test_a_claim_that_is_there_twice_or_wrong_is_told(tmp_path: Path) -> None:
    claim = "{id: x, claim: c, paper: p, quantity: a, expected: above, matters: 1}"
    for text, told in (
        (f"claims: [{claim}, {claim}]", "the id 'x' is there twice"),
        (f"claims: [{claim.replace('above', 'up')}]", "claim 1: expected: input should be 'above', 'below' or 'same'"),
        ("claims: {}", "expected the one key claims with a list"),
    ):
        with pytest.raises(ValueError, match=told):
            read_claims(study(tmp_path, text))


def _texts(constitution: Constitution) -> str:
    requests = [(each.critique_request, each.revision_request) for each in constitution.critique_principles]
    return " ".join(
        [*(text for pair in requests for text in pair), *(e.question for e in constitution.preference_principles)]
    )


def test_the_inverted_constitution_asks_for_the_contrary_of_ours_and_nothing_else() -> None:
    ours, inverted = read_constitution(CONSTITUTIONS), read_constitution(CONSTITUTIONS / "inverted")
    assert [each.question for each in inverted.preference_principles] == [
        each.question.replace("less", "more") for each in ours.preference_principles
    ]
    pairs = list(zip(ours.critique_principles, inverted.critique_principles, strict=True))
    assert all(one.critique_request == other.critique_request for one, other in pairs)
    assert all(" more " in other.revision_request and " not " not in other.revision_request for _, other in pairs)


@pytest.mark.parametrize("name", ["manner", "silent"])
def test_a_constitution_without_harm_names_none(name: str) -> None:
    constitution = read_constitution(CONSTITUTIONS / name)
    principles = (*constitution.critique_principles, *constitution.preference_principles)
    assert len(principles) >= 24
    assert {harm for each in principles for harm in each.harms} == set()
    about_harm = {
        word
        for each in read_constitution(CONSTITUTIONS).preference_principles
        if each.harms
        for word in each.question.split()
    }
    manner = {
        word
        for each in read_constitution(CONSTITUTIONS).preference_principles
        if not each.harms
        for word in each.question.split()
    }
    harmful = {word.strip(".,?") for word in about_harm - manner} & {
        "harmful",
        "unethical",
        "dangerous",
        "violent",
        "furtive",
    }
    assert harmful
    assert not [word for word in harmful if word in _texts(constitution)]
    assert ("evasive" in _texts(constitution)) is (name == "silent")
