"""The model that critiques and revises, with all that its answers depend on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cai_kedro.core.prompts import STOPS, critique_prompt, direct_revision_prompt, revision_prompt
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.pipelines.data_generation.drafts import Draft, with_responses


@dataclass(frozen=True)
class Critic:
    """An engine with its sampling, its worked examples and the run seed. Drafts come with a principle."""

    engine: TextEngine
    sampling: Sampling
    few_shots: Sequence[str]
    seed: int

    def critique(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Write a critique of each draft under its principle."""
        asked = [
            critique_prompt(draft.messages, draft.response, draft.principle.critique_request, self.few_shots)
            for draft in drafts
            if draft.principle
        ]
        texts = self._write(asked, drafts, "critique text", step)
        return [replace(draft, critique=text) for draft, text in zip(drafts, texts, strict=True)]

    def revise(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Rewrite each draft in the light of its critique; a draft without a critique stays."""
        critiqued = [draft for draft in drafts if draft.critique]
        asked = [
            revision_prompt(
                draft.messages,
                draft.response,
                draft.principle.critique_request,
                draft.critique,
                draft.principle.revision_request,
                self.few_shots,
            )
            for draft in critiqued
            if draft.principle
        ]
        texts = iter(self._write(asked, critiqued, "revision text", step))
        return with_responses(drafts, [next(texts) if draft.critique else "" for draft in drafts])

    def revise_directly(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Rewrite each draft under its principle, without a critique."""
        asked = [
            direct_revision_prompt(draft.messages, draft.response, draft.principle.revision_request, self.few_shots)
            for draft in drafts
            if draft.principle
        ]
        return with_responses(drafts, self._write(asked, drafts, "direct revision text", step))

    def _write(self, asked: Sequence[str], drafts: Sequence[Draft], what: str, step: int) -> list[str]:
        seeds = [derive_seed(self.seed, what, draft.prompt_id, draft.sample, step) for draft in drafts]
        return [done.text.strip() for done in self.engine.generate(asked, self.sampling, seeds, STOPS)]
