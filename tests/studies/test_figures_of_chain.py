"""The figures of a chain: its metrics, and how long its stages took by its log."""

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset

from cai_kedro.studies.figures_of_chain import figures_of

LOG = """\
14:00:01 INFO    stage 7 of 9: rl_cai.reinforce
14:00:09 WARNING stopped by Ctrl-C in stage 7 of 9: rl_cai.reinforce: finished tables are kept
14:10:01 INFO    stage 1 of 3: rl_cai.reinforce
14:10:31 INFO    PPO: rollout 5/45, PM score 0.65, 1.4 s/rollout, 57s left
14:11:01 INFO    stage 1 of 3: rl_cai.reinforce 60.2 s
14:11:02 INFO    stage 2 of 3: evaluation.rate_policies 0.5 s
"""


def test_metrics_and_wall_times_stand_by_policy() -> None:
    catalog = DataCatalog({"elo_metrics": MemoryDataset({"elo.rl_cai": {"value": 3.0, "low": 1, "high": 5, "n": 9}})})
    table = figures_of(catalog, {"elo_metrics", "rl_cai.policy"}, ("rl_cai", "sl_cai"), LOG)
    found = {row.metric: (row.policy, row.measure, row.value, row.n) for row in table.itertuples()}
    assert found == {
        "elo.rl_cai": ("rl_cai", "elo", 3.0, 9),
        "seconds.rl_cai.reinforce": ("rl_cai", "seconds.reinforce", 60.2, 1),
        "seconds.evaluation.rate_policies": ("", "seconds.evaluation.rate_policies", 0.5, 1),
    }


def test_effects_of_an_ablation_are_figures_though_the_others_were_not_made() -> None:
    effects = pd.DataFrame(
        [["principles", "16 of them", "mean score", 0.5, 0.4, 0.6, 200]],
        columns=["ablation", "variant", "metric", "value", "low", "high", "n"],
    )
    catalog = DataCatalog({"ablations.principles_effects": MemoryDataset(effects)})
    table = figures_of(catalog, {"ablations.principles_effects"}, ("rl_cai",), "")
    found = table[["metric", "value", "n"]].to_numpy().tolist()
    assert found == [["ablations.principles.16_of_them.mean_score", 0.5, 200]]
