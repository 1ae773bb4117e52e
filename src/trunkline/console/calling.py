"""`trunkline call`: dial a media-stream server as a carrier and its caller would, and measure.

Every figure comes from the tape, not from what the other side reports about itself.
"""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

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


def show(report: dict[str, object], out: Path, console: Console) -> None:
    """Print the figures of a call for a person."""
    table = Table("turn", "caller's end", "V2V", "dead air", "longest inner silence")
    turns = report["turns"]
    assert isinstance(turns, list)  # noqa: S101  # narrows for mypy: we made it just above
    for number, turn in enumerate(turns):
        end = "" if turn["caller"] is None else f"{turn['caller']['end_s']:.2f} s"
        silence = max((s["length_s"] for s in turn["silences"]), default=0.0)
        dead = sum(s["length_s"] for s in turn["dead_air"])
        table.add_row(str(number), end, _seconds(turn["v2v_s"]), _seconds(dead), _seconds(silence))
    console.print(table)
    console.print(
        f"V2V p50 {_seconds(report['v2v_p50_s'])}, dead air at most "
        f"{_seconds(report['dead_air_max_s'])}, ended: {report['ended']}. "
        f"Tape: {out / 'tape.wav'} (left caller, right agent)"
    )


def _seconds(value: object) -> str:
    return f"{value:.2f} s" if isinstance(value, float | int) else "-"


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
        key: _finite(value) for key, value in asdict(tapes.summary(result.tape)).items()
    }
    return {
        **figures,
        "ended": result.ended,
        "call": result.call,
        "mono0": result.mono0,
        "events": [asdict(event) for event in result.events],
        "caller_late_ms_max": round(float(result.late_s.max(initial=0.0)) * 1000, 2),
    }


def _finite(value: object) -> object:
    """JSON knows no infinity: a reply that never came is null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
