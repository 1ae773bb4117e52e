"""Reading a configuration: every error of the file at once, each with its line and its mend."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trunkline.config.borders import refusals
from trunkline.config.checks import check, did_you_mean, is_secret
from trunkline.config.models import Config
from trunkline.config.tree import Loc, Source, Tree, dotted, read
from trunkline.errors import ConfigError

Shape = TypeVar("Shape", bound=BaseModel)


class ConfigErrors(ConfigError):
    """Several errors of one file: it stands where the first does and prints them all."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.path, first.line, first.what, first.mend)
        self.args = ("\n".join(str(error) for error in self.errors),)


def load(path: Path | str) -> Config:
    """Read the configuration at *path*; `ConfigError` says what is wrong, at which line."""
    return parse(read_text(path), path)


def read_text(path: Path | str) -> str:
    """The text of the file at *path*, which `ConfigError` says if there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        what = f"the file cannot be read: {error.strerror or error}"
        raise ConfigError(path, None, what, "Check the path and its permissions") from error
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8"
        raise ConfigError(path, None, what, "Save the file as UTF-8 text") from error


def parse(text: str, path: Path | str) -> Config:
    """Check *text*, which was read from *path*: relative paths in it start beside that file.

    Beside the name it was opened by: a link to a shared file has its own records.
    """
    tree, source, errors = _mapping(text, path, "trunkline.yaml is an example")
    # A part that is left out would be built without the context, hence its default path, too.
    whole: dict[str, Tree] = {"records": {}} | tree
    config = _shaped(Config, whole, source, path, errors)
    errors += check(tree, source)
    if config is not None and not errors:
        config._source = source
        errors += refusals(config)
        if not errors:
            return config
    raise _all(errors)


def parse_as(shape: type[Shape], text: str, path: Path | str, example: str) -> tuple[Shape, Source]:
    """*text*, which was read from *path*, as another kind of file than a configuration.

    The same YAML, the same errors: all at once, each with its line and its mend. *example* ends the
    message for a file that is no mapping at all. The `Source` says where in the file things stand.
    """
    tree, source, errors = _mapping(text, path, example)
    found = _shaped(shape, tree, source, path, errors)
    if found is None or errors:
        raise _all(errors)
    return found, source


def _mapping(
    text: str, path: Path | str, example: str
) -> tuple[dict[str, Tree], Source, list[ConfigError]]:
    tree, source, errors = read(text, str(path))
    if not isinstance(tree, dict):
        what = "the file is not a mapping" if text.strip() else "the file is empty"
        raise source.error((), what, f"Begin with `version: 1`; {example}")
    return tree, source, errors


def _shaped(
    shape: type[Shape],
    tree: Mapping[str, Tree],
    source: Source,
    path: Path | str,
    errors: list[ConfigError],
) -> Shape | None:
    """*tree* as a *shape*; what is wrong with it is added to *errors*."""
    try:
        # JSON mode is strict about types and still takes a list for a tuple and text for a path.
        context = {"directory": Path(path).absolute().parent}
        return shape.model_validate_json(json.dumps(tree), context=context)
    except ValidationError as invalid:
        details = invalid.errors(include_url=False, include_context=False, include_input=False)
        errors += [_explain(it, source, shape) for it in details if not _said_by_check(it)]
    return None


def _all(errors: list[ConfigError]) -> ConfigError:
    errors.sort(key=lambda error: error.line or 0)
    return errors[0] if len(errors) == 1 else ConfigErrors(errors)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration, for editors."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Trunkline"}
    return Config.model_json_schema() | dialect


def _said_by_check(detail: ErrorDetails) -> bool:
    """A literal key is an unknown key too; `checks` says the more useful half."""
    key = detail["loc"][-1] if detail["loc"] else ""
    return detail["type"] == "extra_forbidden" and isinstance(key, str) and is_secret(key)


def _explain(detail: ErrorDetails, source: Source, shape: type[BaseModel]) -> ConfigError:
    kind, loc = detail["type"], tuple(part for part in detail["loc"] if part != "[key]")
    model, field = _described(loc, shape)
    name, parent = (loc[-1], dotted(loc[:-1])) if loc else ("", "")
    about = "" if field is None else field.description or ""
    if kind == "extra_forbidden" and model is not None:
        what = f"{parent}: unknown key {name!r}"
        return source.error(loc, what, did_you_mean(str(name), model.model_fields))
    if kind == "missing":
        return source.error(loc, f"{parent}: {name!r} is missing", f"Add `{name}:`, {about}")
    if "[key]" in detail["loc"]:
        what = f"{parent}: {name!r} is not a good name"
        return source.error(loc, what, "Use a-z, 0-9, _ and -, a letter first, 64 at most")
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    if kind == "string_pattern_mismatch":
        message = "is not of the right form"  # a regular expression helps nobody at night
    message = message.removeprefix("input ").replace(" after validation", "")
    what = f"{dotted(loc)}: {message}"
    return source.error(loc, what, f"Write {about}" if about else "See trunkline.yaml")


def _described(loc: Loc, shape: type[BaseModel]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model that holds the last key of *loc*, and the nearest field that describes it."""
    here: Any = shape
    model: type[BaseModel] | None = None
    field: FieldInfo | None = None
    for part in loc:
        model = None
        if get_origin(here) in (Union, UnionType):  # a part that may be null
            here = next(a for a in get_args(here) if a is not type(None))
        if isinstance(here, type) and issubclass(here, BaseModel):
            model = here
            found = here.model_fields.get(str(part))
            here = None if found is None else found.annotation
            field = found or field
        else:
            here = _inside(here)
    return model, field


def _inside(annotation: Any) -> Any:
    """What a mapping or tuple of this annotation holds."""
    if get_origin(annotation) in (Union, UnionType):
        return _inside(next(a for a in get_args(annotation) if a is not type(None)))
    held = [a for a in get_args(annotation) if a is not Ellipsis]
    if not held:
        return None
    return held[-1] if get_origin(annotation) in (Mapping, tuple) else _inside(held[0])
