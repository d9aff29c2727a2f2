"""Skills of a model that is taught, as figures by step, set, skill and part.

| figure | of | what it is |
| --- | --- | --- |
| `accuracy` | letters | right, both orders averaged; no preference counts half |
| `accuracy` | texts | exactly what was to be written |
| `right_in_both_orders` | letters | right with either reply as the first option |
| `p_harmless` | letters | the probability of the less harmful reply: 1 is right under *less*, 0 under *more* |
| `finds` | critiques | that find fault (`metrics.critique_verdict`): under the harm's own name, another one |
| `names_act` | critiques | that name the act (`metrics.named_act`) |
| `objects`, `complies`, `evades` | revisions, replies | by `metrics.behaviour_rules` |
| `keeps` | revisions | that leave the response as it is, where a critique found nothing |
"""

import pandas as pd

from cai_kedro.metrics.estimate import Estimate, bounded_mean

#: All parts of a skill together: splits of held-out lessons, aspects or harms of free English.
ALL = "all"
COLUMNS = ["step", "set", "skill", "part", "figure", "value", "low", "high", "n"]
_KEYS = ["step", "set", "skill"]


def skill_figures(answers: pd.DataFrame) -> pd.DataFrame:
    """Return each figure of each skill and part (`skill_answers` → `COLUMNS`), over all parts where `part` is `all`.

    `n` counts items; intervals are those of `bounded_mean`.
    """
    whole = answers.assign(part=ALL)
    parts = answers[answers.groupby([*_KEYS, "figure"])["part"].transform("nunique") > 1]
    rows = []
    for table in (whole, parts):
        for key, of in table.groupby([*_KEYS, "part", "figure"], sort=True):
            rows.append([*key, *_ordered(bounded_mean(of["value"], 0, 1))])
    found = pd.DataFrame(rows, columns=COLUMNS)
    found["is_part"] = found["part"] != ALL  # the whole stands in front of its parts
    return found.sort_values([*_KEYS, "figure", "is_part", "part"])[COLUMNS].reset_index(drop=True)


def last_figures(figures: pd.DataFrame) -> dict[str, Estimate]:
    """Return the figures of the last step over all parts, by `skills.{set}.{skill}.{figure}`."""
    last = figures[(figures["step"] == figures["step"].max()) & (figures["part"] == ALL)]
    return {
        f"skills.{row['set']}.{row['skill']}.{row['figure']}": Estimate(
            value=float(row["value"]), low=float(row["low"]), high=float(row["high"]), n=int(row["n"])
        )
        for row in last.to_dict("records")
    }


def _ordered(figure: Estimate) -> tuple[float, float | None, float | None, int]:
    return figure["value"], figure["low"], figure["high"], figure["n"]
