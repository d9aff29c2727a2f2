"""A model of each family, for what must hold whatever the positions and the cache are."""

import pytest

from cai_kedro.engines.language_model import LanguageModel
from tests.engines.families import family_model


@pytest.fixture(params=["llama", "gpt2", "mistral"])
def any_lm(request: pytest.FixtureRequest, tiny_lm: LanguageModel) -> LanguageModel:
    if request.param == "llama":
        return tiny_lm
    return LanguageModel(family_model(request.param, len(tiny_lm.tokenizer)), tiny_lm.tokenizer)
