"""Which tokens end an answer: one set per model, for engines and training alike."""

from collections.abc import Iterator
from typing import Any

from cai_kedro.engines.language_model import LanguageModel


def eos_ids(lm: LanguageModel) -> tuple[int, ...]:
    """Return the ids that end an answer, each once: the tokenizer's EOS first, which is the one that training writes.

    Then those of the generation config and of the model's config. Models of conversations have several, such as one
    for the end of a turn and one for the end of a text. Empty for a model that has none.
    """
    config = lm.model.config
    sources = (
        lm.tokenizer.eos_token_id,
        getattr(lm.model.generation_config, "eos_token_id", None),
        getattr(config, "eos_token_id", None),
        getattr(config.get_text_config(decoder=True), "eos_token_id", None),
    )
    return tuple(dict.fromkeys(token for source in sources for token in _ids(source)))


def _ids(eos: Any) -> Iterator[int]:
    """Yield the ids of one id, of a list of them, or of nothing."""
    yield from () if eos is None else map(int, eos) if isinstance(eos, (list, tuple)) else (int(eos),)
