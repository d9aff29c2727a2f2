"""A language model on a server as nodes sample from it and read its log-probabilities: `X.model@engine`."""

from collections.abc import Mapping
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from pydantic import ValidationError

from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.engines.base import TextEngine


class ServerEngineDataset(AbstractDataset[NoReturn, TextEngine]):
    """A text engine on a server that speaks OpenAI's protocol (extra `client`). Read only.

    Nothing is sent before a node asks, but by `check`, which the checks before a run call.
    """

    def __init__(
        self, *, credentials: Mapping[str, str] | None = None, metadata: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        """Raises `DatasetError` if the extra is not installed, or for a setting that is wrong, missing or unknown.

        Args:
            credentials: `api_key`, from conf/local/credentials.yml; None for a server that wants no key.
            metadata: for plugins such as kedro-viz.
            settings: the fields of `engines.server.ServerSettings`.
        """
        try:
            from cai_kedro.engines.server import ServerSettings  # noqa: PLC0415 - an extra that not every run needs
        except ModuleNotFoundError as error:
            raise DatasetError(
                f"a model on a server needs the package {error.name!r}: pip install -c constraints.txt -e '.[client]'"
            ) from error
        try:
            self._settings = ServerSettings(**settings)
        except ValidationError as error:
            raise DatasetError(f"the entry of a model on a server: {entry_faults(error, values=False)}") from None
        if credentials is not None and set(credentials) != {"api_key"}:
            raise DatasetError(
                f"the credentials of a model on a server are one `api_key`, got {', '.join(map(repr, credentials))}"
            )
        self._api_key = credentials["api_key"] if credentials else None
        self.metadata = metadata

    def load(self) -> TextEngine:
        """Return an engine; nothing is sent yet."""
        from cai_kedro.engines.openai_engine import OpenAIEngine  # noqa: PLC0415

        return OpenAIEngine(self._settings, self._api_key)

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: the model belongs to the server."""
        raise DatasetError(f"the model {self._settings.model!r} is read from a server; save a model as @checkpoint")

    def check(self) -> str | None:
        """Ask the server for a little; return what is wrong with it, None if it does what the entry says."""
        from cai_kedro.engines.openai_engine import OpenAIEngine  # noqa: PLC0415
        from cai_kedro.engines.server import ServerError  # noqa: PLC0415

        try:
            OpenAIEngine(self._settings, self._api_key).check()
        except ServerError as error:
            return str(error)
        return None

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return self._settings.model_dump(include={"base_url", "model", "api", "logprobs"})
