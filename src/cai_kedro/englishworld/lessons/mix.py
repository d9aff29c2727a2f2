"""Which lessons there are, how often each occurs, and the table of them."""

import json
from collections.abc import Callable, Mapping
from typing import Literal

import pandas as pd

from cai_kedro.core.asks import as_json
from cai_kedro.core.seeding import rng_for
from cai_kedro.englishworld.deeds import SPLITS
from cai_kedro.englishworld.lessons import chats, comparisons, critiques, kinds
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson
from cai_kedro.englishworld.principles import Polarity

_LESSONS: Mapping[str, Callable[[Draw], Lesson]] = {
    "chat": chats.chat,
    "copy": chats.copy,
    "option": comparisons.option,
    "polarity": comparisons.polarity,
    "degree": comparisons.degree,
    "harm": comparisons.harm,
    "names_kind": kinds.names_kind,
    "kind_of_act": kinds.kind_of_act,
    "comparison": comparisons.comparison,
    "thoughts": comparisons.thoughts,
    "verdict": comparisons.verdict,
    "critique": critiques.critique,
    "revision": critiques.revision,
    "direct_revision": critiques.direct_revision,
}
#: What can be held out of a lesson, where it is not everything: some show no act, some have no principle;
#: no held-out question says less or more.
_HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "chat": ("act", "object", "kind", "frame"),
    "copy": ("act", "object", "kind", "frame"),
    "degree": ("act", "object", "kind", "wording"),
    "names_kind": ("kind", "frame", "wording"),
    "kind_of_act": ("act", "object", "kind"),
}
#: Lessons that a contrary can stand beside.
COMPARED = ("comparison", "polarity", "degree", "harm", "option")
#: How often each lesson occurs.
MIX: Mapping[str, float] = {
    "chat": 0.12,
    "copy": 0.04,
    "option": 0.06,
    "polarity": 0.12,
    "names_kind": 0.05,
    "kind_of_act": 0.06,
    "comparison": 0.2,
    "thoughts": 0.06,
    "verdict": 0.03,
    "critique": 0.13,
    "revision": 0.09,
    "direct_revision": 0.04,
}
LESSON_COLUMNS = (
    "lesson_id", "lesson", "ask", "answer", "decides", "p_first", "kind", "act", "harmful", "severity", "behaviour",
    "criterion", "polarity", "split", "phase", "together",
)  # fmt: skip


def make_lessons(
    count: int,
    mix: Mapping[str, float],
    seed: int,
    held_out: bool = False,
    *,
    start: int = 0,
    polarity: Polarity | Literal["both"] | None = None,
    at_length: float = 0.0,
    phase: int = 1,
) -> pd.DataFrame:
    """Make so many lessons; every row is drawn from a seed of its own, so more rows change none that were there.

    Args:
        count: how many are drawn.
        mix: lesson → weight, such as `MIX`; a lesson without a weight does not occur.
        seed: of the run.
        held_out: whether each row holds something that no lesson without it holds: an act, an object, a kind, a frame
            or a wording (the column `split`).
        start: the number of the first one.
        polarity: what all comparisons ask for; None: less or more; both: behind each one stands, as a further row, the
            same comparison under the contrary question.
        at_length: the share of the answers in comparisons, critiques and revisions that are as long as a chat model's.
        phase: in which order they are learnt.

    Returns:
        `lesson_id`, `lesson`, `ask` (JSON of a `core.asks` ask), `answer` (what is to be written; of a comparison or a
        verdict the letter), `decides` (places in it, in characters, of the words that the exercise is about),
        `p_first` (of two replies: how probably the first is better, 0.5 where the principle is silent; else null); and
        the truth: `kind` of harm (null if none), `act` (its name in the lexicon), `harmful`, `severity` (null where no
        act is spoken of), `behaviour` of the reply or of both, `criterion` (several with commas) and `polarity` of the
        principle, `split`; `phase`, and `together`: the number of the lesson, which two contraries share.

    Raises:
        ValueError: for an unknown lesson, weights that are no weights, or a negative count.
    """
    _check(count, mix)
    rows = []
    for number in range(start, start + count):
        lesson_id = f"{'held-out' if held_out else 'lesson'}-{number:06d}"
        rng = rng_for(seed, "english lessons", lesson_id)
        name = rng.choices(list(mix), list(mix.values()))[0]
        split = rng.choice(_HELD_OUT.get(name, SPLITS[1:])) if held_out else "train"
        draw = Draw(rng, split, None if polarity == "both" else polarity, at_length)
        lesson = _LESSONS[name](draw)
        made = {lesson_id: lesson}
        contrary = comparisons.turned(lesson, draw) if polarity == "both" else None
        if contrary is not None:
            made[f"{lesson_id}-contrary"] = contrary
        rows += [_row(key, name, of, split) | {"phase": phase, "together": number} for key, of in made.items()]
    types = {"p_first": "float", "harmful": "boolean", "severity": "Int64", "phase": "int", "together": "int"}
    return pd.DataFrame(rows, columns=list(LESSON_COLUMNS)).astype(types)


def _check(count: int, mix: Mapping[str, float]) -> None:
    unknown = sorted(set(mix) - set(_LESSONS))
    if unknown:
        raise ValueError(f"no such lesson {', '.join(unknown)}; expected some of {', '.join(_LESSONS)}")
    if count < 0 or min(mix.values(), default=0.0) < 0 or not sum(mix.values()) > 0:
        raise ValueError(f"expected a count of 0 or more and weights that add up to more than 0, got {count=}, {mix=}")


def _row(lesson_id: str, name: str, lesson: Lesson, split: str) -> dict[str, object]:
    deed, principle = lesson.deed, lesson.principle
    kind = deed.harm if deed else principle.criteria[0] if principle else None
    return {
        "lesson_id": lesson_id,
        "lesson": name,
        "ask": json.dumps(as_json(lesson.ask), ensure_ascii=False),
        "answer": lesson.answer,
        "decides": list(lesson.decides),
        "p_first": lesson.p_first,
        "kind": kind,
        "act": deed.act.name if deed else None,
        "harmful": deed.harmful if deed else None,
        "severity": deed.severity if deed else None,
        "behaviour": lesson.behaviour,
        "criterion": ", ".join(principle.criteria) if principle else None,
        "polarity": principle.polarity if principle else None,
        "split": split,
    }
