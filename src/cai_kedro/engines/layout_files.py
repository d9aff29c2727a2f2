"""The layout of a model directory: what its `layout.json` says, else what its tokenizer's chat template says."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.conversation import Message, as_prompt, assistant, system, user
from cai_kedro.core.layouts.base import Layout, LayoutChoice, LayoutKind, TurnsRefusedError
from cai_kedro.core.layouts.chat import ChatLayout, Template
from cai_kedro.core.layouts.hh import HH
from cai_kedro.core.strict_files import json_object
from cai_kedro.engines.text_ids import control_pattern

LAYOUT_FILE = "layout.json"

_TRIED = [user("Say it."), assistant("So."), user("And?")]
_LAST_WORD = "Well."

#: A template must write the same on every day, and no thoughts of its own in front of an answer.
_PINS = {
    "strftime_now": (
        "{%- macro strftime_now(form) -%}{{ form | replace('%d', '26') | replace('%b', 'Jul') | replace('%B', 'July')"
        " | replace('%m', '07') | replace('%Y', '2024') }}{%- endmacro -%}"
    ),
    "enable_thinking": "{%- set enable_thinking = false -%}",
}


def read_layout(directory: Path) -> LayoutChoice:
    """Return the layout that a model directory names, `auto` if none; raises `ValueError` for another name."""
    file = directory / LAYOUT_FILE
    if not file.is_file():
        return "auto"
    named: Any = json_object(file).get("layout")
    if named not in get_args(LayoutKind):
        raise ValueError(f"{file} names the layout {named!r}; expected {' or '.join(get_args(LayoutKind))}")
    kind: LayoutKind = named
    return kind


def write_layout(layout: Layout, directory: Path) -> None:
    """Write the name of a layout beside the weights; its template lies with the tokenizer."""
    (directory / LAYOUT_FILE).write_text(json.dumps({"layout": layout.kind}) + "\n", encoding="utf-8")


def layout_of(tokenizer: PreTrainedTokenizerBase, choice: LayoutChoice, where: Path) -> Layout:
    """Return the layout of a model, and give the tokenizer its template, in place.

    Raises `ValueError` where a chat layout cannot be made of the tokenizer's template; `where` is for the error.
    """
    template = _template(tokenizer)
    if choice == "hh" or (choice == "auto" and (template is None or _writes_hh(tokenizer, template, where))):
        tokenizer.chat_template = HH.template
        return HH
    if template is None:
        raise ValueError(
            f"the tokenizer in {where} has no chat template, so its model cannot be asked in the layout `chat`; set "
            f"base_model.layout to hh, or put the template that the model was trained on into the directory "
            f"(chat_template.jinja)"
        )
    layout = _chat_layout(tokenizer, _pinned(template), where)
    tokenizer.chat_template = layout.template
    return layout


def _template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    named: Any = tokenizer.chat_template
    return named.get("default") if isinstance(named, dict) else named


def _writes_hh(tokenizer: PreTrainedTokenizerBase, template: str, where: Path) -> bool:
    """Tell whether a template is the Human/Assistant layout, with or without a BOS in front."""
    try:
        text = _writer(tokenizer, template)(_TRIED, True)
    except Exception as error:
        raise _useless(where, f"it cannot be filled in ({error})") from error
    return text.removeprefix(tokenizer.bos_token or "") == as_prompt(_TRIED)


def _pinned(template: str) -> str:
    pins = [pin for name, pin in _PINS.items() if name in template and not template.startswith(tuple(_PINS.values()))]
    return "".join(pins) + template


def _writer(tokenizer: PreTrainedTokenizerBase, template: str) -> Template:
    def write(messages: Sequence[Message], opened: bool) -> str:
        try:
            text: Any = tokenizer.apply_chat_template(
                [{"role": turn["role"], "content": turn["content"]} for turn in messages],
                chat_template=template,
                tokenize=False,
                add_generation_prompt=opened,
            )
        except TemplateError as error:
            roles = ", ".join(turn["role"] for turn in messages)
            raise TurnsRefusedError(
                f"the model's chat template refuses a conversation of the turns {roles} ({error}); take the "
                f"conversation out, or set base_model.layout to hh"
            ) from error
        return str(text)

    return write


def _chat_layout(tokenizer: PreTrainedTokenizerBase, template: str, where: Path) -> ChatLayout:
    """Find out what a template does with the turns that matter."""
    write = _writer(tokenizer, template)
    try:
        opened = write([user("Say it.")], True)
        whole = write([user("Say it."), assistant(_LAST_WORD)], False)
    except Exception as error:
        raise _useless(where, f"it cannot be filled in ({error})") from error
    if "Say it." not in opened:
        raise _useless(where, "it does not write what the user says")
    if _LAST_WORD not in whole:
        raise _useless(where, "it does not write what the assistant says")
    control = control_pattern(tokenizer)
    before, _, behind = whole.rpartition(_LAST_WORD)
    ended = control.search(behind)
    return ChatLayout(
        template=template,
        control=control,
        turn_end=ended[0] if ended else None,
        lead=before[len(opened) :] if before.startswith(opened) else "",
        takes_system=_takes_system(write),
        write=write,
    )


def _takes_system(write: Template) -> bool:
    try:
        return "Be kind." in write([system("Be kind."), user("Say it.")], True)
    except ValueError:
        return False


def _useless(where: Path, fault: str) -> ValueError:
    return ValueError(
        f"the chat template of the tokenizer in {where} is of no use: {fault}; correct it, or set base_model.layout to "
        f"hh, and the model is asked in the layout of base models"
    )
