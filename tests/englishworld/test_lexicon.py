"""How rich the English world is, and that its entries go together."""

import re
from collections import Counter

import pytest

from cai_kedro.englishworld import lexicon as module
from cai_kedro.englishworld.deeds import Deed, acts_of, places
from cai_kedro.englishworld.lexicon import lexicon, raw
from cai_kedro.englishworld.principles import words_of
from cai_kedro.englishworld.requests import TACTICS, TONES, request_frames, second_turns

FIELDS = ("text", "how", "wrong", "why", "instead")


def test_the_numbers_of_the_lexicon() -> None:
    acts = lexicon().acts
    plain = Counter(act.harm for act in acts if act.harm and not act.charges)
    assert len(plain) >= 14
    assert min(plain.values()) >= 24
    assert min(Counter(act.looks_like for act in acts if act.looks_like and not act.harm).values()) >= 6
    assert min(Counter(act.harm for act in acts if act.charges).values()) >= 2
    assert sum(act.harm is None and act.looks_like is None for act in acts) >= 60
    assert {act.severity for act in acts if act.harm} == {1, 2, 3, 4}
    assert all(act.wrong for act in acts if not act.harm or act.charges)
    assert sum(len(request_frames(tone)) for tone in TONES) >= 30
    assert all(len(second_turns(tactic)) >= 6 for tactic in TACTICS)


def test_what_is_held_out() -> None:
    held_out = [name for name, harm in lexicon().harms.items() if harm.held_out]
    assert held_out == ["animals", "blackmail"]
    for name in lexicon().harms:
        acts = [act for act in lexicon().acts if act.harm == name and not act.charges]
        out = sum(act.held_out for act in acts)
        assert out == (len(acts) if name in held_out else len(acts) // 6)
        assert len({word.text for word in words_of(name)}) >= 5  # a kind has several names
    assert all(values["held_out"] for values in lexicon().slots.values())
    assert all(len(request_frames(tone)) > sum(f.split == "train" for f in request_frames(tone)) for tone in TONES)


@pytest.mark.parametrize("field", FIELDS)
def test_every_text_belongs_to_one_act(field: str) -> None:
    texts = [getattr(act, field) for act in lexicon().acts if getattr(act, field)]
    assert [text for text, times in Counter(texts).items() if times > 1] == []


def test_places_are_filled_by_the_text_and_clauses_are_no_sentences() -> None:
    for act in lexicon().acts:
        for field in FIELDS:
            text = getattr(act, field)
            assert set(re.findall(r"\{(\w+)\}", text)) <= set(places(act)), (act.name, field)
            assert not re.search(r"[.!?:;|]", text), (act.name, field)
            assert field == "text" or not re.search(r"\b(?:I|my|me)\b", text), (act.name, field)


def test_groups_and_splits_hold_every_act_once() -> None:
    groups = ("harmful", "open", "look_alike", "skill")
    found = [act.name for group in groups for split in ("train", "act", "kind") for act in acts_of(group, split)]
    assert sorted(found) == sorted(act.name for act in lexicon().acts)


def test_an_excuse_makes_an_open_act_harmless() -> None:
    act = acts_of("open", "train")[0]
    assert Deed(act, context=act.charges[0]).severity == act.severity
    assert Deed(act, context=act.excuses[0]).severity == 0


def test_sentences_that_say_whose_it_is_belong_to_one_act() -> None:
    contexts = [text for act in lexicon().acts for text in (*act.excuses, *act.charges)]
    assert len(contexts) == len(set(contexts))


def test_a_faulty_entry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {**raw("harms/theft"), "acts": ["steal | run"]}
    monkeypatch.setattr(module, "raw", lambda name: told if name == "harms/theft" else raw(name))
    module.lexicon.cache_clear()
    with pytest.raises(ValueError, match=r"harms/theft.yml, act 1: expected 5 fields between strokes, got 2"):
        module.lexicon()
    module.lexicon.cache_clear()
