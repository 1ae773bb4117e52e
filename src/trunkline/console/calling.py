"""`trunkline call`: dial a media-stream server as a carrier and its caller would, and measure.

Every figure comes from the tape, not from what the other side reports about itself.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline.console import plain
from trunkline.console.spoken import embedded_voice
from trunkline.errors import InputError
from trunkline.media import tape as tapes
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode
from trunkline.providers.embedded.espeak import CALLER_VOICE
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.line import CallEvent
from trunkline.telephony.script import (
    AfterAgent,
    CallScript,
    HangUp,
    Speak,
    Step,
    Voice,
    read_script,
)

ENDINGS: Mapping[str, str] = {
    "hang_up": "the caller hung up",
    "agent_closed": "the agent ended the call",
    "agent_silent": "the caller gave up: the agent stayed silent",
    "agent_flooded": "the agent sent more audio than a carrier holds",
    "max_duration": "the call had lasted as long as it may",
    "no_stream": "the webhook answered without a media stream",
    "failed": "the call failed",
    "transferred": "the caller was put through to somebody else",
}
"""How a call can end, in words."""
FAILED = frozenset({"failed", "no_stream", "agent_silent", "agent_flooded"})
"""Endings that are the agent's fault."""


@dataclass(frozen=True, slots=True)
class CallOrder:
    """What to say, and where to keep what was heard. Give texts, clips or one script."""

    url: str
    say: Sequence[str] = ()
    clips: Sequence[Path] = ()
    script: Path | None = None
    out: Path = Path("out/call")
    auth_token: str | None = None
    max_s: float = 300.0


async def call(
    order: CallOrder, progress: Callable[[CallEvent], None] | None = None
) -> dict[str, object]:
    """Place the call, keep `tape.wav` and `call.json`, and return what the latter holds.

    Raises `InputError` for an order that cannot be carried out and `CarrierLost` if nobody answers.
    """
    if sum(map(bool, (order.say, order.clips, order.script))) != 1:
        raise InputError("give what the caller says: one of --say, --wav or --script")
    async with AsyncExitStack() as stack:
        voice: Voice | None = None
        if order.say or _speaks(order.script):
            voice = await stack.enter_async_context(embedded_voice(CALLER_VOICE))
        result = await place_call(
            order.url,
            await _script(order, voice),
            auth_token=order.auth_token,
            voice=voice,
            max_s=order.max_s,
            progress=progress,
        )
    order.out.mkdir(parents=True, exist_ok=True)
    wav.write_stereo(order.out / "tape.wav", result.tape)
    report = _report(result)
    (order.out / "call.json").write_text(json.dumps(report, indent=1), "utf-8")
    return report


class Follow:
    """Prints what a call's events mean while it goes on; give it to `call` as *progress*."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: CallEvent) -> None:
        """One event of the caller's side."""
        match event.kind:
            case "step_start" if event.detail != "hang up":  # `ended` tells
                self._print(event, "caller", event.detail, "bold")
            case "agent_on":
                self._print(event, "agent", "speaks", "")
            case "agent_off":
                self._print(event, "agent", "is silent", "dim")
            case "say" | "warning":
                self._print(event, event.kind, event.detail, "yellow")
            case "ended":
                how, _, why = event.detail.partition(": ")
                self._print(event, "", f"{ENDINGS[how]}{f': {why}' if why else ''}", "dim")
            case _:
                pass

    def _print(self, event: CallEvent, who: str, what: str, style: str) -> None:
        line = Text(f"{event.at_s:6.2f}  {who:<8}", "dim").append(what, style)
        self._console.print(line, soft_wrap=True)


def show(report: Mapping[str, Any], out: Path, console: Console) -> None:
    """Print the figures of a call for a person."""
    console.print()
    rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("turn", "caller's last word", "V2V", "dead air", "longest pause"):
        rows.add_column(name, justify="right", no_wrap=True)
    opened = any(turn["caller"] is None for turn in report["turns"])
    for number, turn in enumerate(report["turns"], 0 if opened else 1):
        pauses = [s["length_s"] for s in turn["silences"]]
        rows.add_row(
            str(number) if turn["caller"] else "opening",
            f"{turn['caller']['end_s']:.2f}" if turn["caller"] else "",
            plain.seconds(turn["v2v_s"]),
            plain.seconds(sum(s["length_s"] for s in turn["dead_air"])),
            plain.seconds(max(pauses, default=None)),
        )
    console.print(rows)
    console.print()
    told = ""
    if report["v2v_p50_s"] is not None:
        told = f"V2V p50 {plain.seconds(report['v2v_p50_s'])} s, "
    told += f"dead air at most {plain.seconds(report['dead_air_max_s'])} s"
    if report["unanswered"]:
        told += f", turns never answered: {report['unanswered']}"
    console.print(Text(f"{told}; {ENDINGS[report['ended']]}."))
    for name, file in (("tape", "tape.wav"), ("figures", "call.json")):
        console.print(Text(f"{name:<8} {out / file}"), soft_wrap=True)


def _speaks(script: Path | None) -> bool:
    """Whether a script has text to be spoken: only then the synthesiser is needed."""
    if script is None:
        return False
    try:
        return "say" in script.read_text("utf-8", errors="replace")
    except OSError:
        return False  # reading it properly will tell


async def _script(order: CallOrder, voice: Voice | None) -> CallScript:
    if order.script is not None:
        return await read_script(order.script, voice)
    steps = []
    for path in order.clips:
        samples = wav.read(path)
        mono = samples if samples.ndim == 1 else samples.mean(axis=1).astype(samples.dtype)
        steps.append(Step(Speak(mulaw_encode(mono)), AfterAgent(), path.stem))
    for text in order.say:
        assert voice is not None  # noqa: S101  # opened because there is something to say
        pcm = np.frombuffer(await voice(text), np.int16)
        steps.append(Step(Speak(mulaw_encode(pcm)), AfterAgent(), text))
    return CallScript((*steps, Step(HangUp(), AfterAgent(), "hang up")))


def _report(result: CallResult) -> dict[str, object]:
    figures: dict[str, object] = {
        key: plain.finite(value) for key, value in asdict(tapes.summary(result.tape)).items()
    }
    return {
        **figures,
        "ended": result.ended,
        "call": result.call,
        "mono0": result.mono0,
        "events": [asdict(event) for event in result.events],
        "caller_late_ms_max": round(float(result.late_s.max(initial=0.0)) * 1000, 2),
    }
