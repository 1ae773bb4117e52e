"""The vocabulary of faults as data, and the course of a stream that suffers one.

A `FaultScript` says how a provider fails and when; `course` turns it, with a `TokenTiming`, into
the steps of one response. The local servers play the steps on sockets, simulated stages play the
same steps in virtual time: so a fault means the same in both.

    {"kind": "stall", "after_tokens": 12, "match": "appointment", "hold_s": 5}

Whole scripts, over several endpoints and calls, are `trunkline.testing.fault_plan`.

============== ==================================================================================
refuse         nobody listens: connections are refused, open ones are closed
status         answers with `status` and `body` (and `retry_after_s`) instead of a stream
hang           takes the request and never says a byte
headers_only   sends the response headers and nothing more
keepalives     sends comments every `gap_s` and never a token
stall          says `after_tokens` tokens, then nothing more; the connection stays up
freeze         the same, but the whole process stops (SIGSTOP): no other request is answered either
drip           says `after_tokens` tokens, then one every `gap_s`
cut            says `after_tokens` tokens, then resets the connection
truncate       says `after_tokens` tokens, then ends the stream cleanly, without a finish_reason
malformed      says `after_tokens` tokens, then something that is not JSON
error_inside   says `after_tokens` tokens, then an error inside the stream, whose status was 200
content_filter says `after_tokens` tokens, then finishes with the reason content_filter
empty          finishes properly without having said anything
============== ==================================================================================
"""

import json
import math
import random
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum, auto
from itertools import chain, islice, repeat
from pathlib import Path

from trunkline.errors import InputError
from trunkline.testing.laws import TokenTiming

TOKENS_MAX = 100_000
"""No answer is longer; the search for a moment in one ends here."""


class FaultKind(StrEnum):
    """How a provider fails: see the table at the top of this file."""

    REFUSE = auto()
    STATUS = auto()
    HANG = auto()
    HEADERS_ONLY = auto()
    KEEPALIVES = auto()
    STALL = auto()
    FREEZE = auto()
    DRIP = auto()
    CUT = auto()
    TRUNCATE = auto()
    MALFORMED = auto()
    ERROR_INSIDE = auto()
    CONTENT_FILTER = auto()
    EMPTY = auto()


_WHEN = frozenset({"on_request", "on_turn", "match", "share", "from_s", "to_s"})
_WHERE = frozenset({"after_tokens", "after_s"})
_OPTIONS: Mapping[FaultKind, frozenset[str]] = {
    # No request reaches a listener that is closed, so there is no text to match.
    FaultKind.REFUSE: frozenset({"on_request", "hold_s", "from_s", "to_s"}),
    FaultKind.STATUS: _WHEN | {"status", "body", "retry_after_s"},
    FaultKind.HANG: _WHEN | {"hold_s"},
    FaultKind.HEADERS_ONLY: _WHEN | {"hold_s"},
    FaultKind.KEEPALIVES: _WHEN | {"hold_s", "gap_s"},
    FaultKind.STALL: _WHEN | _WHERE | {"hold_s"},
    FaultKind.FREEZE: _WHEN | _WHERE,
    FaultKind.DRIP: _WHEN | _WHERE | {"gap_s"},
    FaultKind.CUT: _WHEN | _WHERE,
    FaultKind.TRUNCATE: _WHEN | _WHERE,
    FaultKind.MALFORMED: _WHEN | _WHERE,
    FaultKind.ERROR_INSIDE: _WHEN | _WHERE | {"body"},
    FaultKind.CONTENT_FILTER: _WHEN | _WHERE,
    FaultKind.EMPTY: _WHEN,
}


@dataclass(frozen=True, slots=True)
class FaultScript:
    """One fault and the requests that it strikes.

    Those are request number *on_request* (from 1), those of turn *on_turn* of a call (from 1: the
    number of the caller's messages in the prompt), those whose last user message contains *match*
    (whatever the case), those that come in the seconds from *from_s* until *to_s* of the server's
    or the simulation's life, and of these a *share*. What is given must hold together; with
    nothing given it is every one.

    *after_tokens*, or *after_s* (seconds after the first token; the fault then strikes at the first
    token that would come later): where in the answer it strikes. *hold_s*: the provider recovers
    after that many seconds and goes on (None: it never does). *gap_s*: seconds between comments or
    dripped tokens. An option that the kind does not know is an `InputError`, as is one out of
    range.
    """

    kind: FaultKind
    on_request: int | None = None
    match: str | None = None
    after_tokens: int = 0
    hold_s: float | None = None
    gap_s: float = 1.0
    status: int = 500
    body: str = '{"error":{"message":"scripted fault","type":"server_error","code":null}}'
    retry_after_s: float | None = None
    on_turn: int | None = None
    share: float = 1.0
    from_s: float = 0.0
    to_s: float | None = None
    after_s: float | None = None

    def __post_init__(self) -> None:
        for option in fields(self)[1:]:
            if option.name not in _OPTIONS[self.kind]:
                _check(getattr(self, option.name) == option.default, self.kind, option.name)
        self._check_ranges()
        if self.gap_s == 0:
            raise InputError(f"fault {self.kind}: gap_s is 0: comments without a pause are a flood")
        if self.to_s is not None and self.to_s <= self.from_s:
            raise InputError(f"fault {self.kind}: to_s is {self.to_s}: not after from_s")
        if self.after_s is not None and self.after_tokens:
            raise InputError(f"fault {self.kind}: give after_tokens or after_s, not both")

    def _check_ranges(self) -> None:
        for name in ("on_request", "on_turn"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise InputError(f"fault {self.kind}: {name} counts from 1, not {count}")
        if not 400 <= self.status <= 599:
            raise InputError(
                f"fault {self.kind}: status is {self.status}: give one from 400 to 599"
            )
        for name in (
            "after_tokens",
            "after_s",
            "hold_s",
            "gap_s",
            "retry_after_s",
            "from_s",
            "to_s",
        ):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"fault {self.kind}: {name} is {value}: it must be 0 or more")
        if not 0 < self.share <= 1:
            raise InputError(f"fault {self.kind}: share is {self.share}: more than 0, at most 1")

    @classmethod
    def parse(cls, raw: object, *, where: str = "fault") -> "FaultScript":
        """The script in a mapping from YAML or JSON; `InputError` says what is wrong at *where*."""
        if not isinstance(raw, Mapping) or "kind" not in raw:
            raise InputError(f"{where}: give a mapping with a `kind`, like {{kind: stall}}")
        kinds = [kind.value for kind in FaultKind]
        if raw["kind"] not in kinds:
            raise InputError(
                f"{where}: there is no fault {raw['kind']!r}. Choose one of: {', '.join(kinds)}"
            )
        kind = FaultKind(raw["kind"])
        values: dict[str, object] = {}
        for name in raw:
            if name == "kind":
                continue
            _check(name in _OPTIONS[kind], kind, str(name), where)
            values[name] = _typed(f"{where}: fault {kind}: {name}", name, raw[name])
        try:
            return cls(kind, **values)  # type: ignore[arg-type]  # each was checked by _typed
        except InputError as error:
            raise InputError(f"{where}: {error}") from None

    def strikes(
        self, ordinal: int, last_user: str, *, turn: int = 1, at_s: float = 0.0, lot: float = 0.0
    ) -> bool:
        """Whether it strikes request number *ordinal* (from 1) that asks *last_user*.

        *turn* is its turn in the call, *at_s* when it came, *lot* what it drew from 0 to 1.
        """
        return (
            (self.on_request in {None, ordinal})
            and (self.on_turn in {None, turn})
            and (self.match is None or self.match.casefold() in last_user.casefold())
            and self.from_s <= at_s
            and (self.to_s is None or at_s < self.to_s)
            and lot < self.share
        )


def _check(known: bool, kind: FaultKind, option: str, where: str = "") -> None:
    if not known:
        at = f"{where}: " if where else ""
        options = ", ".join(sorted(_OPTIONS[kind]))
        raise InputError(f"{at}fault {kind} has no option {option!r}. It knows: {options}")


_TYPES: Mapping[str, tuple[type, ...]] = {
    "on_request": (int,),
    "match": (str,),
    "after_tokens": (int,),
    "hold_s": (int, float),
    "gap_s": (int, float),
    "status": (int,),
    "body": (str,),
    "retry_after_s": (int, float),
    "on_turn": (int,),
    "share": (int, float),
    "from_s": (int, float),
    "to_s": (int, float),
    "after_s": (int, float),
}


def _typed(where: str, name: str, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, _TYPES[name]):  # True is an int to Python
        wanted = {int: "a whole number", str: "text"}.get(_TYPES[name][0], "a number")
        wanted = "a number" if float in _TYPES[name] else wanted
        raise InputError(f"{where} is {value!r}: give {wanted}")
    return value


def struck(
    faults: Sequence[FaultScript],
    ordinal: int,
    last_user: str,
    *,
    turn: int,
    at_s: float,
    seed: int,
) -> FaultScript | None:
    """The first of *faults* that befalls a request, but for refusals: those it never reached.

    As in `FaultScript.strikes`; every fault draws its own lot from *seed* and the request's number.
    """
    for place, fault in enumerate(faults):
        lot = lot_of(seed, ordinal, place)
        if fault.kind is not FaultKind.REFUSE and fault.strikes(
            ordinal, last_user, turn=turn, at_s=at_s, lot=lot
        ):
            return fault
    return None


def lot_of(seed: int, ordinal: int, place: int) -> float:
    """What request *ordinal* draws, from 0 to 1, for the fault at *place* of the list."""
    return random.Random(f"{seed}:{ordinal}:{place}").random()  # noqa: S311  # a simulation


def fault_options(parser: ArgumentParser) -> None:
    """The options of a local server's command line that say what goes wrong."""
    parser.add_argument("--fault", action="append", default=[], help="a fault as JSON; repeatable")
    parser.add_argument("--script", type=Path, help="a fault script: see testing/fault_plan.py")
    parser.add_argument("--endpoint", default="", help="which endpoint of the script this is")
    parser.add_argument("--failure-domain", default="", help="and its failure domain")


def faults_of(options: Namespace, stage: str) -> list[FaultScript]:
    """What those options say, for a server of *stage*; `InputError` says what is wrong with it."""
    faults = [FaultScript.parse(json.loads(fault)) for fault in options.fault]
    if options.script is not None:
        from trunkline.testing.fault_plan import load_plan  # noqa: PLC0415  # half a second, rarely

        plan = load_plan(options.script)
        faults += plan.for_server(options.endpoint, stage, options.failure_domain)
    return faults


class Act(StrEnum):
    """What a provider does next in one response."""

    HEADERS = auto()  # the status 200 and the headers
    ROLE = auto()  # the first chunk, which has no text
    TOKEN = auto()  # the next token
    COMMENT = auto()  # a keep-alive
    STRIKE = auto()  # nothing on the wire: the fault begins here
    ANSWER_STATUS = auto()  # ends: the error response
    GARBAGE = auto()  # ends: something that is not JSON, then the end of the stream
    ERROR = auto()  # ends: the fault's body as an event of the stream, then its end
    FILTER = auto()  # ends: finish_reason content_filter
    STOP_PROCESS = auto()  # SIGSTOP
    RESET = auto()  # ends: the connection
    CLOSE = auto()  # ends: the stream, cleanly, without a finish_reason
    FINISH = auto()  # ends: finish_reason, usage and [DONE]


@dataclass(frozen=True, slots=True)
class Step:
    """Wait *after_s* seconds (`inf`: until the client has gone), then do *act*."""

    act: Act
    after_s: float = 0.0


def course(fault: FaultScript | None, timing: TokenTiming, tokens: int) -> Iterator[Step]:
    """The steps of one response of *tokens* tokens.

    What a fault adds comes on top of the timing: tokens that it does not touch come exactly when
    they would have come without it. `REFUSE` does not show here: there is no response.
    """
    waits: Iterator[float] = chain((timing.ttft_s,), timing.gaps())
    if fault is None or fault.kind is FaultKind.REFUSE:
        yield from (Step(Act.HEADERS), Step(Act.ROLE))
        yield from _rest(waits, tokens)
        return
    hold_s = math.inf if fault.hold_s is None else fault.hold_s
    said = min(_said(fault, timing), tokens)
    yield from _opening(fault.kind, hold_s)
    yield from _tokens(waits, said)
    match fault.kind:
        case FaultKind.STATUS | FaultKind.HANG | FaultKind.HEADERS_ONLY:
            pass  # struck before the first token, in the opening
        case _:
            yield Step(Act.STRIKE)
    match fault.kind:
        case (
            FaultKind.STATUS
            | FaultKind.CUT
            | FaultKind.TRUNCATE
            | FaultKind.MALFORMED
            | FaultKind.ERROR_INSIDE
            | FaultKind.CONTENT_FILTER
            | FaultKind.EMPTY
        ):
            yield Step(_ENDS[fault.kind])
        case FaultKind.KEEPALIVES:
            yield from _comments(fault.gap_s, hold_s)
            yield from _rest(waits, tokens, hold_s % fault.gap_s)
        case FaultKind.STALL:
            yield from _rest(waits, tokens - said, hold_s)
        case FaultKind.DRIP:
            yield from _rest(repeat(fault.gap_s), tokens - said)
        case FaultKind.FREEZE:
            yield Step(Act.STOP_PROCESS)
            yield from _rest(waits, tokens - said)
        case FaultKind.HANG | FaultKind.HEADERS_ONLY:
            yield from _rest(waits, tokens)


_ENDS: Mapping[FaultKind, Act] = {
    FaultKind.STATUS: Act.ANSWER_STATUS,
    FaultKind.CUT: Act.RESET,
    FaultKind.TRUNCATE: Act.CLOSE,
    FaultKind.MALFORMED: Act.GARBAGE,
    FaultKind.ERROR_INSIDE: Act.ERROR,
    FaultKind.CONTENT_FILTER: Act.FILTER,
    FaultKind.EMPTY: Act.FINISH,
}


def _said(fault: FaultScript, timing: TokenTiming) -> int:
    """The tokens that come before the fault strikes."""
    if fault.after_s is None:
        return fault.after_tokens
    count, late_s = 1, 0.0  # the first token comes at second 0
    for gap_s in islice(timing.gaps(), TOKENS_MAX):
        late_s += gap_s
        if late_s > fault.after_s:
            break
        count += 1
    return count


def _opening(kind: FaultKind, hold_s: float) -> Iterator[Step]:
    if kind in {FaultKind.STATUS, FaultKind.HANG}:
        yield Step(Act.STRIKE)
    if kind is FaultKind.STATUS:
        return
    yield Step(Act.HEADERS, hold_s if kind is FaultKind.HANG else 0.0)
    if kind is FaultKind.HEADERS_ONLY:
        yield Step(Act.STRIKE)
    yield Step(Act.ROLE, hold_s if kind is FaultKind.HEADERS_ONLY else 0.0)


def _tokens(waits: Iterator[float], count: int) -> Iterator[Step]:
    return (Step(Act.TOKEN, wait_s) for wait_s in islice(waits, count))


def _comments(gap_s: float, hold_s: float) -> Iterator[Step]:
    comment = Step(Act.COMMENT, gap_s)
    return repeat(comment) if hold_s == math.inf else repeat(comment, int(hold_s // gap_s))


def _rest(waits: Iterator[float], count: int, late_s: float = 0.0) -> Iterator[Step]:
    """The last *count* tokens and the end, the first of these steps *late_s* later."""
    steps = chain(_tokens(waits, count), (Step(Act.FINISH),))
    first = next(steps)
    yield Step(first.act, first.after_s + late_s)
    yield from steps
