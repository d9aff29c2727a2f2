"""One set of EOS ids per model."""

import copy

import pytest

from cai_kedro.engines.eos import eos_ids
from cai_kedro.engines.language_model import LanguageModel


@pytest.mark.parametrize(
    ("tokenizer", "generation", "config", "expected"),
    [
        ("<eos>", 1, 1, (1,)),
        ("<eos>", [7, 1], 1, (1, 7)),  # Gemma: <eos> and <end_of_turn>
        ("<eos>", None, [9, 8], (1, 9, 8)),
        ("<eos>", [7], [8, 7], (1, 7, 8)),
        (None, [7], None, (7,)),
        (None, None, None, ()),
    ],
)
def test_tokenizer_generation_config_and_config_together(
    tiny_lm: LanguageModel, tokenizer: str | None, generation: object, config: object, expected: tuple[int, ...]
) -> None:
    lm = LanguageModel(tiny_lm.model, copy.deepcopy(tiny_lm.tokenizer))
    lm.tokenizer.eos_token = tokenizer
    lm.model.generation_config.eos_token_id = generation
    lm.model.config.eos_token_id = config
    assert eos_ids(lm) == expected
