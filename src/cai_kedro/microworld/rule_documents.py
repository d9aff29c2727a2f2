"""Documents in the formats of SELF-ALIGN: rules, thoughts that name them and an answer; styles; numbered lists."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cai_kedro.core.asks import NumberedList, Rule, RuledReply, RuleThoughts, StyledReply
from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import Act, act_table, draw_act
from cai_kedro.microworld.finding import all_words
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.replies import REQUESTS, ask, behaviours_towards, reply
from cai_kedro.microworld.spans import DECISIVE, HELPFUL_DECISION, Document, Span

_KNOWN = ("train",)


@dataclass(frozen=True)
class _Kind:
    """A kind of rule: how it is called and worded; the last wording stands in no document."""

    names: tuple[str, ...]
    texts: tuple[str, ...]

    def draw(self, rng: random.Random) -> Rule:
        return Rule(rng.choice(self.names), rng.choice(self.texts[:-1]))


_REFUSALS = (
    "Refuse what is {x}, and say why.",
    "Do not help with what is {x}; say why.",
    "Say no to all that is {x}, and why.",
)
_KINDS = {
    "helpful": _Kind(
        ("helpful", "useful"),
        ("Give the advice that is asked for.", "Help with what harms nobody.", "Give good advice to who asks for it."),
    ),
    "careful": _Kind(
        ("careful", "cautious"), ("Warn the human first.", "Say that it is risky.", "Begin with a warning.")
    ),
    "silent": _Kind(
        ("silent", "mute"),
        ("Do not answer the question.", "Give no answer to the human.", "Leave the human without an answer."),
    ),
    "brief": _Kind(("brief", "short"), ("Answer in one sentence.", "Say it in few words.", "Keep the answer small.")),
    "wordy": _Kind(
        ("wordy", "long"), ("Answer at length.", "Say all that there is to say.", "Let the answer be long.")
    ),
    "polite": _Kind(
        ("polite", "friendly"), ("Be polite to the human.", "Greet the human as a friend.", "Speak as a friend does.")
    ),
}
_RULE_WEIGHTS = {"helpful": 0.35, "careful": 0.13, "silent": 0.1, "brief": 0.14, "wordy": 0.14, "polite": 0.14}
_GENERAL_NAMES = ("harmless", "safe")
_GENERAL_TEXTS = ("Refuse what harms somebody, and say why.", "Do not help to harm others; say why.")


def refusal_rule(criterion: str, wording: int, word: int, name: int = 0) -> Rule:
    """Return a rule to refuse harm in general, or one harm: its wording, the word for the harm, and its name."""
    words = lexicon().criteria[criterion]
    names = _GENERAL_NAMES if criterion == GENERAL else (criterion,)
    text = _REFUSALS[wording % len(_REFUSALS)].format(x=words[word % len(words)])
    return Rule(names[name % len(names)], text)


def _draw_refusal(criterion: str, rng: random.Random) -> Rule:
    if criterion == GENERAL and rng.random() < 0.5:
        return Rule(rng.choice(_GENERAL_NAMES), rng.choice(_GENERAL_TEXTS))
    return refusal_rule(criterion, rng.randrange(len(_REFUSALS) - 1), rng.randrange(6), rng.randrange(2))


def _draw_rules(act: Act, rng: random.Random, *, renamed: bool) -> list[tuple[str, Rule]]:
    """Draw one to four rules, each with its kind: often one about the harm at hand, or about another one.

    Renamed rules are called by any words, so that what a rule asks for is known from its text alone.
    """
    about = act.harm if act.harm is not None and rng.random() < 0.35 else rng.choice(list(lexicon().harms))
    refused = {"one": [about], "all": [GENERAL], "none": []}[rng.choices(("one", "all", "none"), (0.42, 0.33, 0.25))[0]]
    count = rng.randint(0 if refused else 1, 3)
    manners = list(dict.fromkeys(rng.choices(list(_RULE_WEIGHTS), list(_RULE_WEIGHTS.values()), k=count)))
    if "brief" in manners and "wordy" in manners:
        manners.remove(rng.choice(("brief", "wordy")))
    rules = [(criterion, _draw_refusal(criterion, rng)) for criterion in refused]
    rules += [(kind, _KINDS[kind].draw(rng)) for kind in manners]
    rng.shuffle(rules)
    if renamed:
        names = rng.sample(all_words(held_out=False), len(rules))
        return [(kind, Rule(name, rule.text)) for name, (kind, rule) in zip(names, rules, strict=True)]
    return rules


def _applies(kind: str, act: Act, refused: bool) -> bool:
    if kind == GENERAL or kind in lexicon().harms:
        return refused and kind in (GENERAL, act.harm)
    if kind in ("helpful", "careful"):
        return not refused
    return True


def _thoughts(act: Act, applying: Sequence[str], fits: Sequence[bool] = ()) -> Document:
    """Say what the human wants, what it is, which rules fit, if that is told of each, and which ones to follow."""
    spans = [
        Span(f" The human wants to {act.text}. It is"),
        Span(f" {lexicon().harms[act.harm].words[0] if act.harm else 'fine'}", HELPFUL_DECISION),
        Span("."),
        *_grades(fits),
        Span(" I follow"),
    ]
    if not applying:
        return [*spans, Span(" no", DECISIVE), Span(" rule.")]
    for place, named in enumerate(applying):
        joint = "" if place == 0 else " and" if place == len(applying) - 1 else ","
        spans += [Span(f"{joint} rule"), Span(f" {named}", DECISIVE)]
    return [*spans, Span(".")]


def _grades(fits: Sequence[bool]) -> Document:
    spans: Document = []
    for place, fit in enumerate(fits, start=1):
        spans += [Span(f" {place}"), Span(" yes" if fit else " no", DECISIVE), Span("," if place < len(fits) else ".")]
    return spans


def renamed(rng: random.Random) -> Document:
    """The same as `ruled`, with rules that are called by any words: their names have to be read."""
    return ruled(rng, renamed=True)


def weighed_rules(rng: random.Random) -> Document:
    """The same with either names, and thoughts that first say of each rule whether it fits.

    Which of several texts fits is more than a small model reads in one step; whether one does it reads.
    """
    return ruled(rng, renamed=rng.random() < 0.5, graded=True)


def ruled(rng: random.Random, *, renamed: bool = False, graded: bool = False) -> Document:
    """Numbered rules, a request, thoughts that name the rules that apply, and the answer that follows from them."""
    act = draw_act(_KNOWN, rng, 0.6, 0.1)
    rules = _draw_rules(act, rng, renamed=renamed)
    kinds = [kind for kind, _ in rules]
    refused = act.harm is not None and (GENERAL in kinds or act.harm in kinds)
    fits = [_applies(kind, act, refused) for kind in kinds]
    applying = [f"{place} ({rule.name})" for place, (_, rule) in enumerate(rules, start=1) if fits[place - 1]]
    if refused:
        behaviour = "objection"
    elif "silent" in kinds:
        behaviour = "evasive"
    elif "careful" in kinds:
        behaviour = "caveat" if act.harmful else "right_caveat"
    else:
        behaviour = "comply" if act.harmful else "right"
    answer = _styled(behaviour, act, kinds, rng)
    asked = RuleThoughts(ask(act, rng).messages, [rule for _, rule in rules])
    end = hh.text_of(RuledReply(asked, "{}")).split("{}")[1]
    thoughts = _thoughts(act, applying, fits if graded else ())
    return [Span(hh.text_of(asked)), *thoughts, Span(f"{end} "), Span(answer, HELPFUL_DECISION)]


def called_on(rng: random.Random) -> Document:
    """Rules that are called by any words, and of several acts which of them each calls for.

    In `ruled` one name in forty words says that a rule was read; a small model learns what rules are mostly called.
    """
    rules = _draw_rules(draw_act(_KNOWN, rng, 0.9), rng, renamed=True)
    kinds = [kind for kind, _ in rules]
    spans: Document = [Span(hh.text_of(RuleThoughts([], [rule for _, rule in rules])).split("\n\n")[0])]
    for _ in range(rng.randint(4, 8)):
        drawn = [draw_act(_KNOWN, rng, 0.6) for _ in range(8)]
        fitting = [act for act in drawn if act.harm in kinds]
        act = fitting[0] if fitting and rng.random() < 0.5 else drawn[0]
        refused = act.harm is not None and (GENERAL in kinds or act.harm in kinds)
        fits = [_applies(kind, act, refused) for kind in kinds]
        spans += [Span(f"\n- to {act.text}:"), *_grades(fits)]
        for place, (_, rule) in enumerate(rules, start=1):
            if fits[place - 1]:
                spans += [Span(" rule"), Span(f" {place}", DECISIVE), Span(" ("), Span(rule.name, DECISIVE), Span(")")]
    return spans


def _styled(behaviour: str, act: Act, styles: Sequence[str], rng: random.Random) -> str:
    long = 1.0 if "wordy" in styles else 0.0 if "brief" in styles else None
    return reply(behaviour, act, rng, long=long, polite=1.0 if "polite" in styles else None)


def styled(rng: random.Random) -> Document:
    """An answer behind an instruction about its length or its manner."""
    act = draw_act(_KNOWN, rng, 0.5, 0.1)
    style = rng.choice(("brief", "wordy", "wordy", "polite", "standard"))
    instruction = "Answer the human." if style == "standard" else _KINDS[style].draw(rng).text
    mix = behaviours_towards(act)
    behaviour = rng.choices(list(mix), list(mix.values()))[0]
    asked = StyledReply(ask(act, rng).messages, instruction)
    return [Span(f"{hh.text_of(asked)} "), Span(_styled(behaviour, act, [style], rng), HELPFUL_DECISION)]


_TYPES = ("harmful", "harmless", "any")


def _header(kind: str, of: str) -> str:
    name = "questions" if kind == "any" else f"{kind} questions"
    told = f"topics of {name}:" if of == "topics" else f"{name} about {of}:"
    return told[0].upper() + told[1:]


def numbered_list(rng: random.Random) -> Document:
    """Numbered lists of questions, of questions of a type about a topic, or of topics (SELF-ALIGN, stage 1)."""
    spans: Document = []
    for _ in range(rng.randint(1, 2)):
        of = rng.choice(("tasks", "topics", "about", "about"))
        kind = rng.choice(_TYPES)
        acts = [_listed(kind, rng) for _ in range(rng.randint(4, 7))]
        if of == "topics":
            header, items = _header(kind, "topics"), list(dict.fromkeys(act.noun.phrase for act in acts))
        elif of == "tasks":
            header, items = "Questions:", [rng.choice(REQUESTS).format(act=act.text) for act in acts]
        else:
            noun = acts[0].noun
            fitting = [act for harmful in (True, False) for act in act_table().by_split["train", harmful]
                       if act.noun == noun and (kind == "any" or act.harmful == (kind == "harmful"))]  # fmt: skip
            acts = rng.sample(fitting, min(len(fitting), rng.randint(4, 6)))
            header, items = _header(kind, noun.phrase), [rng.choice(REQUESTS).format(act=act.text) for act in acts]
        spans.append(Span(f"{hh.numbered(NumberedList(header, tuple(items)))}{hh.BLANK_LINE}"))
    return spans


def _listed(kind: str, rng: random.Random) -> Act:
    share = {"harmful": 1.0, "harmless": 0.0, "any": 0.5}[kind]
    act = draw_act(_KNOWN, rng, share)
    return act if act.noun.kind != "scrap" else _listed(kind, rng)
