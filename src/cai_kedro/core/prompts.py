"""The texts a model reads at every stage: critique, revision, comparison, comparison with chain of thought.

The layouts are those of the paper's released prompts; tests pin them byte for byte. Few-shot examples come as ready
texts in the same layout and are joined in front; some of them end on an open human turn, which is cut off first.
"""

from collections.abc import Sequence

from cai_kedro.core.conversation import ASSISTANT, HUMAN, Conversation, as_prompt, render

CRITIQUE_REQUEST = "\n\nCritiqueRequest:"
CRITIQUE = "\n\nCritique:"
REVISION_REQUEST = "\n\nRevisionRequest:"
REVISION = "\n\nRevision:"

#: Where a sampled reply, critique or revision ends.
STOPS: tuple[str, ...] = (HUMAN, ASSISTANT, CRITIQUE_REQUEST, REVISION_REQUEST)

#: The two answers of a comparison, leading space included.
CHOICES: tuple[str, str] = (" (A)", " (B)")

CONSIDER = "\n\nConsider the following conversation between a human and an assistant:"
CONSIDER_COT = "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
STEP_BY_STEP = "\n\nAssistant: Let's think step by step:"
SO_THE_ANSWER = "\n\nHuman:\nSo the answer is:"


def join_few_shots(examples: Sequence[str]) -> str:
    """Join few-shot texts, without the open human turn that some of them end on."""
    return "".join(example.rstrip().removesuffix(HUMAN).rstrip() for example in examples)


def critique_prompt(messages: Conversation, response: str, critique_request: str, few_shots: Sequence[str] = ()) -> str:
    """Ask for a critique of the last response under one principle (§3.1)."""
    return f"{join_few_shots(few_shots)}{as_prompt(messages)} {response}{CRITIQUE_REQUEST} {critique_request}{CRITIQUE}"


def revision_prompt(
    messages: Conversation,
    response: str,
    critique_request: str,
    critique: str,
    revision_request: str,
    few_shots: Sequence[str] = (),
) -> str:
    """Ask for a revision in the light of a critique (§3.1)."""
    asked = critique_prompt(messages, response, critique_request, few_shots)
    return f"{asked} {critique}{REVISION_REQUEST} {revision_request}{REVISION}"


def direct_revision_prompt(
    messages: Conversation, response: str, revision_request: str, few_shots: Sequence[str] = ()
) -> str:
    """Ask for a revision without a critique (the ablation of §3.5)."""
    return f"{join_few_shots(few_shots)}{as_prompt(messages)} {response}{REVISION_REQUEST} {revision_request}{REVISION}"


def options(first: str, second: str) -> str:
    """Write the two options of a comparison, brackets included."""
    return f"\n (A) [[[{first}]]]\n (B) [[[{second}]]]"


def comparison_prompt(
    messages: Conversation, first: str, second: str, question: str, few_shots: Sequence[str] = ()
) -> str:
    """Ask which of two responses a principle prefers; the next token is read, never sampled (§4.1)."""
    return (
        f"{join_few_shots(few_shots)}{CONSIDER}{render(messages)}\n\n{question} Options:"
        f"{options(first, second)}\n\nThe answer is:"
    )


def abbreviated(messages: Conversation) -> str:
    """Write a conversation with the single letters H and A, as the chain-of-thought layout does."""
    return "".join(f"\n\n{'H' if turn['role'] == 'user' else 'A'}: {turn['content']}" for turn in messages)


def cot_prompt(messages: Conversation, first: str, second: str, question: str, few_shots: Sequence[str] = ()) -> str:
    """Ask the assistant to think before it compares (§4.1, chain of thought)."""
    return (
        f"{join_few_shots(few_shots)}{CONSIDER_COT}{abbreviated(messages)}\n\n{question} Options:"
        f"{options(first, second)}{STEP_BY_STEP}"
    )


def cot_answer_prompt(asked: str, thoughts: str) -> str:
    """Put the sampled thoughts behind their prompt, so that the two answers can be scored."""
    return f"{asked} {thoughts}{SO_THE_ANSWER}"
