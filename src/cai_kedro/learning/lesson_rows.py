"""Lessons as token ids: a prompt as the model's layout writes the ask, and behind it what is to be written."""

import json
import logging
from bisect import bisect_right
from dataclasses import dataclass

import pandas as pd
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.asks import Ask, Comparison, Verdict, from_json
from cai_kedro.core.layouts.chat import turns
from cai_kedro.engines.eos import end_id
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prompt_ids import prompt_ids, refused
from cai_kedro.engines.text_ids import text_ids, written_ids
from datasets import Dataset

logger = logging.getLogger(__name__)

LETTERS = ("A", "B")
#: What a token of an answer decides.
LETTER, WORD = 1, 2


@dataclass(frozen=True)
class EncodedLesson:
    """The ids of a prompt, those of what is to be written behind it, and which of these decide.

    In `decides` a token that decides on a letter has 1, one that begins a word that the lesson is about has 2 (which
    kind of harm, whether all is fine), and the others have 0. Lessons are learnt by `phase`, the least one first, and
    those of the same number `together` in one batch.
    """

    prompt: list[int]
    answer: list[int]
    decides: list[int]
    phase: int
    together: int

    @property
    def ids(self) -> list[int]:
        """The whole sequence."""
        return self.prompt + self.answer


def lesson_dataset(base: LanguageModel, lessons: pd.DataFrame, max_length: int) -> Dataset:
    """Return of what fits `input_ids`, `start` (where the answer begins), `decides`, `length`, `phase`, `together`."""
    if lessons.empty:
        raise ValueError(
            "there are no lessons: expected a non-empty `lessons` table; raise the counts of teach_skills.lessons"
        )
    encoded = encode_lessons(base, lessons)
    kept = [lesson for lesson in encoded if len(lesson.ids) <= max_length]
    if not kept:
        shortest = min((len(lesson.ids) for lesson in encoded), default=0)
        raise ValueError(
            f"none of {len(lessons)} lessons can be learnt: the shortest has {shortest} tokens, and max_length is "
            f"{max_length}; raise it"
        )
    if len(kept) < len(lessons):
        logger.warning(
            "%d of %d lessons are longer than %d tokens, or refused by the chat template: left out",
            len(lessons) - len(kept),
            len(lessons),
            max_length,
        )
    return Dataset.from_dict(
        {
            "input_ids": [lesson.ids for lesson in kept],
            "start": [len(lesson.prompt) for lesson in kept],
            "decides": [lesson.decides for lesson in kept],
            "length": [len(lesson.ids) for lesson in kept],
            "phase": [lesson.phase for lesson in kept],
            "together": [lesson.together for lesson in kept],
        }
    )


def encode_lessons(base: LanguageModel, lessons: pd.DataFrame) -> list[EncodedLesson]:
    """Return the lessons that the chat template does not refuse, in the model's layout.

    Where a letter is read, the layout's choice is what is to be written; elsewhere a turn with the token that ends it.
    Raises `ValueError` that names a lesson that cannot be read, and when no token ends a turn.
    """
    asks = asks_of(lessons)
    turned_away = refused(base.layout, asks)
    rows = [row for row in range(len(asks)) if row not in turned_away]
    answers = [str(lessons["answer"].iloc[row]) for row in rows]
    asks = [asks[row] for row in rows]
    prompts = prompt_ids(base.tokenizer, base.layout, asks)
    ids = [
        _letter(base, ask, answer, str(lessons["lesson_id"].iloc[row]))
        if isinstance(ask, Comparison | Verdict)
        else None
        for row, ask, answer in zip(rows, asks, answers, strict=True)
    ]
    deciding = [[int(place) for place in lessons["decides"].iloc[row]] for row in rows]
    written = [
        (ask, answer, places)
        for ask, answer, places, letter in zip(asks, answers, deciding, ids, strict=True)
        if letter is None
    ]
    texts = _texts(base, written)
    remaining = iter(texts)
    orders = lessons[["phase", "together"]].iloc[rows].itertuples(index=False)
    return [
        EncodedLesson(prompt, *(letter or next(remaining)), int(phase), int(together))
        for prompt, letter, (phase, together) in zip(prompts, ids, orders, strict=True)
    ]


def asks_of(lessons: pd.DataFrame) -> list[Ask]:
    """Return the ask of each lesson; raises `ValueError` that names one that is none."""
    asks: list[Ask] = []
    for row in lessons.itertuples():
        try:
            ask = from_json(json.loads(row.ask))
            if not isinstance(ask, Ask):
                raise ValueError(f"it is a {type(ask).__name__}")
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"the lesson {row.lesson_id} asks for nothing that can be asked ({error!r}); expected an ask as "
                f"core.asks.as_json writes it"
            ) from error
        asks.append(ask)
    return asks


def _letter(base: LanguageModel, ask: Comparison | Verdict, answer: str, lesson_id: str) -> tuple[list[int], list[int]]:
    """Return the ids of a choice, and which of them decides: the first one that the choices do not share."""
    if answer not in LETTERS:
        raise ValueError(
            f"the lesson {lesson_id} is answered by a letter, and its answer is {answer!r}; expected A or B"
        )
    choices = text_ids(base.tokenizer, base.layout.choices(ask))
    ids = choices[LETTERS.index(answer)]
    deciding = next(place for place, tokens in enumerate(zip(*choices, strict=False)) if len(set(tokens)) > 1)
    return ids, [LETTER if place == deciding else 0 for place in range(len(ids))]


def _texts(base: LanguageModel, lessons: list[tuple[Ask, str, list[int]]]) -> list[tuple[list[int], list[int]]]:
    """Return the ids of each text and of its end, and which of them hold the first character of a deciding word."""
    end = end_id(base.tokenizer, base.layout)
    if end is None:
        raise ValueError(
            "the tokenizer has no EOS token, so no answer would ever end; set tokenizer.eos_token before saving the "
            "model"
        )
    written = [base.layout.answer(turns(ask), answer) for ask, answer, _ in lessons]
    rows = []
    for ids, text, (_, answer, places) in zip(written_ids(base.tokenizer, written), written, lessons, strict=True):
        starts = [text.text.index(answer) + place for place in places] if places else []
        rows.append(([*ids, end], [*_holding(base.tokenizer, ids, starts), 0]))
    return rows


def _holding(tokenizer: PreTrainedTokenizerBase, ids: list[int], places: list[int]) -> list[int]:
    """Return for each token whether it holds one of the characters at these places of the text."""
    ends = [len(tokenizer.decode(ids[: token + 1])) for token in range(len(ids))] if places else []
    holding = {bisect_right(ends, place) for place in places}
    return [WORD if token in holding else 0 for token in range(len(ids))]
