"""What happens around a run: preflight checks, run status, MLflow, the table at the end.

MLflow is imported here and nowhere else, and only once a run needs it.
"""

from cai_kedro.hooks.checkpoints import Checkpoints
from cai_kedro.hooks.end_summary import EndSummary
from cai_kedro.hooks.graph import Graph
from cai_kedro.hooks.memory import Memory
from cai_kedro.hooks.preflight import Preflight
from cai_kedro.hooks.quiet import ignore_known_warnings
from cai_kedro.hooks.run_status import RunStatus
from cai_kedro.hooks.tracking import Tracking

ignore_known_warnings()

RUN_STATUS = RunStatus()
#: The pipeline registry asks it which policies there are.
GRAPH = Graph()
#: For `settings.py`, together with `DISABLE_HOOKS_FOR_PLUGINS`.
HOOKS: tuple[object, ...] = (Preflight(), RUN_STATUS, Tracking(), EndSummary(), GRAPH, Memory(), Checkpoints())

#: `Tracking` takes the place of the plugin's hook, which logs every run parameter, `--params token=…` too.
DISABLE_HOOKS_FOR_PLUGINS: tuple[str, ...] = ("kedro_mlflow",)
