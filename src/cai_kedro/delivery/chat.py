"""A conversation with one policy or with two beside each other, each with its own answers as its past."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from cai_kedro.core.asks import Ask, Reply
from cai_kedro.core.conversation import Message, assistant, system, user
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses

Heard = Callable[[str], None]


@runtime_checkable
class Streams(Protocol):
    """An engine that can hand on a completion while it writes it."""

    def stream(self, ask: Ask, sampling: Sampling, seed: int, heard: Heard) -> Completion:
        """Sample one completion."""
        ...


@dataclass
class Speaker:
    """A policy in a conversation."""

    policy: str
    engine: TextEngine
    messages: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """What a policy said; the score is in log-odds, None where no preference model is there or the text is too long."""

    policy: str
    text: str
    cut: bool
    score: float | None


class Chat:
    """Speakers, how they are sampled from, and the preference model that scores them."""

    def __init__(
        self, speakers: Sequence[Speaker], sampling: Sampling, seed: int, scorer: LanguageModel | None = None
    ) -> None:
        self.speakers = list(speakers)
        self._sampling = sampling
        self._seed = seed
        self._scorer = scorer
        self._system = ""

    def reset(self) -> None:
        """Forget what was said; the system turn stays."""
        for speaker in self.speakers:
            speaker.messages = [system(self._system)] if self._system else []

    def tell(self, instructions: str) -> None:
        """Begin anew, under a system turn; without instructions under none."""
        self._system = instructions
        self.reset()

    def answer(self, speaker: Speaker, text: str, heard: Heard) -> Answer:
        """Let a policy answer a human turn; `heard` gets the answer in pieces.

        Raises `ValueError` where the conversation is too long for the model; it is then as before.
        """
        asked = [*speaker.messages, user(text)]
        # the turn's place decides the draw, so that the same words get the same answer, whoever sits beside
        seed = derive_seed(self._seed, "chat", len(asked))
        ask = Reply(tuple(asked))
        if isinstance(speaker.engine, Streams):
            completion = speaker.engine.stream(ask, self._sampling, seed, heard)
        else:
            (completion,) = speaker.engine.generate([ask], self._sampling, [seed])
            heard(completion.text)
        speaker.messages = [*asked, assistant(completion.text)]
        score = self._score(asked, completion.text)
        return Answer(speaker.policy, completion.text, completion.finish_reason == "length", score)

    def _score(self, messages: Sequence[Message], response: str) -> float | None:
        if self._scorer is None:
            return None
        score = float(score_responses(self._scorer, [messages], [response], 1)[0])
        return None if np.isnan(score) else score
