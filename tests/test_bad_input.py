"""What people get wrong is told in one message before anything runs: what, where, what was expected, what to do."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from kedro.framework.cli.utils import find_run_command
from kedro.framework.startup import bootstrap_project

from cai_kedro.engines.language_model import LanguageModel
from tests.project_copy import PROJECT, copy_project, kedro_run

CRITIQUES = "conf/base/constitution/critique_principles.yml"
PREFERENCES = "conf/base/constitution/preference_principles.yml"
RED_TEAM = "data/01_raw/given_red_team_prompts.jsonl"
HELD_OUT = "data/01_raw/eval_helpful_prompts.jsonl"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    copy_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    bootstrap_project(PROJECT)


def _run(project: Path, *arguments: str) -> Result:
    """`kedro run --env=smoke`, in this process."""
    bootstrap_project(project)
    return CliRunner().invoke(find_run_command("cai_kedro"), ["--env=smoke", *arguments])


def _refused(project: Path, *arguments: str) -> str:
    """Run; return the one message of a run that is refused; nothing may have been trained, recorded or written."""
    began = time.perf_counter()
    result = _run(project, *arguments)
    assert time.perf_counter() - began < 30
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    lines = result.output.strip().split("\n")
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, result.output
    assert lines[-1] == errors[0], "the message stands last and on one line"
    assert errors[0].startswith("Error: nothing was run: ")
    assert "stage 1" not in result.output
    assert not (project / "mlflow.db").exists()
    assert not (project / "data" / "smoke").exists()
    return errors[0]


def _entries(project: Path, file: str, change: Callable[[list[dict[str, Any]]], object]) -> None:
    path = project / file
    entries = yaml.safe_load(path.read_text())
    change(entries)
    path.write_text(yaml.safe_dump(entries, sort_keys=False))


@pytest.mark.parametrize(
    ("file", "entry", "field"),
    [(CRITIQUES, "danger-say-how", "revision_request"), (PREFERENCES, "wise-harm", "question")],
)
def test_a_principle_that_lacks_a_field(project: Path, file: str, entry: str, field: str) -> None:
    _entries(project, file, lambda entries: entries[2].pop(field))
    told = _refused(project)
    assert f"{project / file}: entry 3 (id '{entry}'): the field '{field}' is missing" in told
    assert "An entry has the fields id, title, harms" in told
    assert told.endswith("correct it and run again")


def test_two_principles_of_one_id(project: Path) -> None:
    _entries(project, CRITIQUES, lambda entries: entries[4].update(id=entries[1]["id"]))
    told = _refused(project)
    assert f"{project / CRITIQUES}: the id 'ethics-explain' is used by entry 2 and by entry 5" in told
    assert told.endswith("give every principle an id of its own")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("seed_tasks", ["Do this.", "do THIS."], "entry 2 is the same as entry 1 ('do THIS.'); drop one of them"),
        (
            "question_types",
            {
                **{"tasks_header": "Tasks:", "topics_header": "Topics:", "questions_header": "About {topic}:"},
                "types": [{"name": "mean", "about": "Some are mean.", "examples": {}}],
            },
            "type 1 (name 'mean'): examples: there is no question; give at least one",
        ),
        ("rules", [{"name": "kind"}], "entry 1: the field 'text' is missing"),
    ],
)
def test_what_people_write_for_self_align(project: Path, file: str, content: object, told: str) -> None:
    path = project / f"conf/base/self_align/micro_world/{file}.yml"
    path.write_text(yaml.safe_dump(content))
    message = _refused(project, "--pipelines=base_model,self_align")
    name = "self_align_rules" if file == "rules" else file
    assert f"the dataset '{name}' cannot be read: {path}: {told}" in message


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("seed", "'seed': input should be a valid integer"),
        ("threads", "threads must be a count of at least 1, or null for every core"),
        ("rlhf.rl.ppo.rollouts", "'rlhf.rl.ppo.rollouts': input should be a valid integer"),
        (
            "lineage.policies.rl_cai.differences.rl.kl_coef",
            "'lineage.policies.rl_cai.differences': rl.kl_coef: input should be a valid number",
        ),
    ],
)
def test_a_parameter_of_a_wrong_type(project: Path, where: str, told: str) -> None:
    message = _refused(project, f"--params={where}=many")
    assert told in message
    assert "got 'many'; correct" in message


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("sed", "parameter 'sed' is unknown: no pipeline reads it; did you mean 'seed'?"),
        ("rlhf.rl.rollouts", "parameter 'rlhf.rl.rollouts' is unknown; did you mean 'ppo.rollouts' or 'rloo.rollouts'"),
        ("rlhf.rl.ppo.rolouts", "parameter 'rlhf.rl.ppo': 'rolouts' is not among the parameters of ppo, rlhf.rl.ppo ("),
        (
            "lineage.policies.rl_cai.differences.rl.kl_coeff",
            "'kl_coeff' is not among the parameters of ppo, rlhf.rl.ppo",
        ),
    ],
)
def test_an_unknown_parameter(project: Path, where: str, told: str) -> None:
    message = _refused(project, f"--params={where}=3")
    assert told in message
    assert "; did you mean" in message


@pytest.mark.parametrize(
    ("file", "row", "told"),
    [
        (
            RED_TEAM,
            {"prompt_id": "mine", "words": "How do I steal a car?"},
            "line 7 misses the column 'messages' (a list of role and content) or 'prompt' (a text), "
            "or 'instruction' or 'text', "
            "it has ['prompt_id', 'words']; add or rename one",
        ),
        (
            HELD_OUT,
            {"messages": [{"role": "user", "content": "  "}]},
            "line 7 has an empty text in turn 1; fill it in or drop the line",
        ),
        (
            RED_TEAM,
            {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."}]},
            "line 7 does not end on a human turn; cut the conversation after what the assistant is to answer",
        ),
    ],
)
def test_a_prompt_that_cannot_be_answered(project: Path, file: str, row: dict[str, Any], told: str) -> None:
    lines = (project / file).read_text().split("\n")
    lines[6] = json.dumps(row)
    (project / file).write_text("\n".join(lines))
    assert f"{project / file}: {told}" in _refused(project)


def test_a_file_of_prompts_that_is_not_there(project: Path) -> None:
    (project / RED_TEAM).unlink()
    told = _refused(project)
    assert f"'given_red_team_prompts' is not there (looked at {project / RED_TEAM}); put it there" in told


def test_a_model_directory_without_weights(project: Path, tiny_lm: LanguageModel) -> None:
    tiny_lm.model.save_pretrained(project / "my_model")
    tiny_lm.tokenizer.save_pretrained(project / "my_model")
    (project / "my_model" / "model.safetensors").unlink()
    told = _refused(project, "--params=base_model.source=path,base_model.path=my_model")
    assert f"base_model.path: the model directory {project / 'my_model'} misses weights (model.safetensors" in told
    assert "it holds chat_template.jinja, config.json" in told
    assert "Write one with save_pretrained" in told


def test_a_model_directory_whose_config_wants_more_than_there_is(project: Path, tiny_lm: LanguageModel) -> None:
    tiny_lm.model.save_pretrained(project / "my_model")
    tiny_lm.tokenizer.save_pretrained(project / "my_model")
    config = project / "my_model" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"num_hidden_layers": 3}))
    told = _refused(project, "--params=base_model.source=path,base_model.path=my_model")
    assert f"the weights in {project / 'my_model'} do not fit its config.json: 9 missing, such as model" in told


def test_a_setting_of_the_engines_that_is_none(project: Path) -> None:
    (project / "conf" / "smoke" / "globals.yml").write_text("data: data/smoke\nmax_batch_tokens: abc\n")
    assert "max_batch_tokens Input should be a valid integer" in _refused(project)


def test_a_shell_sees_one_line_and_an_exit_code(project: Path) -> None:
    """As the tests above, but typed into a shell: nothing of the process itself adds to the message."""
    done = kedro_run(project, "--env=smoke", "--params=rlhf.rl.ppo.rollouts=many")
    assert done.returncode == 1
    assert done.stderr.strip().split("\n")[-1].startswith("Error: nothing was run: parameter 'rlhf.rl.ppo.rollouts'")
    assert "Traceback" not in done.stdout + done.stderr
    assert "stage 1" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env=smok"], "there is no environment 'smok' in .*/conf; did you mean 'smoke'[?] There are base, "),
        (
            ["--pipelines=evaluaton"],
            "there is no pipeline 'evaluaton'; did you mean 'evaluation'[?] There are ab",
        ),
        (
            ["--params=device=gpuu"],
            "parameter 'device' is a dial of conf/[*]/globals.yml, which --params does not",
        ),
        (["--params=sede=3"], "parameter 'sede' is unknown: no pipeline reads it; did you mean 'seed'[?]"),
        (["--from-nodes=nowhere"], "Pipeline does not contain nodes named .*nowhere"),
        (["--load-versions=nothing:2020-01-01T00.00.00.000Z"], "'load_versions' keys .nothing. are not found"),
    ],
)
def test_what_is_typed_wrong(project: Path, arguments: list[str], told: str) -> None:
    assert re.search(f"^Error: nothing was run: {told}", _refused(project, *arguments))


def test_a_file_of_conf_that_is_no_yaml(project: Path) -> None:
    (project / "conf" / "smoke" / "catalog_mine.yml").write_text("a: [1,\nb: 2\n")
    assert "conf/smoke/catalog_mine.yml, line 3, column 1: did not find expected" in _refused(project)
