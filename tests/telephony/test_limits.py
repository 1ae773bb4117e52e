"""Each limit of the phone side is crossed, and the table in the docs says what the code does."""

import asyncio
import json
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.telephony.test_leg import FakeSocket, everything, on_a_leg
from trunkline.config.gateway import GatewayConfig
from trunkline.contracts import Media, Stopped
from trunkline.errors import InputError
from trunkline.telephony.leg import KEYS_BURST, KEYS_PER_S, TwilioCarrier
from trunkline.telephony.settings import TelephonyConfig
from trunkline.telephony.twilio import (
    MESSAGE_BYTES_MAX,
    PARAMETER_CHARS_MAX,
    PARAMETERS_MAX,
    CarrierSide,
    StreamDecoder,
)
from trunkline.telephony.wire import Pace
from trunkline.types import Sample

MODULES = {
    "door": "trunkline.telephony.door",
    "webhook": "trunkline.telephony.webhook",
    "frames": "trunkline.telephony.frames",
    "intake": "trunkline.telephony.intake",
    "leg": "trunkline.telephony.leg",
    "wire": "trunkline.telephony.wire",
    "twilio": "trunkline.telephony.twilio",
    "sse": "trunkline.net.sse",
    "replicas": "trunkline.net.replicas",
    "balance": "trunkline.core.replicas",
    "capability": "trunkline.calls.capability",
    "examine": "trunkline.calls.examine",
    "resolver": "trunkline.net.resolver",
    "assembly": "trunkline.console.assembly",
    "raw": "trunkline.net.raw",
    "outboxes": "trunkline.gateway.outboxes",
    "gateway": "trunkline.gateway.door",
    "audio": "trunkline.gateway.audio",
    "audio_parts": "trunkline.gateway.audio_parts",
    "metrics": "trunkline.gateway.metrics",
    "seam": "trunkline.core.seam",
    "framing": "trunkline.providers.embedded.framing",
}
TABLE = Path(__file__).parents[2] / "docs" / "limits.md"
ROW = re.compile(r"^\| `(\w+)\.(\w+)` \| (\d+) \|", re.MULTILINE)
FRAME = b"\xff" * 160


def test_the_table_of_limits_says_what_the_code_does() -> None:
    """Every row has the value of its constant, and every bound of the door has a row."""
    rows = {(module, name): int(value) for module, name, value in ROW.findall(TABLE.read_text())}
    assert len(rows) > 25
    assert rows.pop(("server", "calls_max")) == TelephonyConfig().calls_max
    for name in ("at_once_max", "connections_per_s", "body_bytes_max", "audio_bytes_max"):
        assert rows.pop(("gateway", name)) == GatewayConfig.model_fields[name].default
    for (module, name), value in rows.items():
        assert getattr(import_module(MODULES[module]), name) == value, f"{module}.{name}"
    for module in ("door", "leg", "sse", "raw", "outboxes"):
        public = [name for name in vars(import_module(MODULES[module])) if name.isupper()]
        ours = [n for n in public if n.startswith(("MAX_",)) or n.endswith(("_S", "_MAX", "BURST"))]
        assert [n for n in ours if (module, n) not in rows and n[0] != "_"] == []


def started(parameters: dict[str, str] | None = None) -> StreamDecoder:
    """A decoder behind its start."""
    decoder, side = StreamDecoder(), CarrierSide("MZ1", "CA1")
    decoder.decode(side.connected())
    decoder.decode(side.start(parameters or {}))
    return decoder


def audio(ms: object, chunk: object = 0, payload: str = "/" * 216) -> bytes:
    """A media message with any times."""
    body = {"timestamp": ms, "chunk": chunk, "payload": payload}
    return json.dumps({"event": "media", "streamSid": "MZ1", "media": body}).encode()


@pytest.mark.parametrize(
    "parameters",
    [
        {f"p{number}": "" for number in range(PARAMETERS_MAX + 1)},
        {"p": "x" * (PARAMETER_CHARS_MAX + 1)},
        {"x" * (PARAMETER_CHARS_MAX + 1): ""},
    ],
)
def test_a_start_has_few_and_short_parameters(parameters: dict[str, str]) -> None:
    """As many and as long as Twilio lets us ask for."""
    started({f"p{number}": "" for number in range(PARAMETERS_MAX)} | {})
    started({"p": "x" * PARAMETER_CHARS_MAX})
    with pytest.raises(InputError, match="customParameters"):
        started(parameters)


def test_a_message_is_bounded() -> None:
    """The decoder's own bound, behind that of the socket."""
    with pytest.raises(InputError, match="the limit is"):
        started().decode(b" " * (MESSAGE_BYTES_MAX + 1))


@pytest.mark.parametrize("ms", ["-1", -1, "86400001", 2**70, "1.5", 0.5, "NaN", "x", [], {}])
def test_an_impossible_time_breaks_the_protocol(ms: object) -> None:
    """Negative, beyond the longest call, or no whole number."""
    with pytest.raises(InputError, match="cannot be read"):
        started().decode(audio(ms))


@pytest.mark.parametrize("chunk", ["-1", 2**70, "x", 0.5])
def test_an_impossible_chunk_breaks_the_protocol(chunk: object) -> None:
    """A number that no call reaches would make all that follow late."""
    with pytest.raises(InputError, match="cannot be read"):
        started().decode(audio(0, chunk))


def test_what_is_malformed_behind_a_wrong_value_is_still_malformed() -> None:
    """The second look, for the event's name, meets the part that the first did not reach."""
    broken = audio("x").replace(b"}}", b"}\x00}")
    with pytest.raises(InputError, match="cannot be read"):
        started().decode(broken)


def test_time_does_not_go_back() -> None:
    """A frame from the past is dropped, a small overlap is moved, a missing time follows on."""
    decoder = started()

    def at(ms: object) -> int | None:
        event = decoder.decode(audio(ms))
        assert event is None or isinstance(event, Media)
        return None if event is None else event.at

    length = 162  # samples of the payload
    assert at(1_000) == 8_000
    assert at(500) is None
    assert decoder.dropped == 1
    assert at(1_019) == 8_000 + length
    assert at(None) == 8_000 + 2 * length
    assert at(2_000) == 16_000


def test_audio_of_the_future_ends_the_leg() -> None:
    """Nobody can have said it yet; ten seconds are forgiven."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.say(side.media(FRAME, Sample(8 * 9_000)))
        socket.say(side.media(FRAME, Sample(8 * 11_000)))
        last = (await everything(carrier))[-1]
        assert isinstance(last, Stopped)
        assert "at the pace of speech" in last.reason

    code, why = on_a_leg(body).closed or (0, "")
    assert (code, "at the pace of speech" in why) == (1008, True)


def test_nobody_types_that_fast() -> None:
    """A burst and a rate; a card's number at any speed is no problem."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        for _ in range(KEYS_BURST):
            socket.say(side.dtmf("1"))
        events = carrier.events()
        for _ in range(KEYS_BURST + 1):
            await anext(events)
        await asyncio.sleep(1.5 / KEYS_PER_S)
        socket.say(side.dtmf("2"))
        await anext(events)
        socket.say(side.dtmf("3"))
        assert "keys at once" in str(await anext(events))

    assert (on_a_leg(body).closed or (0, ""))[0] == 1008


def test_a_pace_is_a_burst_and_a_rate() -> None:
    """What was not used is not saved up beyond the burst."""
    now = 0.0
    pace = Pace(10.0, 3, lambda: now)
    assert [pace.take() for _ in range(4)] == [True, True, True, False]
    now = 100.0
    assert [pace.take() for _ in range(4)] == [True, True, True, False]
