"""The demo in the terminal, as it happens: who speaks, which endpoint, the freeze, the rescue."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

BAR_S = 1.0
"""The waterfall's full width."""
BAR_CHARS = 40
STYLES = {"primary": "cyan", "backup": "yellow"}


@dataclass(slots=True)
class _Turn:
    ended: float | None = None
    marks: dict[str, float] = field(default_factory=dict)


class Live:
    """Prints one line per thing that a person wants to know; feed it every event."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._zero: float | None = None
        self._turn = _Turn()

    def tell(self, event: Mapping[str, object]) -> None:
        """One event of the worker, the caller or a model server."""
        data = event.get("data")
        mono = event.get("mono")
        if not isinstance(data, Mapping) or not isinstance(mono, float):
            return
        kind = str(event["type"])
        if self._zero is None:
            if kind != "call.started":
                return
            self._zero = mono
        self._turn_event(kind, data, mono)
        self._line_event(kind, data, mono)

    def _turn_event(self, kind: str, data: Mapping[str, object], mono: float) -> None:
        """Collect the waterfall of the turn; it is printed when its first audio is heard."""
        turn = self._turn
        if kind == "utterance.ended":
            self._turn = _Turn(ended=mono)
        elif turn.ended is None:
            return
        elif kind == "transcript.final":
            turn.marks.setdefault("transcript", mono)
        elif kind == "attempt.delta":
            turn.marks.setdefault("token", mono)
        elif kind == "caller" and "agent_on" in data:
            turn.marks["audio"] = mono
            self._print(mono, "", _waterfall(turn), "dim")
            turn.ended = None

    def _line_event(self, kind: str, data: Mapping[str, object], mono: float) -> None:
        match kind:
            case "phrase.spoken":
                endpoint = str(data["endpoint"])
                self._print(mono, "agent", f"{data['text']}", STYLES.get(endpoint, ""), endpoint)
            case "transcript.final":
                self._print(mono, "caller", str(data["text"]), "bold")
            case "tool.done":
                self._print(mono, "tool", str(data["content"])[:100], "green")
            case "consent.granted":
                self._print(mono, "", "consent given: recording begins", "green")
            case "fault":
                what = f"primary: {str(data['kind']).upper()} at token {data['token']}"
                self._print(mono, "FAULT", what, "bold white on red")
            case "attempt.suspected":
                what = (
                    f"{data['endpoint']} {data['fault']}: silent for {data['silent_s']:.2f} s, "
                    f"{data['queued_s']:.2f} s of speech still queued"
                )
                self._print(mono, "", what, "bold red")
            case "failover":
                what = f"{data['kind']}: {data['from']} -> {data['to']}"
                self._print(mono, "", what, "bold black on yellow")
            case "call.ended":
                self._print(mono, "", f"call ended: {data['reason']}", "dim")
            case _:
                pass

    def _print(self, mono: float, who: str, what: str, style: str, endpoint: str = "") -> None:
        assert self._zero is not None  # noqa: S101  # set before anything is printed
        line = Text(f"{mono - self._zero:6.2f}  {who:<7}", style="dim")
        line.append(what, style=style)
        if endpoint:
            line.append(f"  [{endpoint}]", style="dim")
        self._console.print(line, soft_wrap=True)


def _waterfall(turn: _Turn) -> str:
    """End of speech known -> transcript -> first useful token -> first audio, as a bar."""
    assert turn.ended is not None  # noqa: S101  # the caller saw to it
    last, bar, words = turn.ended, "", []
    for name, sign in (("transcript", "-"), ("token", "="), ("audio", "#")):
        if name in turn.marks:
            took = turn.marks[name] - last
            bar += sign * max(1, round(took / BAR_S * BAR_CHARS))
            words.append(f"{name} +{took * 1000:.0f} ms")
            last = turn.marks[name]
    return f"|{bar}| {', '.join(words)}"
