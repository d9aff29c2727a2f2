"""Red-team prompts that the pretrained model writes after a list of examples."""

import hashlib
import logging
from bisect import bisect
from collections.abc import Iterable, Sequence

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from rapidfuzz import fuzz, process

from cai_kedro.core.asks import Continue
from cai_kedro.core.constitution import Constitution
from cai_kedro.core.conversation import as_messages, user
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.core.text import list_item
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, unread
from cai_kedro.templates.shards import plan_shards
from cai_kedro.templates.training_prompts import human_turns, phrase_finder

logger = logging.getLogger(__name__)

_BULLET = "\n- "


class RedTeamParams(BaseModel):
    """How red-team prompts are generated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str = Field(description="the line above the list of examples")
    examples: int = Field(ge=1, description="examples in a list")
    lists: int = Field(ge=0, description="how many lists the model continues")
    keep: int = Field(ge=0, description="at most so many generated prompts are kept")
    min_words: int = Field(ge=1)
    max_words: int = Field(ge=1)
    max_similarity: float = Field(ge=0, le=100, description="more alike to a kept one than this: dropped")
    sampling: Sampling


def generate_red_team_prompts(
    given: pd.DataFrame,
    held_out: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: RedTeamParams,
    seed: int,
    held_out_phrases: Sequence[str] = (),
) -> pd.DataFrame:
    """Let the pretrained model continue lists of red-team prompts (`prompts` → `prompts`; §3.2 and appendix).

    Examples come from the given prompts of one turn and from the constitution's. Lines are left out and counted that
    are no prompt, nearly equal to a given or an already kept one, nearly equal to what a human says in a prompt of the
    evaluation, or hold a held-out phrase. `prompt_id` is a hash of the text, so a prompt keeps its id, and with it
    every later draw, whatever else is generated.
    """
    pool = _pool(given, constitution)
    continued = _continue(_lists(pool, params, seed), engine, params.sampling, seed).rows
    return _prompts_in(continued, pool, _asked_in(held_out), held_out_phrases, params)


def plan_red_team_prompts(
    given: pd.DataFrame,
    held_out: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: RedTeamParams,
    seed: int,
    shards: ShardParams,
    held_out_phrases: Sequence[str] = (),
) -> ShardPlan:
    """Plan what `generate_red_team_prompts` does: shards hold continued lists, prompts are picked from all of them."""
    pool = _pool(given, constitution)
    evaluated = _asked_in(held_out)
    return plan_shards(
        _lists(pool, params, seed),
        lambda part: _continue(part, engine, params.sampling, seed),
        shards,
        id_columns=["list"],
        engine=engine,
        decided_by={"sampling": params.sampling, "seed": seed},
        kind=None,
        finish=lambda continued: _prompts_in(continued, pool, evaluated, held_out_phrases, params),
    )


def check_examples(given: pd.DataFrame, constitution: Constitution, params: RedTeamParams) -> None:
    """Raise `ValueError` where there is no prompt to show; warn where there are fewer than a list should have."""
    _ring(_pool(given, constitution), params)


def _pool(given: pd.DataFrame, constitution: Constitution) -> list[str]:
    return [*_single_turns(given), *constitution.few_shots.red_team_prompts]


def _lists(pool: Sequence[str], params: RedTeamParams, seed: int) -> pd.DataFrame:
    """Return the lists that wait for their next line: `list` (its number), `asked`."""
    ring = _ring(pool, params)
    asked = [_example_list(ring, params, seed, number) for number in range(params.lists)]
    return pd.DataFrame({"list": range(params.lists), "asked": pd.Series(asked, dtype=object)})


def _continue(lists: pd.DataFrame, engine: TextEngine, sampling: Sampling, seed: int) -> Outcome:
    """Continue lists (→ `list`, `text`, `finish_reason`). A list without another line is no trouble."""
    seeds = [derive_seed(seed, "red_team", number) for number in lists["list"]]
    said = generate_fitting(engine, [Continue(text) for text in lists["asked"]], sampling, seeds)
    continued = pd.DataFrame(
        {
            "list": lists["list"].to_numpy(),
            "text": pd.Series([completion.text if completion else "" for completion in said], dtype=object),
            "finish_reason": pd.Series([completion.finish_reason if completion else "" for completion in said]),
            "trouble": pd.Series([unread(completion) for completion in said], dtype=object),
        }
    )
    return settle(continued, ["list"])


def _prompts_in(
    continued: pd.DataFrame,
    known: Sequence[str],
    evaluated: Sequence[str],
    held_out_phrases: Sequence[str],
    params: RedTeamParams,
) -> pd.DataFrame:
    """Pick the new prompts from continued lists (→ `prompts`)."""
    lines = [line for row in continued.itertuples() for line in _lines(row.text, row.finish_reason)]
    proper = [line for line in lines if params.min_words <= len(line.split()) <= params.max_words]
    finds = phrase_finder(held_out_phrases)
    free = [line for line in proper if not finds(line)]
    apart = _unlike(free, evaluated, params.max_similarity, among_themselves=False)
    new = _unlike(apart, known, params.max_similarity)
    kept = new[: params.keep]
    logger.info(
        "%d lines generated, %d kept as red-team prompts; left out: %d too short or too long, %d with a held-out "
        "phrase, %d like a prompt of the evaluation, %d like one that is there, %d beyond `keep`",
        len(lines),
        len(kept),
        len(lines) - len(proper),
        len(proper) - len(free),
        len(free) - len(apart),
        len(apart) - len(new),
        len(new) - len(kept),
    )
    return pd.DataFrame(
        {
            "prompt_id": [f"generated-{hashlib.blake2b(line.encode(), digest_size=6).hexdigest()}" for line in kept],
            "messages": pd.Series([[user(line)] for line in kept], dtype=object),
            "source": "generated",
            "split": "train",
        }
    )


def _asked_in(prompts: pd.DataFrame) -> list[str]:
    """Return all that humans say in these conversations."""
    return [text for cell in prompts["messages"] for text in human_turns(as_messages(cell))]


def _single_turns(prompts: pd.DataFrame) -> list[str]:
    conversations = [as_messages(cell) for cell in prompts["messages"]]
    return [messages[0]["content"].strip() for messages in conversations if len(messages) == 1]


def _ring(pool: Sequence[str], params: RedTeamParams) -> list[tuple[int, str]]:
    """Lay the examples out on a ring, each at the hash of its text."""
    ring = sorted((derive_seed(0, "ring", text), text) for text in set(pool))
    if params.lists and not ring:
        raise ValueError(
            "a list needs a red-team prompt of one turn, and there is none: give some, or set "
            "data_generation.red_team.lists to 0"
        )
    if params.lists and len(ring) < params.examples:
        logger.warning(
            "data_generation.red_team.examples is %d, there are %d different red-team prompts of one turn: "
            "a list has %d",
            params.examples,
            len(ring),
            len(ring),
        )
    return ring


def _example_list(ring: Sequence[tuple[int, str]], params: RedTeamParams, seed: int, number: int) -> str:
    """Write a list that waits for its next line.

    Its examples are those that come next on the ring after drawn points: a prompt that is added changes only the
    few lists that would now have it.
    """
    rng = rng_for(seed, "red_team", number)
    examples: dict[str, None] = {}
    while len(examples) < min(params.examples, len(ring)):
        examples[ring[bisect(ring, (rng.getrandbits(63), "")) % len(ring)][1]] = None
    return params.header + "".join(f"{_BULLET}{example}" for example in examples) + _BULLET.rstrip()


def _lines(continued: str, finish_reason: str) -> list[str]:
    """Read the lines of a continued list, without the last one where the token limit cut it."""
    lines = continued.split("\n")
    if finish_reason == "length":
        lines = lines[:-1]
    return [text for line in lines if (text := list_item(line)[1])]


def _unlike(
    lines: Iterable[str], known: Sequence[str], max_similarity: float, *, among_themselves: bool = True
) -> list[str]:
    """Keep the lines that are like none of the known ones and, `among_themselves`, like none kept before."""
    seen, kept = [text.lower() for text in known], []
    for line in lines:
        if process.extractOne(line.lower(), seen, scorer=fuzz.ratio, score_cutoff=max_similarity) is None:
            kept.append(line)
            if among_themselves:
                seen.append(line.lower())
    return kept
