"""A model of each family, for what must hold whatever the positions and the cache are."""

import pytest

from cai_kedro.engines.language_model import LanguageModel
from tests.engines.families import other_families


@pytest.fixture(params=["llama", "gpt2", "mistral"])
def any_lm(request: pytest.FixtureRequest, tiny_lm: LanguageModel) -> LanguageModel:
    if request.param == "llama":
        return tiny_lm
    return LanguageModel(other_families(len(tiny_lm.tokenizer))[request.param], tiny_lm.tokenizer)
