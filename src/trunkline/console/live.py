"""The demo in the terminal, as it happens: who is heard, which endpoint, the freeze, the rescue.

A line stands at the time at which it is *heard*. The agent's sentences are given to the synthesiser
seconds before that, so each waits until the carrier's marks say that the one before it is over; the
caller's words are known once they are over, and stand where they began.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from trunkline.console import plain
from trunkline.types import SAMPLE_RATE

CHARS_PER_S = CHARS_MAX = 13
"""Scale and full width of the waterfall: a turn of a second, with its figures, fits 80 columns."""
STYLES = {"primary": "cyan", "backup": "yellow"}
_STAGES = (("turn", "░."), ("text", "▒:"), ("token", "▓="), ("audio", "█#"))


@dataclass(slots=True)
class _Turn:
    """When the caller's last word ended, and when each part of the answer was there."""

    ended: float
    marks: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Phrase:
    index: int
    text: str
    endpoint: str


class Live:
    """Prints one line per thing that a person wants to know; feed it every event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begin(None)

    def _begin(self, zero: float | None) -> None:
        """Another call: forget the one before."""
        self._zero = zero
        self._turn: _Turn | None = None
        self._spoke_at = 0.0
        self._tools: dict[str, tuple[str, str]] = {}
        self._unheard: list[_Phrase] = []  # of one reply: it ends with the reply
        self._length: dict[int, int] = {}  # of the same phrases, and of the one being heard

    def tell(self, event: Mapping[str, object]) -> None:
        """One event of the worker, the caller or a model server."""
        data = event.get("data")
        mono = event.get("mono")
        if not isinstance(data, Mapping) or not isinstance(mono, float):
            return
        kind = str(event["type"])
        if kind == "call.started":
            self._begin(mono)
        if self._zero is None:
            return
        at = mono - self._zero
        sample = event.get("sample")
        self._turn_event(kind, data, at, sample if isinstance(sample, int) else None)
        self._voice_event(kind, data, at)
        self._line_event(kind, data, at)

    def _turn_event(
        self, kind: str, data: Mapping[str, object], at: float, sample: int | None
    ) -> None:
        """Collect the waterfall of the turn; it is printed when its first audio is heard."""
        if kind == "utterance.started":
            self._spoke_at = at if sample is None else sample / SAMPLE_RATE
        elif kind == "utterance.ended":
            # The pause that ends a turn has to pass first: the wait began when it did.
            self._turn = _Turn(at if sample is None else sample / SAMPLE_RATE, {"turn": at})
        elif self._turn is None:
            return
        elif kind == "transcript.final":
            self._turn.marks.setdefault("text", at)
        elif kind == "attempt.delta":
            self._turn.marks.setdefault("token", at)
        elif kind == "caller" and "agent_on" in data:
            self._turn.marks["audio"] = at
            line = waterfall(self._turn, ascii_only=self._console.options.ascii_only)
            self._print(None, "turn", line, "dim")
            self._turn = None

    def _voice_event(self, kind: str, data: Mapping[str, object], at: float) -> None:
        """Hold back what the agent says until it is heard."""
        if kind == "phrase.spoken":
            index, text = data["index"], str(data["text"])
            assert isinstance(index, int)  # noqa: S101  # the journal's table: narrows for mypy
            self._unheard.append(_Phrase(index, text, str(data["endpoint"])))
            self._length[index] = len(text)
        elif kind == "caller" and "agent_on" in data:
            self._heard(at, self._unheard[:1])
        elif kind == "playout.mark":
            phrase, chars = (int(part) for part in str(data["name"]).split(".")[1:])
            self._heard(at, [p for p in self._unheard if p.index <= phrase])
            if chars == self._length.get(phrase):
                self._heard(at, [p for p in self._unheard if p.index == phrase + 1])
        elif kind == "reply.ended":
            if not data["interrupted"]:
                self._heard(at, self._unheard)
            elif data.get("heard") != "":  # of a reply that was dropped unheard nobody knows
                self._print(at, "", "the caller interrupts: the rest is not heard", "dim")
            self._unheard, self._length = [], {}

    def _heard(self, at: float, phrases: list[_Phrase]) -> None:
        for phrase in phrases:
            style = STYLES.get(phrase.endpoint, "")
            self._print(at, "agent", phrase.text, style, phrase.endpoint)
        self._unheard = [phrase for phrase in self._unheard if phrase not in phrases]

    def _line_event(self, kind: str, data: Mapping[str, object], at: float) -> None:
        match kind:
            case "transcript.final":
                self._print(self._spoke_at, "caller", str(data["text"]), "bold")
            case "tool.intent":
                self._tools[str(data["key"])] = (str(data["name"]), str(data["arguments"]))
            case "tool.done":
                name, arguments = self._tools.pop(str(data["key"]), ("tool", ""))
                told = plain.tool(name, arguments, str(data["content"]))
                self._print(at, "tool", told, "green")
            case "consent.granted":
                self._print(at, "", "consent given: recording begins", "green")
            case "fault":
                what = plain.fault(str(data["kind"]), data.get("token"))
                self._print(at, "FAULT", what, "bold white on red", "primary")
            case "attempt.suspected":
                what = f"{data['fault']}: no token for {data['silent_s']:.2f} s"
                if queued_s := data["queued_s"]:
                    what += f", {queued_s:.2f} s of speech left"
                self._print(at, "", what, "bold red", str(data["endpoint"]))
            case "failover":
                what = f"goes on for {data['from']} ({data['fault']})"
                who = str(data.get("kind", "failover"))
                self._print(at, who, what, "bold black on yellow", str(data["to"]))
            case "call.ended":
                self._print(at, "", f"call ended: {data['reason']}", "dim")
            case _:
                pass

    def _print(self, at: float | None, who: str, what: str, style: str, endpoint: str = "") -> None:
        """Time, who, endpoint and words in columns; long words go on under themselves."""
        when = "" if at is None else f"{at:.2f}"
        head = f"{when:>6}  {who:<9}" + ("" if who == "turn" else f"{endpoint:<8}")
        room = max(self._console.width - len(head), 20)
        line = Text(head, style="dim")
        if who.isupper() or who in ("rescue", "hedge", "failover"):
            line.stylize("bold not dim", 8)
        for number, part in enumerate(textwrap.wrap(what, room) or [""]):
            line.append("\n" + " " * len(head) if number else "")
            line.append(part, style=style)
        self._console.print(line, soft_wrap=True)


def waterfall(turn: _Turn, *, ascii_only: bool = False) -> str:
    """Last word -> turn known to be over -> transcript -> first useful token -> first audio."""
    last, bar, words = turn.ended, "", []
    for name, signs in _STAGES:
        if name in turn.marks:
            took = max(0.0, turn.marks[name] - last)
            bar += signs[ascii_only] * round(took * CHARS_PER_S)
            words.append(f"{name} {took:.2f}")
            last = max(last, turn.marks[name])
    if len(bar) > CHARS_MAX:
        bar = bar[: CHARS_MAX - 1] + ">"
    return f"{bar} {last - turn.ended:.2f} s: {' '.join(words)}"
