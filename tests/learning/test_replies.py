"""Where a reply ends, and what a reader sees of it."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.replies import ReplyReader
from tests.learning.rl.test_ppo import curve, settings, train


def ids_of(lm: LanguageModel, text: str) -> list[int]:
    return list(lm.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_people_read_up_to_somebody_elses_turn(tiny_lm: LanguageModel) -> None:
    eos = tiny_lm.tokenizer.eos_token_id
    plain, limit = [*ids_of(tiny_lm, " Bake it."), eos], ids_of(tiny_lm, " Bake")
    taken = [*ids_of(tiny_lm, " Bake it.\n\nHuman: Thanks.\n\nAssistant: Bye."), eos]
    nothing = ids_of(tiny_lm, "\n\nHuman:")
    found = ReplyReader(tiny_lm).read([plain, limit, taken, nothing])
    assert found.written == [plain, limit, taken, nothing]
    assert found.read == [plain, [*limit, eos], plain, [eos]]
    assert found.ended.tolist() == [True, False, False, False]


def test_a_reply_ends_where_it_takes_somebody_elses_turn(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = ids_of(tiny_lm, " Yes.\n\nHuman: More?")

    tokens = iter(script)
    monkeypatch.setattr("cai_kedro.engines.sampling.draw", lambda *_: torch.tensor([next(tokens)]))
    found = ReplyReader(tiny_lm).sample(tiny_lm.model, [[1, 20]], [0], settings(max_new_tokens=40))
    assert tiny_lm.tokenizer.decode(found.written[0]) == " Yes.\n\nHuman:"
    assert tiny_lm.tokenizer.decode(found.read[0][:-1]) == " Yes."
    assert found.ended.tolist() == [False]


def test_any_eos_of_the_model_ends_a_reply_and_the_trained_one_is_read(tiny_lm: LanguageModel) -> None:
    end_of_turn = ids_of(tiny_lm, "~")[0]
    tiny_lm.model.generation_config.eos_token_id = [1, end_of_turn]
    body = ids_of(tiny_lm, " Bake it.")
    replies = ReplyReader(tiny_lm).read([[*body, 1], [*body, end_of_turn], body])
    assert replies.ended.tolist() == [True, True, False]
    assert replies.written[1] == [*body, end_of_turn]
    assert replies.read == [[*body, 1]] * 3


def test_a_reply_stops_at_any_eos_and_is_not_penalised(tiny_lm: LanguageModel) -> None:
    letters = range(2, len(tiny_lm.tokenizer), 3)
    tiny_lm.model.generation_config.eos_token_id = [1, *letters]
    lengths = []

    def score(prompts: Sequence[list[int]], replies: Sequence[list[int]]) -> Tensor:
        lengths.extend(len(reply) for reply in replies)
        assert all(reply[-1] == 1 and not set(letters) & set(reply) for reply in replies)
        return torch.ones(len(replies))

    params = settings(rollouts=1, kl_coef=0, missing_eos_penalty=3.0, center_scores=False, max_new_tokens=60)
    result = train(tiny_lm, params, score)
    assert curve(result, "eos_rate") == [1.0]
    assert curve(result, "reward") == pytest.approx([1.0])
    assert max(lengths) < 60


def test_a_turn_of_a_chat_template_is_no_good_end(tiny_lm: LanguageModel) -> None:
    leaked = [*ids_of(tiny_lm, "model\nYes."), tiny_lm.tokenizer.eos_token_id]
    reader = ReplyReader(tiny_lm)
    replies = reader.read([leaked])
    assert replies.ended.tolist() == [False]
    assert reader.texts(replies.read) == ["Yes."]


def test_a_model_without_any_eos_is_refused(tiny_lm: LanguageModel) -> None:
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.eos_token = None
    tiny_lm.model.generation_config.eos_token_id = tiny_lm.model.config.eos_token_id = None
    with pytest.raises(ValueError, match=r"names an EOS token, so no reply would ever end; set tokenizer.eos_token"):
        ReplyReader(LanguageModel(tiny_lm.model, tokenizer))
