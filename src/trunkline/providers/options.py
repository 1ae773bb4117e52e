"""Options of an endpoint, checked at construction: unknown and bad ones are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.config.checks import did_you_mean
from trunkline.errors import InputError


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number from *low* to *high*; whole if *default* is an int."""

    default: float
    low: float
    high: float
    unit: str


class Options:
    """The options of endpoint *endpoint*, read one by one; `done` refuses what was not read.

    *taken*: the names of those that somebody else has read before.
    """

    def __init__(
        self, endpoint: str, options: Mapping[str, object], taken: Sequence[str] = ()
    ) -> None:
        self._endpoint, self._left = endpoint, dict(options)
        self._known = list(taken)

    def text(self, name: str, default: str) -> str:
        """A text that is not empty."""
        value = self._take(name, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, value, "Use a text")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text that is not empty, None if it is not given."""
        if name in self._left:
            return self.text(name, "")
        self._known.append(name)
        return None

    def texts(self, name: str) -> Sequence[str]:
        """A list of texts; none, if it is not given."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(it, str) and it for it in value):
            raise self._wrong(name, value, "Use a list of texts")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of *choices*, the first if it is not given."""
        value = self._take(name, choices[0])
        if not isinstance(value, str) or value not in choices:
            raise self._wrong(name, value, f"Use one of {', '.join(choices)}")
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        """A mapping by names; empty, if it is not given."""
        value = self._take(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(it, str) for it in value):
            raise self._wrong(name, value, "Use a mapping")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "Use true or false")
        return value

    def number(self, name: str, bounds: Bounds) -> float:
        """A number within *bounds*."""
        value = self._take(name, bounds.default)
        whole = isinstance(bounds.default, int)
        right = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not right or not bounds.low <= value <= bounds.high:  # type: ignore[operator]  # checked
            kind = "whole number" if whole else "number"
            raise self._wrong(
                name, value, f"Use a {kind} from {bounds.low:g} to {bounds.high:g} ({bounds.unit})"
            )
        return value  # type: ignore[return-value]  # checked above

    def optional(self, name: str, bounds: Bounds) -> float | None:
        """A number within *bounds*, None if it is not given."""
        if name in self._left:
            return self.number(name, bounds)
        self._known.append(name)
        return None

    def whole(self, name: str, bounds: Bounds) -> int:
        """A whole number within *bounds*."""
        return int(self.number(name, bounds))

    def done(self) -> None:
        """Refuse the options that nothing has read."""
        if self._left:
            mend = did_you_mean(min(self._left), self._known)
            if not mend.startswith("Did"):
                mend = f"It knows {', '.join(sorted(self._known))}"
            raise InputError(
                f"{self._endpoint}: unknown options {', '.join(sorted(self._left))}. {mend}"
            )

    def _take(self, name: str, default: object) -> object:
        self._known.append(name)
        return self._left.pop(name, default)

    def _wrong(self, name: str, value: object, mend: str) -> InputError:
        return InputError(f"{self._endpoint}: option {name} is {value!r}. {mend}")
