"""What the parts of a configuration are made of."""

from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)


def _resolve(path: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the configuration file, not to whoever starts the worker."""
    return Path(info.context["directory"]) / path if info.context else path


def _text(value: object) -> object:
    """Pydantic reads a path from JSON as text only, and checks a default as if it were JSON."""
    return str(value) if isinstance(value, Path) else value


FilePath = Annotated[Path, BeforeValidator(_text), AfterValidator(_resolve)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,99}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@?#]+(/[^\s@?#]*)?$")]
PhoneNumber = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{6,14}$")]
Probability = Annotated[float, Field(gt=0, lt=1)]
Age = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,4}[hdwy]$")]
Seconds = Annotated[float, Field(gt=0, le=60)]


class Model(BaseModel):
    """What all parts of a configuration have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)
