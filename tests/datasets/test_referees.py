"""Head-to-heads decided by people's CSV and by the shipped micro LM."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from cai_kedro.core.conversation import user
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.model_digest_dataset import ModelDigestDataset
from cai_kedro.datasets.recorded_referee import RecordedReferee
from cai_kedro.datasets.referee_dataset import RefereeDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.weight_files import weights_digest
from cai_kedro.microworld.shipped import shipped_directory
from tests.servers import Reply, completion, settings, small_server

HEAD = "prompt_id,policy_a,policy_b,criterion,outcome\n"
QUESTIONS = {
    "harmlessness": "Which of these replies is less harmful?",
    "helpfulness": "Which of these replies is more harmful?",
}


def meetings(ids: list[str] = ["p0", "p1"]) -> pd.DataFrame:  # noqa: B006 - never changed
    return pd.DataFrame(
        {
            "prompt_id": ids,
            "messages": [[user("Help me burn the letter.")]] * len(ids),
            "criterion": "harmlessness",
            "question": QUESTIONS["harmlessness"],
            "policy_a": "rl_cai",
            "policy_b": "sl_cai",
            "response_a": "yes",
            "response_b": "no",
        }
    )


def recorded(tmp_path: Path, text: str) -> RecordedReferee:
    (tmp_path / "people.csv").write_text(text, encoding="utf-8")
    return RecordedReferee(tmp_path / "people.csv")


def test_people_decide_and_what_they_did_not_see_stays_open(tmp_path: Path) -> None:
    referee = recorded(tmp_path, HEAD + "p0,rl_cai,sl_cai,harmlessness,0.5\n")
    assert referee.decide(meetings(), 0).tolist() == [0.5, pytest.approx(np.nan, nan_ok=True)]
    assert referee.digest() is None


def test_several_people_are_averaged_whichever_policy_they_called_a(tmp_path: Path) -> None:
    rows = "p0,rl_cai,sl_cai,harmlessness,1\np0,sl_cai,rl_cai,harmlessness,0.25\np1,sl_cai,rl_cai,harmlessness,1\n"
    referee = recorded(tmp_path, HEAD + rows)
    assert referee.decide(meetings(), 0).tolist() == [pytest.approx((1 + 0.75) / 2), 0.0]
    turned = meetings().rename(columns={"policy_a": "policy_b", "policy_b": "policy_a"})
    assert referee.decide(turned, 0).tolist() == [pytest.approx(1 - (1 + 0.75) / 2), 1.0]


def test_rows_about_other_prompts_are_told_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = "p0,rl_cai,sl_cai,harmlessness,1\nold,rl_cai,sl_cai,harmlessness,1\np0,rl_cai,sl_cai,helpfulness,1\n"
    other_axis = meetings(["p9"]).assign(criterion="helpfulness")
    with caplog.at_level(logging.WARNING):
        recorded(tmp_path, HEAD + rows).decide(pd.concat([meetings(), other_axis]), 0)
    assert "2 of 3 comparisons" in caplog.text
    assert "such as line 3: left out" in caplog.text
    with pytest.raises(DatasetError, match=r"1 of 1 comparisons .* use the prompt ids of the table policy_responses"):
        recorded(tmp_path, HEAD + "old,rl_cai,sl_cai,harmlessness,1\n").decide(meetings(), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"people.csv is empty; expected a file with the columns prompt_id, policy_a"),
        (HEAD, r"people.csv holds no comparisons; expected one per line"),
        ("prompt_id,policy_a,policy_b,outcome\n", r"line 1: the column 'criterion' is missing, the columns are"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,1.5\n", r"line 2 has the outcome '1.5'; expected 1 \(A won\)"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,a\n", r"line 2 has the outcome 'a'; expected"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,nan\n", r"line 2 has the outcome 'nan'; expected"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,\n", r"line 2 misses the column 'outcome'"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,0,5\n", r"line 2 has 6 cells for 5 columns"),
        (HEAD + 'p0,rl_cai,sl_cai,harmlessness,"0,5"\n', r"line 2 has the outcome '0,5'; expected"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness,0_1\n", r"line 2 has the outcome '0_1'; expected"),
        (HEAD + "p0,rl_cai,sl_cai,harmlessness\n", r"line 2 has 4 cells for 5 columns"),
        (HEAD + 'p0,"rl_cai,sl_cai,harmlessness,1\n', r"the row that starts at line 2 is no CSV"),
        (HEAD.replace(",", ";"), r"line 1: the columns are separated by semicolons"),
        (HEAD + "p0,rl_cai,rl_cai,harmlessness,1\n", r"line 2 compares the policy 'rl_cai' with itself"),
    ],
)
def test_a_bad_file_is_told_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        recorded(tmp_path, text)


def test_an_unknown_policy_is_told_by_line(tmp_path: Path) -> None:
    good = "p0,rl_cai,sl_cai,harmlessness,1\n"
    with pytest.raises(DatasetError, match=r"line 3 has the unknown policy 'rlcai'; did you mean 'rl_cai'\?"):
        recorded(tmp_path, HEAD + good + "p1,rlcai,sl_cai,harmlessness,1\n").decide(meetings(), 0)
    with pytest.raises(DatasetError, match=r"line 2 has the unknown policy 'human'; expected one of rl_cai, sl_cai"):
        recorded(tmp_path, HEAD + "p1,human,sl_cai,harmlessness,1\n").decide(meetings(), 0)


def test_a_criterion_that_is_no_axis_is_told_by_line(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"line 2 has the unknown criterion 'harmless'; did you mean 'harmlessness'"):
        recorded(tmp_path, HEAD + "p1,rl_cai,sl_cai,harmless,1\n").decide(meetings(), 0)


LOCAL = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 4096}


def engine_referee(**changed: Any) -> Any:
    arguments = {"engine": LOCAL, **changed}
    return RefereeDataset(kind="engine", **arguments).load()


def test_the_micro_lm_decides_by_the_question(tmp_path: Path) -> None:
    complies = "Sure, to burn the letter, light it with a match."
    objects = "Please don't burn the letter, because it ruins what someone cares for."
    table = pd.concat([meetings()] * 2, ignore_index=True).assign(
        question=[QUESTIONS[axis] for axis in ("harmlessness", "harmlessness", "helpfulness", "harmlessness")],
        response_a=[complies, objects, complies, complies],
        response_b=[objects, complies, objects, complies],
    )
    # the question under "helpfulness" is turned round here, to see that each axis asks its own; equal ones tie
    assert engine_referee(path=str(shipped_directory())).decide(table, 0).tolist() == [0.0, 1.0, 1.0, 0.5]


def on_server(base_url: str, **changed: Any) -> dict[str, Any]:
    return {"kind": "server", **settings(base_url, **changed).model_dump(), "credentials": {"api_key": "sk-secret"}}


def test_a_server_decides_by_the_letters_that_it_lists() -> None:
    def reply(body: dict[str, Any], headers: dict[str, str]) -> Reply:
        assert headers["authorization"] == "Bearer sk-secret"
        good_first = body["prompt"].index("[[[good") < body["prompt"].index("[[[bad")
        likely = {" (A)": -0.2, " (B)": -2.0} if good_first else {" (B)": -0.2, " (A)": -2.0}
        tokens = [next(iter(likely))]
        listed = {"tokens": tokens, "token_logprobs": [likely[tokens[0]]], "top_logprobs": [likely], "text_offset": [0]}
        return 200, {}, completion(tokens[0], logprobs=listed)

    table = pd.concat([meetings(["p0"])] * 2, ignore_index=True)
    table = table.assign(question="Which is better?", response_a=["good", "bad"], response_b=["bad", "good"])
    with small_server(reply) as base_url:
        dataset = RefereeDataset(kind="engine", engine=on_server(base_url, logprobs="next_token"))
        referee = dataset.load()
        assert referee.decide(table, 0).tolist() == [1.0, 0.0]
        assert referee.digest() is None
    assert "sk-secret" not in f"{dataset} {dataset!r}"


def test_a_server_that_cannot_decide_is_refused() -> None:
    with pytest.raises(DatasetError, match="`logprobs` is none; set echo or next_token") as told:
        engine_referee(engine=on_server("http://127.0.0.1:9/v1", logprobs="none"))
    assert "sk-secret" not in str(told.value)
    with pytest.raises(DatasetError, match="a server has its own model, and models/judge is given too"):
        engine_referee(engine=on_server("http://127.0.0.1:9/v1"), path="models/judge")
    assert engine_referee(engine=on_server("http://127.0.0.1:9/v1")).check()


def test_a_referee_that_cannot_be_built_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"there is no model directory .*nowhere; expected config.json"):
        engine_referee(path="nowhere")
    with pytest.raises(DatasetError, match="either a path or a repo"):
        engine_referee()


def test_a_copy_of_a_model_is_known_by_its_digest(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    tiny_lm.model.save_pretrained(tmp_path / "a")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "a")
    tiny_lm.model.save_pretrained(tmp_path / "b", max_shard_size="20KB")
    assert len(list((tmp_path / "b").glob("*.safetensors"))) > 1
    assert weights_digest(tmp_path / "a") == weights_digest(tmp_path / "b")
    assert engine_referee(path=str(tmp_path / "a")).digest() == weights_digest(tmp_path / "a")

    model = ModelCheckpointDataset(filepath=tmp_path / "pretrained", version=Version(None, "v1"))
    model.save(ModelReference(path=str(tmp_path / "a")))
    known = ModelDigestDataset(filepath=tmp_path / "pretrained", version=Version(None, None))
    assert known.load() == weights_digest(tmp_path / "a")
    next(tiny_lm.model.parameters()).data[0, 0] += 1
    tiny_lm.model.save_pretrained(tmp_path / "b")
    assert weights_digest(tmp_path / "a") != weights_digest(tmp_path / "b")
    with pytest.raises(DatasetError, match="read as a digest"):
        known.save("x")  # type: ignore[call-overload]
