"""The section `residency` of a configuration: where each data class may go, deny by default."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trunkline.config.shapes import Model, Name, Text
from trunkline.core.residency import DAY_S
from trunkline.types import ClassPolicy, DataClass, ResidencyPolicy

TransferTool = Literal["adequacy", "scc", "dpf", "bcr"]
"""GDPR chapter V: an adequacy decision (45), standard contractual clauses (46), the EU-US Data
Privacy Framework (45, for those certified), binding corporate rules (47)."""

_UNITS_S = {"h": 3600.0, "d": DAY_S, "w": 7 * DAY_S, "y": 365 * DAY_S}
_LENGTH = re.compile(r"([0-9]{1,5})(h|d|w|y)")


def length_s(text: str) -> float:
    """The seconds of `none`, `24h`, `30d`, `4w`, `1y`; infinite for any other text."""
    if text == "none":
        return 0.0
    found = _LENGTH.fullmatch(text)
    return math.inf if found is None else int(found[1]) * _UNITS_S[found[2]]


def _length(text: str) -> str:
    if math.isinf(length_s(text)):
        raise ValueError("not a length of time")
    return text


Length = Annotated[str, AfterValidator(_length)]


class ClassConfig(Model):
    """Where one data class may go. What is left out is the strictest."""

    jurisdictions: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="a list of whose law may apply, such as EU; none: what leaves no premises"
    )
    regions: tuple[Text, ...] | None = Field(
        default=None, description="a list of regions; null: all of these jurisdictions"
    )
    kinds: tuple[Literal["managed", "self_hosted", "customer_vpc"], ...] = Field(
        default=("self_hosted",), description="a list of managed, self_hosted and customer_vpc"
    )
    retention_max: Length = Field(
        default="none", description="how long a processor may keep it: none, 24h, 30d, 4w, 1y"
    )
    training: bool = Field(
        default=False, description="true if a processor may learn from it, or false"
    )
    dpa: bool = Field(
        default=True, description="true if whoever processes it must have signed a DPA, or false"
    )
    phi: bool = Field(
        default=False, description="true if it holds health data, which needs a BAA, or false"
    )
    transfer_tools: tuple[TransferTool, ...] = Field(
        default=(), description="a list of adequacy, scc, dpf, bcr: what a transfer may rest on"
    )


class ResidencyConfig(Model):
    """Where data may go. A class that is not named goes nowhere."""

    home: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="a list of the jurisdictions that need no transfer tool, such as EU"
    )
    carrier: Name | None = Field(
        default=None, description="the zone of the carrier, which has the call's audio; or null"
    )
    classes: Mapping[DataClass, ClassConfig] = Field(
        description="a mapping of data classes to where they may go"
    )


def policy(config: ResidencyConfig | None) -> ResidencyPolicy | None:
    """What `core.residency` decides by."""
    if config is None:
        return None
    classes = {name: _class(it) for name, it in config.classes.items()}
    return ResidencyPolicy(frozenset(config.home), classes)


def _class(config: ClassConfig) -> ClassPolicy:
    return ClassPolicy(
        jurisdictions=frozenset(config.jurisdictions),
        kinds=frozenset(config.kinds),
        retention_max_s=length_s(config.retention_max),
        regions=None if config.regions is None else frozenset(config.regions),
        training=config.training,
        dpa=config.dpa,
        baa=config.phi,
        transfer_tools=frozenset(config.transfer_tools),
    )
