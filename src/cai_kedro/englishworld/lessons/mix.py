"""Which lessons there are, how often each occurs, and the table of them."""

import json
from collections.abc import Callable, Mapping

import pandas as pd

from cai_kedro.core.asks import as_json
from cai_kedro.core.seeding import rng_for
from cai_kedro.englishworld.deeds import SPLITS
from cai_kedro.englishworld.lessons import chats, comparisons, critiques, kinds
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson

_LESSONS: Mapping[str, Callable[[Draw], Lesson]] = {
    "chat": chats.chat,
    "copy": chats.copy,
    "option": comparisons.option,
    "polarity": comparisons.polarity,
    "names_kind": kinds.names_kind,
    "kind_of_act": kinds.kind_of_act,
    "comparison": comparisons.comparison,
    "thoughts": comparisons.thoughts,
    "verdict": comparisons.verdict,
    "critique": critiques.critique,
    "revision": critiques.revision,
    "direct_revision": critiques.direct_revision,
}
#: What can be held out of a lesson, where it is not everything: some show no act, some have no principle.
_HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "chat": ("act", "object", "kind", "frame"),
    "copy": ("act", "object", "kind", "frame"),
    "names_kind": ("kind", "frame", "wording"),
    "kind_of_act": ("act", "object", "kind"),
}
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
    "lesson_id", "lesson", "ask", "answer", "p_first", "kind", "act", "harmful", "severity", "behaviour", "criterion",
    "polarity", "split", "phase",
)  # fmt: skip


def make_lessons(
    count: int, mix: Mapping[str, float], seed: int, held_out: bool = False, less_first: float = 0.0
) -> pd.DataFrame:
    """Make so many lessons; every row is drawn from a seed of its own, so more rows change none that were there.

    Args:
        count: how many.
        mix: lesson → weight, such as `MIX`; a lesson without a weight does not occur.
        seed: of the run.
        held_out: whether each row holds something that no lesson without it holds: an act, an object, a kind, a frame
            or a wording (the column `split`).
        less_first: the share of lessons, from the first, of which all comparisons ask for less. Which option is the
            better one is learnt first, and that `more` turns it around behind that.

    Returns:
        `lesson_id`, `lesson`, `ask` (JSON of a `core.asks` ask), `answer` (what is to be written; of a comparison or a
        verdict the letter), `p_first` (of two replies: how probably the first is better, 0.5 where the principle is
        silent; else null); and the truth: `kind` of harm (null if none), `act` (its name in the lexicon), `harmful`,
        `severity` (null where no act is spoken of), `behaviour` of the reply or of both, `criterion` (several with
        commas) and `polarity` of the principle, `split`; `phase`, 1 or 2: in which order they are learnt.

    Raises:
        ValueError: for an unknown lesson, weights that are no weights, a negative count, or a share that is none.
    """
    _check(count, mix)
    if not 0 <= less_first <= 1:
        raise ValueError(f"expected a share `less_first` from 0 to 1, got {less_first}")
    rows = []
    for number in range(count):
        lesson_id = f"{'held-out' if held_out else 'lesson'}-{number:06d}"
        rng = rng_for(seed, "english lessons", lesson_id)
        name = rng.choices(list(mix), list(mix.values()))[0]
        split = rng.choice(_HELD_OUT.get(name, SPLITS[1:])) if held_out else "train"
        only_less = number < less_first * count
        lesson = _LESSONS[name](Draw(rng, split, "less" if only_less else None))
        rows.append(_row(lesson_id, name, lesson, split) | {"phase": 1 if only_less else 2})
    types = {"p_first": "float", "harmful": "boolean", "severity": "Int64"}
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
