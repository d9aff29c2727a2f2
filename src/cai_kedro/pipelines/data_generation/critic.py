"""The model that critiques and revises, with all that its answers depend on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cai_kedro.core.constitution import CritiquePrinciple
from cai_kedro.core.prompts import STOPS, critique_prompt, direct_revision_prompt, revision_prompt
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.pipelines.data_generation.drafts import Draft, with_text
from cai_kedro.templates.shards import ANY_CONVERSATION


@dataclass(frozen=True)
class Critic:
    """An engine with its sampling, its worked examples and the run seed. Drafts come with a principle.

    Drafts in trouble are passed on as they are; a draft whose text comes out empty or does not fit gets into trouble.
    """

    engine: TextEngine
    sampling: Sampling
    few_shots: Sequence[str]
    seed: int

    def critique(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Write a critique of each draft under its principle."""

        def asked(draft: Draft, principle: CritiquePrinciple) -> str:
            return critique_prompt(draft.messages, draft.response, principle.critique_request, self.few_shots)

        return self._write(drafts, asked, "critique", "critique text", step)

    def revise(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Rewrite each draft in the light of its critique."""

        def asked(draft: Draft, principle: CritiquePrinciple) -> str:
            return revision_prompt(
                draft.messages,
                draft.response,
                principle.critique_request,
                draft.critique,
                principle.revision_request,
                self.few_shots,
            )

        return self._write(drafts, asked, "revision", "revision text", step)

    def revise_directly(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Rewrite each draft under its principle, without a critique."""

        def asked(draft: Draft, principle: CritiquePrinciple) -> str:
            return direct_revision_prompt(draft.messages, draft.response, principle.revision_request, self.few_shots)

        return self._write(drafts, asked, "revision", "direct revision text", step)

    def _write(
        self,
        drafts: Sequence[Draft],
        asked: Callable[[Draft, CritiquePrinciple], str],
        what: Literal["critique", "revision"],
        draw: str,
        step: int,
    ) -> list[Draft]:
        """Ask for a critique or a revision of each draft; `draw` is its name among the random draws."""
        places = [i for i, draft in enumerate(drafts) if draft.trouble is None]
        prompts = [asked(drafts[i], principle) for i in places if (principle := drafts[i].principle)]
        seeds = [derive_seed(self.seed, draw, drafts[i].prompt_id, drafts[i].sample, step) for i in places]
        said = generate_fitting(self.engine, prompts, self.sampling, seeds, STOPS)
        changed = list(drafts)
        for i, completion in zip(places, said, strict=True):
            changed[i] = with_text(drafts[i], what, completion, step)
        return changed


def layouts(*, direct: bool) -> list[str]:
    """Return what a critic reads, with marks in place of texts: it changes when a layout does."""
    said, examples = (ANY_CONVERSATION, "{response}"), ["{example}"]
    if direct:
        return [direct_revision_prompt(*said, "{revision request}", examples), *STOPS]
    return [
        critique_prompt(*said, "{critique request}", examples),
        revision_prompt(*said, "{critique request}", "{critique}", "{revision request}", examples),
        *STOPS,
    ]
