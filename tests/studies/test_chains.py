"""The folder of a chain: what differs is written there, the rest is this project's, and nothing is begun twice."""

import json
import os
from pathlib import Path

import pytest
import yaml

from cai_kedro.studies.chains import DEFINITION, Chain, chains_of, prepare
from cai_kedro.studies.study_file import Study
from tests.project_copy import copy_project

SETTINGS = {
    "default": {"about": "as it is"},
    "other": {
        "about": "differs in all four",
        "constitution": "conf/base/constitution/manner",
        "parameters": {
            "preference_labeling": {"cot_labels": {"clamp": [0.0, 1.0]}},
            "axes": {"helpfulness": {"question": "q"}},
        },
        "catalog": {"judge": None},
        "globals": {"dtype": "float32"},
    },
}


def study(**changes: object) -> Study:
    given = {"about": "x", "env": "smoke", "seeds": (3, 5), "settings": SETTINGS}
    return Study.model_validate({**given, **changes})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "conf" / "smoke" / "credentials.yml").write_text("server: {api_key: k-1234}\n")
    (folder / "models").mkdir()
    return folder


@pytest.fixture
def chain(project: Path) -> Chain:
    made = chains_of(study(), project / "data" / "studies" / "x")[1]
    prepare(made, study(), project)
    return made


def loaded(chain: Chain, name: str) -> dict:
    return yaml.safe_load((chain.folder / "conf" / "study" / name).read_text(encoding="utf-8"))


def test_seeds_come_one_after_another_and_their_first_setting_first(tmp_path: Path) -> None:
    chains = chains_of(study(), tmp_path)
    assert [chain.told for chain in chains] == ["seed 3, default", "seed 3, other", "seed 5, default", "seed 5, other"]
    assert [chain.beside for chain in chains] == [None, chains[0].folder, None, chains[2].folder]


def test_the_first_setting_may_begin_with_what_another_study_made(tmp_path: Path) -> None:
    chains = chains_of(study(beside="headline/default"), tmp_path / "x")
    theirs = [tmp_path / "headline" / f"seed_{seed}" / "default" for seed in (3, 5)]
    assert [chain.beside for chain in chains] == [theirs[0], chains[0].folder, theirs[1], chains[2].folder]


def test_another_claim_or_study_does_not_make_chains_anew(chain: Chain, project: Path) -> None:
    assert not list((chain.folder / "conf").rglob("claims.yml"))
    claims = project / "conf" / "base" / "studies" / "claims.yml"
    claims.write_text(claims.read_text() + "# another word\n")
    prepare(chain, study(), project)  # does not raise
    globals_ = project / "conf" / "base" / "globals.yml"
    globals_.write_text(globals_.read_text() + "# another word\n")
    with pytest.raises(ValueError, match="was begun with other settings"):
        prepare(chain, study(), project)


def test_conf_says_what_differs_and_keeps_what_the_environment_says(chain: Chain, project: Path) -> None:
    parameters = loaded(chain, "parameters.yml")
    smoke = yaml.safe_load((project / "conf" / "smoke" / "parameters.yml").read_text())
    assert parameters["preference_labeling"]["cot_labels"] == {
        **smoke["preference_labeling"]["cot_labels"],
        "clamp": [0.0, 1.0],
    }
    assert parameters["axes"] == {"helpfulness": {"question": "q"}}
    assert parameters["rlhf"] == smoke["rlhf"]
    assert loaded(chain, "globals.yml") == {"data": "data", "seed": 3, "dtype": "float32"}
    entries = loaded(chain, "catalog.yml")
    assert entries["judge"] is None
    assert entries["constitution"]["filepath"] == "conf/base/constitution/manner"
    assert (chain.folder / "conf" / "base" / "globals.yml").read_bytes() == (
        project / "conf" / "base" / "globals.yml"
    ).read_bytes()


def test_runs_are_recorded_where_those_of_the_project_are(chain: Chain, project: Path) -> None:
    tracking = loaded(chain, "mlflow.yml")
    assert tracking["server"]["mlflow_tracking_uri"] == f"sqlite:///{project}/mlflow.db"
    assert tracking["tracking"]["experiment"]["create_experiment_kwargs"]["artifact_location"] == str(
        project / "mlruns"
    )


def test_prompts_models_and_secrets_are_linked_not_copied(chain: Chain, project: Path) -> None:
    links = {
        "data/01_raw": "data/01_raw",
        "models": "models",
        "conf/study/credentials.yml": "conf/smoke/credentials.yml",
    }
    for link, target in links.items():
        assert (chain.folder / link).is_symlink(), link
        assert (chain.folder / link).resolve() == (project / target).resolve()
    assert not (chain.folder / "src").is_symlink()
    assert "k-1234" not in json.dumps(json.loads((chain.folder / DEFINITION).read_text()))


def test_a_chain_that_is_there_is_left_as_it_is(chain: Chain, project: Path) -> None:
    (chain.folder / "data" / "half").mkdir()
    before = os.stat(chain.folder).st_ino
    prepare(chain, study(), project)
    assert (chain.folder / "data" / "half").is_dir()
    assert os.stat(chain.folder).st_ino == before
    assert not list(chain.folder.parent.glob(".*.part"))


def test_a_chain_that_was_begun_with_other_settings_is_not_gone_on_with(chain: Chain, project: Path) -> None:
    changed = {**SETTINGS, "other": {**SETTINGS["other"], "parameters": {}}}
    with pytest.raises(ValueError, match=r"seed 3, other was begun with other settings \(conf/study/parameters.yml\)"):
        prepare(chain, study(settings=changed), project)
    with pytest.raises(ValueError, match=r"other settings \(pipelines\): remove .*seed_3/other to make it anew"):
        prepare(chain, study(pipelines=("base_model",)), project)
    (project / "conf" / "base" / "constitution" / "manner" / "few_shots.yml").write_text("red_team_prompts: []\n")
    with pytest.raises(ValueError, match=r"conf/base/constitution/manner/few_shots\.yml"):
        prepare(chain, study(), project)


def test_what_was_killed_before_it_had_a_definition_is_made_anew(chain: Chain, project: Path) -> None:
    (chain.folder / DEFINITION).unlink()
    (chain.folder / "conf" / "study" / "globals.yml").unlink()
    prepare(chain, study(), project)
    assert loaded(chain, "globals.yml")["seed"] == 3


def test_an_environment_that_is_not_there_is_told(project: Path) -> None:
    nowhere = study(env="smok")
    with pytest.raises(ValueError, match="there is no environment 'smok'"):
        prepare(chains_of(nowhere, project / "x")[0], nowhere, project)
