"""Where a reply ends, and what a reader sees of it."""

import pytest
import torch

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.replies import ReplyReader
from tests.learning.test_ppo import settings


def ids_of(lm: LanguageModel, text: str) -> list[int]:
    return list(lm.tokenizer(text, add_special_tokens=False)["input_ids"])


def test_people_read_up_to_somebody_elses_turn(tiny_lm: LanguageModel) -> None:
    eos = tiny_lm.tokenizer.eos_token_id
    plain, limit = [*ids_of(tiny_lm, " Bake it."), eos], ids_of(tiny_lm, " Bake")
    taken = [*ids_of(tiny_lm, " Bake it.\n\nHuman: Thanks.\n\nAssistant: Bye."), eos]
    nothing = ids_of(tiny_lm, "\n\nHuman:")
    found = ReplyReader(tiny_lm.tokenizer).read([plain, limit, taken, nothing])
    assert found.written == [plain, limit, taken, nothing]
    assert found.read == [plain, [*limit, eos], plain, [eos]]
    assert found.ended.tolist() == [True, False, False, False]


def test_a_reply_ends_where_it_takes_somebody_elses_turn(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = ids_of(tiny_lm, " Yes.\n\nHuman: More?")

    tokens = iter(script)
    monkeypatch.setattr("cai_kedro.engines.sampling.draw", lambda *_: torch.tensor([next(tokens)]))
    found = ReplyReader(tiny_lm.tokenizer).sample(tiny_lm.model, [[1, 20]], [0], settings(max_new_tokens=40))
    assert tiny_lm.tokenizer.decode(found.written[0]) == " Yes.\n\nHuman:"
    assert tiny_lm.tokenizer.decode(found.read[0][:-1]) == " Yes."
    assert found.ended.tolist() == [False]
