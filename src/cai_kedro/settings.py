"""How Kedro reads this project; see the settings page of Kedro's documentation."""

import warnings

from cai_kedro.hooks import DISABLE_HOOKS_FOR_PLUGINS, HOOKS
from cai_kedro.hooks.config_loader import ConfigLoader

__all__ = ["CONFIG_LOADER_ARGS", "CONFIG_LOADER_CLASS", "DISABLE_HOOKS_FOR_PLUGINS", "HOOKS"]

# the dots are meant: an arm's datasets bear its namespace (rl_cai.policy.model), also where another pipeline reads them
warnings.filterwarnings("ignore", message="One or more dataset names contain")
warnings.filterwarnings("ignore", message="register_new_resolver")

CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # an overlay holds only the lines that differ: without `soft` it would replace whole blocks of parameters
    "merge_strategy": {"parameters": "soft", "globals": "soft"},
    "config_patterns": {
        "mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"],
        "parameters": ["parameters*", "parameters*/**", "**/parameters*", "axes*"],
    },
}
