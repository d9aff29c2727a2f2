"""Who answers for a model: the mapping `engine` of a catalog entry, by its `kind`.

What a kind needs beyond the base installation is imported when an engine is loaded or checked, never before.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from kedro.io import DatasetError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.engines.adapter_files import is_adapter
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.loading import EngineSettings, LocalSettings
from cai_kedro.engines.model_reference import load_model, reference_to, unloaded_model
from cai_kedro.engines.ray_settings import ClusterSettings
from cai_kedro.engines.server_settings import ServerSettings
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings


class EngineKind(ABC):
    """One kind of engine with its settings. `package` says what to install where a package is not there."""

    reads_files: ClassVar[bool] = True
    reads_adapters: ClassVar[bool] = False
    package: ClassVar[str] = ""

    @abstractmethod
    def load(self, directory: Path) -> TextEngine:
        """Return an engine on a model directory, or on a reference to one.

        Raises `ValueError` that says which files it misses, `ModuleNotFoundError` for a package that is not there.
        """

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """Return the settings to show; never a key."""

    def check(self) -> str | None:
        """Ask for a little, without a model; return what is wrong, None if nothing is. Raises as `load` does."""
        return None

    @property
    def server(self) -> tuple[str, ...] | None:
        """Address and name of a model on a server, None of any other one."""
        return None


class Transformers(EngineKind):
    """In this process, on transformers: the fields of `engines.loading.LocalSettings`."""

    reads_adapters = True

    def __init__(self, **settings: Any) -> None:
        self._settings = LocalSettings.model_validate(settings)

    def load(self, directory: Path) -> TextEngine:
        """Return the engine; it reads the weights when it is first asked, those of an adapter and its backbone now."""
        files = unloaded_model(directory)
        return self._settings.engine_on(load_model(directory)) if files is None else self._settings.engine_at(files)

    def described(self) -> dict[str, Any]:
        """Return all settings."""
        return self._settings.model_dump()


class VLLM(EngineKind):
    """In this process, on vLLM: the fields of `engines.vllm_engine.VLLMSettings`. Not run on a GPU yet."""

    reads_adapters = True
    package = "a model on vLLM needs the package {name!r}: pip install -e '.[gpu]'"

    def __init__(self, **settings: Any) -> None:
        self._settings = VLLMSettings(kind="vllm", **settings)

    def load(self, directory: Path) -> TextEngine:
        """Return the engine; an adapter is merged into its backbone, in a temporary folder."""
        reference = reference_to(directory)
        place = reference.directory()
        if is_adapter(place):
            return VLLMEngine.merged(load_model(directory), self._settings)
        return VLLMEngine(place, self._settings, reference.layout)

    def described(self) -> dict[str, Any]:
        """Return all settings."""
        return self._settings.model_dump(exclude={"kind"})


class _RaySettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    worker: EngineSettings
    cluster: ClusterSettings
    scratch: Path = Field(description="folder for what was answered, seen by every machine; deleted as you like")


class Ray(EngineKind):
    """On the machines of a running Ray cluster, whose disk holds the model under the same path.

    `worker` is the engine of each worker, `transformers` or `vllm`; `cluster` has the fields of
    `engines.ray_settings.ClusterSettings`; `scratch` is a folder that every machine sees.
    """

    package = (
        "a model on a cluster needs the package {name!r} on every machine: pip install -c constraints.txt "
        "-e '.[cluster]'"
    )

    def __init__(self, **settings: Any) -> None:
        self._settings = _RaySettings.model_validate(settings)

    def load(self, directory: Path) -> TextEngine:
        """Return the engine; no cluster is asked yet."""
        from cai_kedro.engines.ray_engine import RayEngine  # noqa: PLC0415 - an extra that not every run needs

        settings = self._settings
        return RayEngine(reference_to(directory), settings.worker, settings.cluster, settings.scratch)

    def check(self) -> str | None:
        """Join the cluster; tell whether no worker has room there."""
        from cai_kedro.engines.ray_cluster import ClusterError, connect  # noqa: PLC0415

        try:
            connect(self._settings.cluster)
        except ClusterError as error:
            return str(error)
        return None

    def described(self) -> dict[str, Any]:
        """Return worker and cluster."""
        return self._settings.model_dump(mode="json", exclude={"scratch"})


class Server(EngineKind):
    """On a server that speaks OpenAI's protocol: the fields of `engines.server_settings.ServerSettings`.

    `credentials` names an entry of conf/local/credentials.yml with one `api_key`. No file is read.
    """

    reads_files = False
    package = "a model on a server needs the package {name!r}: pip install -c constraints.txt -e '.[client]'"

    def __init__(self, *, credentials: Mapping[str, str] | None = None, **settings: Any) -> None:
        self._settings = ServerSettings.model_validate(settings)
        if credentials is not None and set(credentials) != {"api_key"}:
            raise DatasetError(
                f"the credentials of a model on a server are one `api_key`, got {', '.join(map(repr, credentials))}"
            )
        self._api_key = credentials["api_key"] if credentials else None

    def load(self, directory: Path) -> TextEngine:
        """Return the engine, whatever the directory; nothing is sent yet."""
        from cai_kedro.engines.openai_engine import OpenAIEngine  # noqa: PLC0415 - an extra that not every run needs

        return OpenAIEngine(self._settings, self._api_key)

    def check(self) -> str | None:
        """Ask the server for a little; tell what it does not do that the entry says."""
        from cai_kedro.engines.openai_engine import OpenAIEngine  # noqa: PLC0415
        from cai_kedro.engines.server import ServerError  # noqa: PLC0415

        try:
            OpenAIEngine(self._settings, self._api_key).check()
        except ServerError as error:
            return str(error)
        return None

    @property
    def server(self) -> tuple[str, ...] | None:
        """Address and name of the model."""
        return self._settings.address, self._settings.model

    def described(self) -> dict[str, Any]:
        """Return where the model is."""
        return self._settings.model_dump(include={"base_url", "model", "api", "logprobs"})


KINDS: Mapping[str, type[EngineKind]] = {"transformers": Transformers, "vllm": VLLM, "ray": Ray, "server": Server}


def engine_kind(engine: Mapping[str, Any]) -> EngineKind:
    """Return what `engine: {kind: …}` stands for; raises `DatasetError` for a kind or a setting that is none."""
    settings = dict(engine) if isinstance(engine, Mapping) else {}
    kind = settings.pop("kind", None)
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(KINDS)}"
        raise DatasetError(f"the engine's kind is {kind!r}; {hint}; it stands in the entry or in globals.yml")
    try:
        return KINDS[kind](**settings)
    except ValidationError as error:  # somebody may have put a key where a server's setting belongs
        faults = entry_faults(error, values=kind != "server")
        raise DatasetError(f"the engine's {faults}; correct the entry or globals.yml") from None
