"""Damaged model directories: whatever bytes change, the directory is named, or what is read is what was there."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model

FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
#: What a hand or a disk does to a file: bytes that are lost, doubled, overwritten, or a JSON value of another kind.
_EDITS = st.tuples(
    st.sampled_from(["cut", "drop", "overwrite", "value"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=3)
)


@pytest.fixture(scope="module")
def saved(_tiny_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("fuzz") / "m"
    save_language_model(_tiny_lm, directory)
    return directory


def _edited(content: bytes, how: str, place: int, written: bytes) -> bytes:
    at = place % len(content)
    if how == "cut":
        return content[:at]
    if how == "drop":
        return content[:at] + content[at + len(written) :]
    if how == "overwrite":
        return content[:at] + written + content[at + len(written) :]
    values = list(re.finditer(rb'(?<=[:,\[]) ?("[^"\n]*"|[\d.]+|true|false|null)', content[:20000]))
    chosen = values[place % len(values)]
    value = (b"null", b'"x"', b"-1", b"[]", b"{}", b"1e9")[written[0] % 6]
    return content[: chosen.start()] + value + content[chosen.end() :]


@given(file=st.sampled_from(FILES), edit=_EDITS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_directory_is_named_or_read_as_it_is(saved: Path, file: str, edit: tuple[str, int, bytes]) -> None:
    content = (saved / file).read_bytes()
    try:
        (saved / file).write_bytes(_edited(content, *edit))
        try:
            lm = load_language_model(saved)
        except ValueError as error:
            assert str(saved) in str(error)  # noqa: PT017 - the damage may also change nothing
            assert "\n" not in str(error).strip()  # noqa: PT017
        else:
            assert lm.tokenizer.pad_token_id not in (None, lm.tokenizer.eos_token_id)
            assert all(bool(torch.isfinite(weight).all()) for weight in lm.model.parameters())
    finally:
        (saved / file).write_bytes(content)


@given(edit=_EDITS)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_damaged_header_of_the_weights_is_named(
    saved: Path,
    _tiny_lm: LanguageModel,  # noqa: PT019 - its weights are compared
    edit: tuple[str, int, bytes],
) -> None:
    file = saved / "model.safetensors"
    content = file.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    try:
        file.write_bytes(_edited(content[:header], *edit) + content[header:])
        try:
            lm = load_language_model(saved)
        except ValueError as error:
            assert str(saved) in str(error)  # noqa: PT017 - the damage may also change nothing
        else:  # an edit that says the same
            own = _tiny_lm.model.state_dict()
            assert all(weight.shape == own[name].shape for name, weight in lm.model.state_dict().items())
    finally:
        file.write_bytes(content)
