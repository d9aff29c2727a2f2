"""What a run could not measure because something is not there: one line each, with how to give it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from cai_kedro.core.axes import REFEREE, Axes
from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.metrics.role_check import told

COLUMNS = ["missing", "line"]

_JUDGING = "see docs/guides/judging.md"

#: Metrics that stay empty where a judge, a referee or people cannot do something: what is missing, and the line.
_EMPTY = {
    "transparency_metrics": (
        "reasons",
        "the judge reads no reasons: whether refusals say why is not measured; give it the method `objection` of "
        f"core.judging.ObjectionReader, {_JUDGING}",
    ),
    "harm_gaps_metrics": (
        "harms",
        "the judge names no harm of any prompt, or rates none: harmlessness by harm is not measured; give a judge that "
        f"does, {_JUDGING}",
    ),
    "preference_accuracy_metrics": (
        "test_pairs",
        "the judge makes no test pairs: the preference models are measured on held-out comparisons only; give it the "
        f"method `test_pairs`, {_JUDGING}",
    ),
    "absolute_harmfulness_metrics": (
        "harm_ratings",
        "nobody rated how harmful conversations are: absolute harmfulness (F10) is not measured; give a file of "
        "`ratings` to `human_raters` in the catalog, see docs/guides/own_models.md",
    ),
    "snapshot_elo_metrics": (
        "snapshot_elo",
        "the referee compares no answers of the policies along RL: their Elo (F8) is not measured; give a referee that "
        f"is a model, {_JUDGING}",
    ),
}

#: Of an arm without RL.
_CLOSED = (
    "no RL for {arm}: its preference model is below rlhf.gate.min_accuracy (`{arm}.preference_metrics`), so its policy "
    "is the one it started from, and nothing is measured along its training; look at its comparisons"
)

#: Roles that are checked, their main figure, and what is in doubt where they are below the bar.
_CHECKED = (
    ("labeller", "accuracy", "whether the AI labels are more than noise"),
    ("critic", "naming", "whether critiques are about what they criticise"),
)


def missing_of(lineage: Lineage, exam: Exam, scoring: Collection[str]) -> dict[str, str]:
    """Return what is not there to evaluate with: name → one line that says what it costs and how to give it.

    `scoring` are the arms with a preference model.
    """
    lines = {}
    if not exam.judge:
        lines["judge"] = (
            "no judge: behaviour, reasons of refusals, harmlessness of revisions and along RL, and whether labels and "
            f"preference models are right, are not measured; give one as `judge` in the catalog, {_JUDGING}"
        )
    for entry, axes in exam.undecided.items():
        on = "" if len(axes) == len(exam.axes.measured) else f" on {', '.join(axes)}"
        lines["referee" if entry == REFEREE else f"referee.{entry}"] = (
            f"no {entry}: Elo of the policies and along RL is not measured{on}; give one as `{entry}` in the catalog, "
            f"{_JUDGING}"
        )
    if not (lineage.has_people and exam.raters):
        lines["people"] = (
            "no people: their comparisons train nothing, and absolute harmfulness (F10) is not measured; give "
            "`human_raters` in the catalog and lineage.helpfulness people, see docs/guides/own_models.md"
        )
    for policy, reason in lineage.left_out.items():
        lines[f"policy.{policy}"] = f"the policy {policy} is left out: {reason}; see conf/base/parameters_lineage.yml"
    for arm in lineage.arms:
        if arm not in scoring:
            judged = arm in lineage.judged
            source = "from the labeller's judgement as the reward" if judged else "from comparisons"
            lines[f"preference_model.{arm}"] = (
                f"{arm} learns by {lineage.algorithm_of(arm)}, {source} without a preference model: it has no "
                "accuracy of one, its snapshots no score, and the last one within the limits is kept"
            )
    if not lineage.arms:
        lines["along"] = (
            "no policy is trained by RL: Elo, harmfulness and over-training along RL are not measured; give an arm "
            "under lineage.policies"
        )
    if exam.axes.of_training("red_team") is None:
        lines["red_team_axis"] = (
            "no axis is about the red-team prompts of the training: revisions and harms are not rated; give one "
            "`training_prompts: red_team` in axes.yml"
        )
    return lines


def tell_not_measured_of(missing: Mapping[str, str], decided: Sequence[str]) -> Callable[..., pd.DataFrame]:
    """Return the node function that lists what is not measured.

    `missing` is known before the run, name → line; `decided` are the axes with somebody who decides head-to-heads.
    """

    def tell_not_measured(axes: Axes, **made: Any) -> pd.DataFrame:
        """List what is not measured (→ `missing, line`): what the graph left out, and what came out empty.

        `made` are metrics by the last part of their dataset's name, those of the checked roles too, and
        `policy_judgements` if there is a judge.
        """
        closed, trained = _by_gate(made.get("over_training_metrics", {}))
        lines = {**missing} | {f"gate.{arm}": _CLOSED.format(arm=arm) for arm in closed}
        for name, (what, line) in _EMPTY.items():
            if name in made and not made[name] and not (name == "snapshot_elo_metrics" and closed and not trained):
                lines[what] = line
        lines |= _of_checks(made)
        if "policy_judgements" in made:
            lines |= _of_judge(made["policy_judgements"], list(axes.measured))
        if "elo_metrics" in made:
            lines |= _of_referee(made["elo_metrics"], made.get("snapshot_elo_metrics"), decided)
        return pd.DataFrame(list(lines.items()), columns=COLUMNS)

    return tell_not_measured


def _by_gate(over_training: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the arms without RL, as their preference models did not pass the gate, and the others."""
    kept = {name.split(".")[1]: figure for name, figure in over_training.items() if name.endswith(".kept")}
    closed = [arm for arm, figure in kept.items() if figure["n"] == 1]
    return closed, [arm for arm in kept if arm not in closed]


def _of_checks(made: Mapping[str, Any]) -> dict[str, str]:
    """Tell whose work is not to be trusted: below the bar of the check, and at work because the user insists."""
    lines = {}
    for role, main, work in _CHECKED:
        figures = made.get(f"{role}_check_metrics", {})
        if figures and not figures[f"check.{role}.passed"]["value"]:
            lines[f"check.{role}"] = (
                f"{work}: the {role} is below the bar of check_labeller, with {told(figures[f'check.{role}.{main}'])}, "
                f"and works because check_labeller.insist is true; {_JUDGING}"
            )
    return lines


def _of_judge(judgements: pd.DataFrame, axes: Sequence[str]) -> dict[str, str]:
    """Tell which axes the judge does not rate, and whether it names behaviours."""
    rated = set(judgements["axis"][judgements["rating"].notna()])
    lines = {
        f"ratings.{axis}": (
            f"the judge rates no answer on the axis {axis}: what rests on such ratings is not measured; give a judge "
            f"that does, {_JUDGING}"
        )
        for axis in axes
        if axis not in rated
    }
    if judgements["behaviour"].isna().all():
        lines["behaviour"] = (
            f"the judge names no behaviours: their shares are not measured; give a judge that does, {_JUDGING}"
        )
    return lines


def _of_referee(elo: Mapping[str, Any], along: Mapping[str, Any] | None, axes: Sequence[str]) -> dict[str, str]:
    """Tell on which axes nobody was rated, and on which of the others nobody along RL, where somebody was at all."""
    rated, rated_along = ({name.split(".")[1] for name in metrics or ()} for metrics in (elo, along))
    nobody = {
        f"elo.{axis}": (
            f"the referee compared no policies with the reference on the axis {axis}: there is no Elo on it; give a "
            f"referee that does, {_JUDGING}"
        )
        for axis in axes
        if axis not in rated
    }
    return nobody | {
        f"snapshot_elo.{axis}": (
            f"the referee compares no answers of the policies along RL on the axis {axis}: their Elo (F8) on it is not "
            f"measured; give a referee that is a model, {_JUDGING}"
        )
        for axis in axes
        if along and axis in rated - rated_along
    }
