"""The regression on ratings: what it learns from, and what it leaves out."""

import pandas as pd
import pytest

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.sft import SFTParams
from tests.learning.test_finite import PARAMS


def test_long_conversations_are_left_out_and_said(tiny_lm: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    rated = pd.DataFrame(
        {"messages": [[user("Hi")]] * 4, "response": ["a", "b", "c", "d" * 90], "rating": [0.0, 1.0, 2.0, 3.0]}
    )
    params = SFTParams(**{**PARAMS, "learning_rate": 1e-3})
    train_regression(tiny_lm, rated, params, seed=1)
    assert "1 of 4 rated conversations are longer than 96 tokens: left out" in caplog.text
    with pytest.raises(ValueError, match="none of 1 rated conversations has at most max_length=96 tokens"):
        train_regression(tiny_lm, rated[3:], params, seed=1)
