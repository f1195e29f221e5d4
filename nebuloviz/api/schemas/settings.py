"""The installation's settings: their fields are the entries of `InstallationSettings`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, create_model

from nebuloviz.api.schemas.base import Incoming, Outgoing, Text
from nebuloviz.services.interfaces.installation import ENTRIES
from nebuloviz.services.setting_entries import Entry


def _described(entry: Entry) -> str:
    """Label and meaning in English, which the OpenAPI document is in."""
    return " ".join(part for part in (f"{entry.label.message}. {entry.help.message}", entry.kind.rule) if part)


def _change_fields() -> dict[str, Any]:
    return {
        name: (entry.kind.json_type | None, Field(None, description=_described(entry)))
        for name, entry in ENTRIES.items()
    }


def _value_fields() -> dict[str, Any]:
    return {name: (entry.kind.json_type, Field(description=_described(entry))) for name, entry in ENTRIES.items()}


_Change: Any = create_model("_Change", __base__=Incoming, **_change_fields())
_Values: Any = create_model("_Values", __base__=Outgoing, **_value_fields())


class SettingsChange(_Change):
    """What is left out stays; null takes a decision back."""


class SettingsValues(_Values):
    """What is in force. Of a secret only whether there is one."""


class SettingsItem(Outgoing):
    """The installation's settings; `version` goes up with every change."""

    version: int
    values: SettingsValues
    fixed: list[str] = Field(description="What the environment decides: it cannot be changed here.")
    stored: list[str] = Field(description="What administrators have decided otherwise than it is by default.")


class TestMail(Incoming):
    to: Annotated[Text, Field(min_length=3, max_length=254)]
