"""Who is who in a run: its policies, how each of them comes about, and which model plays which role.

The graph, the tables, the figures and the plans are derived from this, so a policy is named in one place: an entry of
`lineage.policies` in conf/base/parameters_lineage.yml.
"""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.core.comparison_sources import SOURCES, Maker, table_of
from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.core.lineage_checks import (
    CLONING,
    ENGRAVING,
    FINE_TUNED,
    SUPERVISED,
    check_circles,
    check_entries,
    check_layout,
    check_names,
    check_reference,
    check_roles,
    check_self_aligned,
    is_hub_model,
    is_path,
)

#: The model of the parameters `base_model`, from which everything starts.
BASE_MODEL = "base_model"


#: Who rewards the replies of an algorithm that draws some: the arm's preference model, or the labeller itself.
Reward = Literal["preference_model", "judge"]


class Policy(BaseModel):
    """One policy: a model that the user has (`given`), or one that is trained from another policy (`start`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    given: str | None = Field(
        default=None,
        description="base_model, another policy, a directory, or repository@commit; then nothing is trained",
    )
    layout: LayoutChoice = Field(default="auto", description="how a given model is asked, as base_model.layout")
    start: str | None = Field(default=None, description="the policy that training starts from")
    algorithm: str | None = Field(
        default=None,
        description="sft: on revisions; engraving, cloning: SELF-ALIGN; or one of rlhf.rl (learning/rl knows them); "
        "null: as the lineage",
    )
    comparisons: tuple[str, ...] = Field(default=(), description="what is learnt from")
    reward: Reward = Field(
        default="preference_model", description="judge: the labeller rewards replies itself, without comparisons"
    )
    enabled: bool = Field(default=True, description="false: not in this run")
    differences: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="what is not as in `rlhf`: block → parameter → value"
    )
    compared_with: str | None = Field(default=None, description="the policy beside which the report tells of this one")


class Roles(BaseModel):
    """Which model plays which role of the training: a policy, a directory, repository@commit, an entry of the catalog.

    Who decides in the evaluation is no role of it: the entries `referee` and `judge` of the catalog.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    assistant: str = Field(description="answers what is then revised, and helpful prompts for the supervised stage")
    critic: str = Field(description="criticises and revises")
    red_teamer: str = Field(description="writes red-team prompts")
    labeller: str | None = Field(description="compares answers; null: nobody does")
    thinker: str | None = Field(description="compares answers after a chain of thought; null: nobody does")

    @property
    def engines(self) -> dict[str, str]:
        """Return role → who plays it, without those that nobody plays."""
        return {name: who for name, who in self.model_dump().items() if who is not None}


class Lineage(BaseModel):
    """The policies in their order, and the roles; checked against one another."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    helpfulness: Literal["people", "labeller", "none"] = Field(description="who compares helpfulness")
    algorithm: str = Field(description="by which arms learn that name none")
    reference: str = Field(description="the policy at 0 Elo")
    policies: dict[str, Policy | None] = Field(description="null: not in this run")
    roles: Roles
    probe: Literal["english"] | None = Field(
        default=None, description="the set of questions that the critic and the labeller are asked before they work"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_names(self.named)
        check_entries(self.named, self.policies)
        check_self_aligned(self.policies, self.named)
        for name, policy in self.named.items():
            check_layout(name, policy.given, policy.layout)
        check_roles(self.roles.engines, self.named, self.left_out)
        check_reference(self.reference, self.present)
        check_circles(self._needs)
        return self

    # ---- which policies there are

    @cached_property
    def named(self) -> dict[str, Policy]:
        """The policies that conf names and that are enabled, those left out too."""
        return {name: policy for name, policy in self.policies.items() if policy is not None and policy.enabled}

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Policies that cannot be trained in this run, and why: nobody makes the comparisons that they learn from."""
        reasons: dict[str, str] = {}
        for name, policy in self.named.items():
            if self._is_arm(policy):
                lacks = self._lack_of(policy)
                if lacks is not None:
                    reasons[name] = lacks
                elif policy.start in reasons:
                    reasons[name] = f"it starts from {policy.start}, which is left out"
        return reasons

    def _lack_of(self, policy: Policy) -> str | None:
        """Say what an arm cannot learn without, and does not have; None where it has all."""
        if policy.reward == "judge":
            return None if self.roles.labeller else "its reward is the labeller's judgement, and nobody plays that role"
        missing = [source for source in policy.comparisons if self.maker_of(source) is None]
        made = {SOURCES[source].objective for source in policy.comparisons if source not in missing}
        lost = {SOURCES[source].objective for source in missing} - made
        return f"nobody makes the comparisons {', '.join(missing)}" if not made or "harmlessness" in lost else None

    @cached_property
    def present(self) -> dict[str, Policy]:
        """The policies of this run, in order."""
        return {name: policy for name, policy in self.named.items() if name not in self.left_out}

    @property
    def base(self) -> str:
        """The policy that is the pretrained model."""
        return next(name for name, policy in self.named.items() if policy.given == BASE_MODEL)

    @property
    def revised(self) -> str | None:
        """The policy of the supervised stage, trained or given, whose answers are compared; None if there is none."""
        return next((name for name, policy in self.named.items() if policy.algorithm == SUPERVISED), None)

    @property
    def supervised(self) -> str | None:
        """The policy that is fine-tuned on revisions, None if there is none or it is given."""
        return self.revised if self.revised and self.named[self.revised].given is None else None

    @property
    def self_aligned(self) -> dict[str, str]:
        """The stages of SELF-ALIGN that make a policy, or are given one: algorithm → policy.

        One that is not enabled is there, too: the pipeline `self_align` makes it on request, nothing evaluates it.
        """
        return {
            policy.algorithm: name
            for name, policy in self.policies.items()
            if policy is not None
            and policy.algorithm in (ENGRAVING, CLONING)
            and (name if policy.given is not None else policy.start) in self.present
        }

    def start_of_stage(self, algorithm: str) -> str | None:
        """Return the model in the catalog that a stage of SELF-ALIGN trains from; None if it trains none."""
        name = self.self_aligned.get(algorithm)
        policy = self.policies[name] if name else None
        return self.model_of(policy.start) if policy is not None and policy.given is None and policy.start else None

    @property
    def arms(self) -> tuple[str, ...]:
        """The policies that an algorithm trains on comparisons, or against a preference model of them."""
        return tuple(name for name, policy in self.present.items() if self._is_arm(policy))

    @property
    def baselines(self) -> tuple[str, ...]:
        """The arms that need nothing of the supervised stage."""
        found: list[str] = []
        for arm in self.arms:
            policy = self.present[arm]
            start = policy.start or ""
            before = start in found or self.present[start].given is not None
            if before and all(SOURCES[source].answers == "base" for source in self.sources_of(arm)):
                found.append(arm)
        return tuple(found)

    @property
    def ai_arms(self) -> tuple[str, ...]:
        """The arms after the supervised stage."""
        return tuple(arm for arm in self.arms if arm not in self.baselines)

    @property
    def judged(self) -> tuple[str, ...]:
        """The arms whose reward is the labeller's judgement."""
        return tuple(arm for arm in self.arms if self.present[arm].reward == "judge")

    @property
    def asks_labeller(self) -> bool:
        """Whether the labeller compares anything in this run."""
        return bool(self.tables_by("labeller") or self.judged)

    @property
    def starts(self) -> dict[str, str]:
        """Each arm, and the policy in the tables that it starts from."""
        return {arm: self.stands_for(self.present[arm].start or "") for arm in self.arms}

    @property
    def evaluated(self) -> dict[str, str]:
        """Each policy of the tables, and its model in the catalog; two names of one model are one policy."""
        return {name: self.model_of(name) for name in self.present if self.stands_for(name) == name}

    @property
    def zero(self) -> str:
        """The policy at 0 Elo, by its name in the tables."""
        return self.stands_for(self.reference)

    @property
    def headline(self) -> str:
        """The policy that the report tells of first: the first arm that learns from the labeller, else the last one."""
        by_labels = [arm for arm in self.arms if {"ai", "ai_cot"} & {*self.sources_of(arm)} or arm in self.judged]
        return next(iter([*by_labels, *reversed(self.evaluated)]))

    def algorithm_of(self, arm: str) -> str:
        """Return the name of the algorithm that a policy of conf learns by."""
        named = self.named[arm].algorithm
        return self.algorithm if named is None or named in FINE_TUNED else str(named)

    def scorer(self, scoring: Collection[str]) -> str | None:
        """Return the arm whose preference model scores revisions, of those that have one.

        It learned harmlessness from labels, if one did (§3.3).
        """
        return next((arm for arm in (self.headline, *self.arms) if arm in scoring), None)

    def compared_with(self, policy: str) -> str | None:
        """Return the policy in the tables beside which the report tells of this one; None where that is not there."""
        other = self.present[policy].compared_with
        return self.stands_for(other) if other in self.present else None

    def behind(self, policy: str) -> frozenset[str]:
        """Return a policy and all that have to be there before it: its start, whose answers it learns from, roles."""
        found, left = {policy}, [policy]
        while left:
            new = self._needs[left.pop()] - found
            found |= new
            left += new
        return frozenset(found)

    def stands_for(self, policy: str) -> str:
        """Return the name under which the tables have a policy: of a given one that is another policy, that one's."""
        given = self.present[policy].given
        return self.stands_for(given) if given in self.present else policy

    # ---- comparisons

    def maker_of(self, source: str) -> Maker | None:
        """Return who makes a table of comparisons in this run, None if nobody does."""
        known = SOURCES[source]
        maker = known.maker or (None if self.helpfulness == "none" else self.helpfulness)
        if known.answers == "supervised" and self.revised is None:
            return None
        if maker == "people":
            return "people" if self.has_people else None
        return maker if maker is not None and getattr(self.roles, maker) is not None else None

    def sources_of(self, arm: str) -> tuple[str, ...]:
        """Return the names of the comparisons that an arm learns from, those that nobody makes left out."""
        return tuple(source for source in self.present[arm].comparisons if self.maker_of(source) is not None)

    def tables_of(self, arm: str) -> tuple[str, ...]:
        """Return the comparison tables of an arm in the catalog."""
        return tuple(table_of(source, self.maker_of(source) or "people") for source in self.sources_of(arm))

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of all comparisons that an arm of this run learns from."""
        return tuple(source for source in SOURCES if any(source in self.sources_of(arm) for arm in self.arms))

    def tables_by(self, maker: Maker) -> dict[str, str]:
        """Return the tables that somebody makes in this run: name of the comparisons → table in the catalog."""
        return {source: table_of(source, maker) for source in self.sources if self.maker_of(source) == maker}

    @property
    def has_people(self) -> bool:
        """Whether people compare anything in this run."""
        return self.helpfulness == "people"

    # ---- models

    def model_of(self, policy: str) -> str:
        """Return a policy's model in the catalog, without `@checkpoint`, `@engine` or `@digest`."""
        name = self.stands_for(policy)
        return f"{name}.policy.model" if self._is_arm(self.present[name]) else f"{name}.model"

    def role_model(self, role: str) -> str | None:
        """Return the model in the catalog that plays a role, None where it is an entry of the catalog, or nobody."""
        who = getattr(self.roles, role)
        if who in self.present:
            return self.model_of(who)
        return f"{role}.model" if who is not None and (is_hub_model(who) or is_path(who)) else None

    def engine_of(self, role: str) -> str:
        """Return the data set of the engine that plays a role."""
        model = self.role_model(role)
        return str(getattr(self.roles, role)) if model is None else f"{model}@engine"

    def name_of(self, role: str) -> str:
        """Return the name under which the tables have who plays a role: a policy's, else that of the role."""
        who = getattr(self.roles, role)
        return self.stands_for(who) if who in self.present else role

    @property
    def given_models(self) -> dict[str, str]:
        """The models that lie elsewhere, but for the pretrained one: model in the catalog → where it is from."""
        policies = {self.model_of(name): policy.given for name, policy in self.present.items() if policy.given}
        own = {model: given for model, given in policies.items() if is_hub_model(given) or is_path(given)}
        played = {f"{role}.model": who for role, who in self.roles.engines.items() if who not in self.present}
        return own | {model: who for model, who in played.items() if is_hub_model(who) or is_path(who)}

    @property
    def given_layouts(self) -> dict[str, LayoutChoice]:
        """The layout that each given model is asked in: model in the catalog → layout; `auto` for a role's model."""
        own = {self.model_of(name): policy.layout for name, policy in self.present.items() if policy.given}
        return {model: own.get(model, "auto") for model in self.given_models}

    @property
    def catalog_roles(self) -> dict[str, str]:
        """Roles that an entry of the catalog plays, a model on a server for instance."""
        return {role: who for role, who in self.roles.engines.items() if self.role_model(role) is None}

    @property
    def teachers(self) -> dict[str, str]:
        """Whose texts or labels the policies learn from, and so is no referee of them: name → model in the catalog."""
        models: dict[str, str] = {}
        for role in ("labeller", "thinker", "critic", "assistant"):
            model = self.role_model(role)
            if model is not None and model not in models.values():
                models[self.name_of(role)] = model
        return models

    @staticmethod
    def _is_arm(policy: Policy) -> bool:
        return policy.given is None and policy.algorithm not in FINE_TUNED

    @property
    def _needs(self) -> Mapping[str, set[str]]:
        """What has to be there before: policy → policies, as its start, its answers, or by a role."""
        played = {role: {who} & set(self.present) for role, who in self.roles.engines.items()}
        needs: dict[str, set[str]] = {}
        for name, policy in self.present.items():
            needs[name] = {other for other in (policy.given, policy.start) if other in self.present}
            if name == self.supervised:
                needs[name] |= played["assistant"] | played["critic"] | played["red_teamer"]
            if policy.algorithm == CLONING and policy.given is None:
                needs[name] |= {self.self_aligned.get(ENGRAVING, "")} & set(self.present)
            if self._is_arm(policy) and policy.reward == "judge":
                needs[name] |= played.get("labeller", set())
            for source in self.sources_of(name) if self._is_arm(policy) else ():
                needs[name] |= played.get(self.maker_of(source) or "", set())
                if SOURCES[source].answers == "supervised":
                    needs[name] |= played["red_teamer"] | {self.revised or self.base}
        return needs
