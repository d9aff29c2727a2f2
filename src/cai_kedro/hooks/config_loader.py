"""Kedro's reader of conf, for projects whose folder has a name with `[`, `*` or `?` in it."""

import glob
from pathlib import Path
from typing import Any

import yaml
from fsspec import AbstractFileSystem
from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from cai_kedro.hooks.conf_checks import syntax_faults
from cai_kedro.hooks.faults import PreflightError, raise_if_any


class ConfigLoader(OmegaConfigLoader):
    """Takes the path of conf as it is; Kedro joins it with patterns and so reads it as one.

    Raises `PreflightError` for a `globals.yml` that cannot be read: Kedro reads it before any hook can check it.
    """

    def __init__(self, conf_source: str, env: str | None = None, **others: Any) -> None:
        try:
            super().__init__(conf_source, env=env, **others)
        except yaml.YAMLError as error:
            raise_if_any(syntax_faults(conf_source, env or others.get("default_run_env")))
            raise error

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a part of conf; the parameter `model`, if it is given, decides what `base_model` starts from.

        An entry of the catalog that an overlay sets to null (`judge: null`) is not there. Raises `PreflightError` for a
        `model` that is nowhere.
        """
        part = super().__getitem__(key)
        if key == "parameters" and part.get("model") is not None:
            part["base_model"] = {**part.get("base_model", {}), **self._base_model_of(part["model"])}
        return {name: entry for name, entry in part.items() if entry is not None} if key == "catalog" else part

    def null_entries(self) -> set[str]:
        """Return the names of the entries of the catalog that are null, which `self["catalog"]` leaves out."""
        return {name for name, entry in super().__getitem__("catalog").items() if entry is None}

    def _base_model_of(self, model: Any) -> dict[str, str | None]:
        from cai_kedro.engines.given_model import base_model_of  # noqa: PLC0415 - few commands need it

        try:
            return base_model_of(str(model), Path(self.conf_source).resolve().parent)
        except ValueError as error:
            raise PreflightError(f"nothing was run: {error}") from error

    def _resolve_from_raw_config(
        self, key: str, base_configs: Any, env_configs: Any, base_path: str, env_path: str, processed_files: set[Path]
    ) -> dict[str, Any]:
        """Put both `globals.yml` together first, so that a dial that names another follows the environment's value."""
        if key == "globals" and (files := [*base_configs.values(), *env_configs.values()]):
            base_configs, env_configs = {Path("globals.yml"): OmegaConf.merge(*files)}, {}
        resolved: dict[str, Any] = super()._resolve_from_raw_config(
            key, base_configs, env_configs, base_path, env_path, processed_files
        )
        return resolved

    @staticmethod
    def _initialise_filesystem_and_protocol(conf_source: str) -> tuple[Any, str]:
        files, protocol = OmegaConfigLoader._initialise_filesystem_and_protocol(conf_source)
        return _LiteralPrefix(files, str(conf_source)), protocol


class _LiteralPrefix:
    """A file system that matches patterns below a folder whose own name is no pattern."""

    def __init__(self, files: AbstractFileSystem, folder: str) -> None:
        self._files, self._folder = files, folder

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match."""
        rest = pattern.removeprefix(self._folder)
        return self._files.glob(glob.escape(self._folder) + rest if rest != pattern else pattern)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)
