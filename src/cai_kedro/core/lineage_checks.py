"""What can be wrong with a lineage; each check raises `ValueError` with what was found and what to do."""

import difflib
import re
from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from cai_kedro.core.comparison_sources import SOURCES

_HUB_MODEL = re.compile(r"[^@\s]+@[0-9a-f]{40}")
_NAME = re.compile(r"[a-z][a-z0-9_]*")

#: The algorithm of the policy that is fine-tuned on revisions; whoever has the table of the others checks their names.
SUPERVISED = "sft"

#: How the policies of SELF-ALIGN learn: from answers under rules, and from verbose answers of the policy that did.
ENGRAVING, CLONING = "engraving", "cloning"

#: The algorithms that fine-tune on answers, and on which.
FINE_TUNED = {SUPERVISED: "revisions", ENGRAVING: "answers under rules", CLONING: "verbose answers"}

#: Names of stages and roles, which stand where a policy's name stands in names of data sets.
RESERVED = frozenset(
    {
        *("base_model", "baselines", "data_generation", "preference_labeling", "evaluation", "reporting", "ablations"),
        *("self_align", "self_instruct", "self_alignment", ENGRAVING, CLONING),
        *("assistant", "critic", "red_teamer", "labeller", "thinker", "referee", "judge"),
    }
)


class Entry(Protocol):
    """What is looked at of a policy."""

    @property
    def given(self) -> str | None: ...  # noqa: D102
    @property
    def start(self) -> str | None: ...  # noqa: D102
    @property
    def algorithm(self) -> str | None: ...  # noqa: D102
    @property
    def comparisons(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def reward(self) -> str: ...  # noqa: D102
    @property
    def compared_with(self) -> str | None: ...  # noqa: D102


def is_hub_model(text: str | None) -> bool:
    """Tell whether a text names a model of the hub at one commit: `organisation/name@` and 40 hexadecimal digits."""
    return text is not None and _HUB_MODEL.fullmatch(text) is not None


def is_path(text: str | None) -> bool:
    """Tell whether a text names a directory or a GGUF file: has a slash, begins with `.` or `~`, ends on `.gguf`."""
    if text is None or is_hub_model(text):
        return False
    return "/" in text or text.startswith((".", "~")) or text.endswith(".gguf")


def check_names(policies: Collection[str]) -> None:
    """Check that every name can stand in names of data sets, and means nothing else there."""
    for name in policies:
        if not _NAME.fullmatch(name):
            raise ValueError(f"the policy {name!r} needs a name of lower-case letters, digits and _; rename it")
        if name in RESERVED:
            raise ValueError(f"the policy {name!r} has the name of a stage or a role; rename it")


def check_entries(policies: Mapping[str, Entry], in_conf: Collection[str]) -> None:
    """Check each policy by itself, and that what it names is there; `in_conf` holds the names that are null, too."""
    bases = [name for name, policy in policies.items() if policy.given == "base_model"]
    if len(bases) != 1:
        raise ValueError(
            f"one policy has to be the pretrained model (given: base_model), there are {len(bases)}: {', '.join(bases)}"
        )
    supervised = [name for name, policy in policies.items() if policy.algorithm == SUPERVISED]
    if len(supervised) > 1:
        raise ValueError(f"one policy is fine-tuned on revisions, not {len(supervised)}: {', '.join(supervised)}")
    for name, policy in policies.items():
        if policy.given is None:
            _check_trained(name, policy, policies, in_conf)
        elif not (policy.given in ("base_model", *policies) or is_hub_model(policy.given) or is_path(policy.given)):
            raise ValueError(
                f"the policy {name!r} is given as {policy.given!r}, which is no policy, no directory (it would have a "
                f"slash) and no repository@commit of the hub; {_near(policy.given, policies)}"
            )
        if policy.compared_with is not None and policy.compared_with not in in_conf:
            raise ValueError(
                f"the policy {name!r} is compared with {policy.compared_with!r}, which is no policy; "
                f"{_near(policy.compared_with, policies)}"
            )


def check_self_aligned(entries: Mapping[str, Entry | None], policies: Collection[str]) -> None:
    """Check that one policy at most learns by each stage of SELF-ALIGN, enabled or not, and that clones have a teacher.

    `policies` are the enabled ones.
    """
    for algorithm in (ENGRAVING, CLONING):
        learning = [name for name, entry in entries.items() if entry is not None and entry.algorithm == algorithm]
        if len(learning) > 1:
            raise ValueError(
                f"one policy learns by {algorithm}, not {len(learning)}: {', '.join(learning)}; set the others to null"
            )
        if algorithm == ENGRAVING and not learning:
            for name, entry in entries.items():
                if name in policies and entry is not None and entry.algorithm == CLONING and entry.given is None:
                    raise ValueError(
                        f"the policy {name!r} learns by {CLONING} from the policy that learns by {ENGRAVING}, and "
                        f"there is none; name one, or give the model (given: …)"
                    )


def _check_trained(name: str, policy: Entry, policies: Collection[str], in_conf: Collection[str]) -> None:
    if policy.start in in_conf and policy.start not in policies:
        raise ValueError(
            f"the policy {name!r} starts from {policy.start!r}, which is not in this run; set "
            f"lineage.policies.{policy.start}.enabled to true, or let it start from another one"
        )
    if policy.start not in policies:
        what = "names no start" if policy.start is None else f"starts from {policy.start!r}, which is no policy"
        raise ValueError(f"the policy {name!r} {what}; {_near(policy.start or '', policies)}")
    for source in policy.comparisons:
        if source not in SOURCES:
            raise ValueError(
                f"the policy {name!r} learns from the comparisons {source!r}, which nobody makes; "
                f"{_near(source, SOURCES)}"
            )
    if policy.reward == "judge":
        _check_judged(name, policy)
        return
    if policy.algorithm in FINE_TUNED and policy.comparisons:
        raise ValueError(
            f"the policy {name!r} learns by {policy.algorithm}, from {FINE_TUNED[policy.algorithm]}; take its "
            f"comparisons away"
        )
    if policy.algorithm not in FINE_TUNED and not policy.comparisons:
        raise ValueError(
            f"the policy {name!r} learns from comparisons and names none; name some of "
            f"{', '.join(SOURCES)}, take reward: judge, or give the model (given: …)"
        )


def _check_judged(name: str, policy: Entry) -> None:
    if policy.algorithm in FINE_TUNED:
        raise ValueError(
            f"the policy {name!r} learns by {policy.algorithm}, from {FINE_TUNED[policy.algorithm]}, and has no "
            f"reward; take reward: judge away"
        )
    if policy.comparisons:
        raise ValueError(
            f"the policy {name!r} has the labeller's judgement as its reward and learns from no comparisons, but names "
            f"{', '.join(policy.comparisons)}; take these away (comparisons: []), or reward: judge"
        )


def check_roles(roles: Mapping[str, str], policies: Collection[str], left_out: Mapping[str, str]) -> None:
    """Check that whoever plays a role is there; entries of the catalog are checked where the catalog is known."""
    for role, who in roles.items():
        if who in left_out:
            raise ValueError(
                f"the role {role!r} names {who!r}, which cannot be trained: {left_out[who]}; give the model "
                f"(lineage.policies.{who}.given), or name another one"
            )
        if not (who in policies or is_hub_model(who) or is_path(who)) and difflib.get_close_matches(
            who, policies, n=1, cutoff=0.8
        ):
            raise ValueError(f"the role {role!r} names {who!r}, which is no policy; {_near(who, policies)}")


def check_reference(reference: str, policies: Collection[str]) -> None:
    """Check that the policy at 0 Elo is in this run."""
    if reference not in policies:
        raise ValueError(
            f"lineage.reference is {reference!r}, which is no policy of this run; {_near(reference, policies)}"
        )


def check_entries_of_catalog(roles: Mapping[str, str], policies: Collection[str], entries: Collection[str]) -> None:
    """Check that a role which names neither a policy nor a model names an entry of the catalog."""
    for role, who in roles.items():
        if who not in entries:
            raise ValueError(
                f"the role {role!r} names {who!r}, which is no policy, no directory (it would have a slash), no "
                f"repository@commit of the hub and no entry of the catalog; {_near(who, policies, entries)}"
            )


def check_layout(name: str, given: str | None, layout: str) -> None:
    """Check that a layout is named for a model that lies elsewhere: others are asked as what they come from."""
    if layout != "auto" and not (is_hub_model(given) or is_path(given)):
        origin = "trained from another policy" if given is None else f"{given!r}"
        raise ValueError(
            f"the policy {name!r} has the layout {layout!r}, but it is {origin} and keeps that one's layout; take the "
            f"key away, and set base_model.layout for the pretrained model"
        )


def check_circles(needs: Mapping[str, set[str]]) -> None:
    """Check that no policy has to be there before itself."""
    try:
        tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " ← ".join(error.args[1])
        raise ValueError(
            f"policies need one another in a circle, by their starts, comparisons or roles: {circle}; let one of them "
            f"start from another policy, or give a role to another model"
        ) from error


def _near(name: str, known: Collection[str], further: Collection[str] = ()) -> str:
    matches = difflib.get_close_matches(name, [*known, *further], n=1)
    return f"did you mean {matches[0]!r}?" if matches else f"there are {', '.join(known)}"
