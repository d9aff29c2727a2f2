"""The model that critiques and revises, with all that its answers depend on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cai_kedro.core.asks import Ask, Critique, DirectRevision, Revision, Worked
from cai_kedro.core.constitution import CritiquePrinciple
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.pipelines.data_generation.drafts import Draft, with_text


@dataclass(frozen=True)
class Critic:
    """An engine with its sampling, its worked examples and the run seed. Drafts come with a principle.

    Drafts in trouble are passed on as they are; a draft whose text comes out empty or does not fit gets into trouble.
    """

    engine: TextEngine
    sampling: Sampling
    few_shots: Sequence[Worked]
    seed: int

    def critique(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Write a critique of each draft under its principle."""

        def asked(draft: Draft, principle: CritiquePrinciple) -> Ask:
            return Critique(draft.messages, draft.response, principle.critique_request, self.few_shots)

        return self._write(drafts, asked, "critique", "critique text", step)

    def revise(self, drafts: Sequence[Draft], step: int) -> list[Draft]:
        """Rewrite each draft in the light of its critique."""

        def asked(draft: Draft, principle: CritiquePrinciple) -> Ask:
            return Revision(
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

        def asked(draft: Draft, principle: CritiquePrinciple) -> Ask:
            return DirectRevision(draft.messages, draft.response, principle.revision_request, self.few_shots)

        return self._write(drafts, asked, "revision", "direct revision text", step)

    def _write(
        self,
        drafts: Sequence[Draft],
        asked: Callable[[Draft, CritiquePrinciple], Ask],
        what: Literal["critique", "revision"],
        draw: str,
        step: int,
    ) -> list[Draft]:
        """Ask for a critique or a revision of each draft; `draw` is its name among the random draws."""
        places = [i for i, draft in enumerate(drafts) if draft.trouble is None]
        asks = [asked(drafts[i], principle) for i in places if (principle := drafts[i].principle)]
        seeds = [derive_seed(self.seed, draw, drafts[i].prompt_id, drafts[i].sample, step) for i in places]
        said = generate_fitting(self.engine, asks, self.sampling, seeds)
        changed = list(drafts)
        for i, completion in zip(places, said, strict=True):
            changed[i] = with_text(drafts[i], what, completion, step)
        return changed
