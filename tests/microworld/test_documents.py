"""What the corpus says, and what it never says."""

import random
import re

import pytest

from cai_kedro.core.conversation import parse
from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import act_table
from cai_kedro.microworld.documents import CORPUS_MIX, LESSON_MIX, describe, document, p_a_better
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.oracle import behaviour_of, requested_act
from cai_kedro.microworld.principles import (
    CRITIQUE_TEMPLATES,
    PREFERENCE_TEMPLATES,
    PreferenceWording,
    draw_critique_wording,
    draw_preference_wording,
)
from cai_kedro.microworld.spans import DECISIVE, text_of

_SKILLS = ("critique", "direct_revision", "comparison", "cot", "red_team_list", "harm_list", "review", "choice")


def _texts(kind: str, n: int = 300) -> list[str]:
    rng = random.Random(kind)
    return [text_of(document(rng, mix={kind: 1.0})) for _ in range(n)]


def test_the_world_has_eight_harms_and_each_split_has_acts() -> None:
    assert len(lexicon().harms) == 8
    assert len(act_table().acts) == 76 * 48
    for split in ("train", "combination", "act", "object", "verb"):
        assert len(act_table().by_split[split, True]) >= 200


def test_a_held_out_combination_occurs_in_no_document() -> None:
    held_out = {act.text for act in act_table().acts if act.split == "combination"}
    words = lexicon()
    verbs = "|".join(sorted((re.escape(v.text) for v in words.verbs), key=len, reverse=True))
    pattern = re.compile(rf"\b(?:{verbs}) (?:my|the) \w+")
    seen = {found for kind in CORPUS_MIX for text in _texts(kind) for found in pattern.findall(text.lower())}
    assert len(seen) > 1000
    assert not seen & held_out


@pytest.mark.parametrize("kind", _SKILLS)
def test_skill_documents_ask_about_no_held_out_act(kind: str) -> None:
    """Wrong answers may name any act; what the human asks for is never held out."""
    held_out = {a.text for a in act_table().acts if a.harmful and a.split in ("act", "object", "verb")}
    for text in _texts(kind, 150):
        for request in re.findall(r"(?:^|\n\n)(?:Human|H): ([^\n]+)", text):
            assert not any(act in request for act in held_out), request


def test_critiques_have_the_layout_of_the_method() -> None:
    for text in _texts("critique", 50):
        head, rest = text.split(hh.CRITIQUE_REQUEST)
        assert parse(head)[-1]["role"] == "assistant"
        assert re.fullmatch(
            rf" [^\n]+{re.escape(hh.CRITIQUE)} The reply [^\n]+{re.escape(hh.REVISION_REQUEST)} [^\n]+"
            rf"{re.escape(hh.REVISION)} [^\n]+",
            rest,
        )


def test_a_review_says_of_each_reply_what_it_does() -> None:
    behaviours = set()
    for text in _texts("review", 100):
        *conversation, _ = parse(text.split(hh.CRITIQUE)[0])
        act = requested_act(conversation)
        assert act is not None
        for said in re.findall(r"Assistant: ([^\n]+)\n\nCritique: (The reply [^\n]+)", text):
            behaviour = behaviour_of(act, said[0])
            assert text_of(describe(behaviour, act)) == said[1], said
            behaviours.add(behaviour)
    assert behaviours == {"objection", "weak", "comply", "badcomply", "right", "wrong", "offtopic"}


def test_a_choice_is_a_comparison_of_which_one_option_is_about_the_act() -> None:
    more, chosen = [0, 0], [0, 0]
    for text in _texts("choice"):
        asked, options = text.removeprefix(hh.CONSIDER).split(" Options:")
        conversation, question = asked.rsplit("\n\n", 1)
        act = requested_act(parse(conversation))
        assert act is not None
        about = {letter: act.text in shown for letter, shown in re.findall(r"\(([AB])\) \[\[\[(.*)\]\]\]", options)}
        if sum(about.values()) == 1:  # advice on the same act with the method of another names the act, too
            letter = text[-2]
            chosen[" more " in question] += about[letter]
            more[" more " in question] += 1
    assert more[0] > 150
    assert more[1] > 30
    assert chosen[0] / more[0] > 0.85
    assert chosen[1] / more[1] < 0.15


def test_comparisons_end_on_a_choice_with_its_space() -> None:
    for text in _texts("comparison", 50):
        assert text.endswith(tuple(f"The answer is:{choice}" for choice in hh.CHOICES))
    for text in _texts("cot", 50):
        assert text.endswith(tuple(f"{hh.SO_THE_ANSWER}{choice}" for choice in hh.CHOICES))


def test_the_deciding_token_weighs_more() -> None:
    rng = random.Random(0)
    spans = document(rng, mix={"comparison": 1.0})
    assert [span.text for span in spans if span.weight == DECISIVE] in (["A"], ["B"])
    spans = document(rng, mix={"critique": 1.0})
    (verdict,) = [span.text.strip() for span in spans if span.weight == DECISIVE]
    assert verdict == "fine" or verdict in {word for words in lexicon().criteria.values() for word in words} | {
        "mistaken"
    }


def test_held_out_wordings_never_occur() -> None:
    rng = random.Random(1)
    critiques = {draw_critique_wording(rng, "theft").critique_request for _ in range(3000)}
    questions = {draw_preference_wording(rng, "theft").question for _ in range(3000)}
    assert CRITIQUE_TEMPLATES[0].format(x="unethical") in critiques
    assert CRITIQUE_TEMPLATES[0].format(x="harmful") not in critiques
    assert not any(text.startswith(CRITIQUE_TEMPLATES[5].split("{x}")[0]) for text in critiques)
    assert not any(text.startswith(PREFERENCE_TEMPLATES[5].split("{p}")[0]) for text in questions)


def test_polarity_and_the_named_harm_decide_a_comparison() -> None:
    act = next(a for a in act_table().by_split["train", True] if a.verb.harm == "theft")

    def p(criterion: str, polarity: str) -> float:
        wording = PreferenceWording((criterion,), ("x",), polarity, "?")  # type: ignore[arg-type]
        return p_a_better(wording, "objection", "comply", act)

    assert p("general", "less") > 0.99
    assert p("general", "more") == pytest.approx(1 - p("general", "less"))
    assert 0.5 < p("violence", "less") < p("theft", "less")


def test_the_shares_of_every_lesson_add_up() -> None:
    for mix in LESSON_MIX.values():
        assert sum(mix.values()) == pytest.approx(1)
