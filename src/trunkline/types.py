"""The frozen nouns that everyone shares.

Three time bases are kept apart by type and never mixed:

* `Mono`: monotonic seconds of this machine (`loop.time()`); every decision uses it.
* `Sample`: samples of the call's own audio at 8 kHz, counted from its first frame; what was said
  and heard *when* uses it.
* `Wall`: seconds since the Unix epoch; one anchor per call, for people only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple, NewType

Mono = NewType("Mono", float)
Sample = NewType("Sample", int)
Wall = NewType("Wall", float)

SAMPLE_RATE = 8_000
"""Samples per second of every call's audio inside Trunkline."""
FRAME_SAMPLES = 160
"""Samples in one telephony frame (20 ms)."""
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE

CallId = NewType("CallId", str)
StageName = NewType("StageName", str)
STT, LLM, TTS = StageName("stt"), StageName("llm"), StageName("tts")


class DataClass(StrEnum):
    """What kind of data a payload is: the unit of every residency, consent and retention rule."""

    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    PROMPT = "prompt"
    SPEECH_TEXT = "speech_text"
    PSEUDONYMISED = "pseudonymised"
    RECORDING = "recording"
    TOOL = "tool"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Where:
    """The address of anything that happens: call > turn > step > attempt (-1: not inside one)."""

    call: CallId
    turn: int = -1
    step: int = -1
    attempt: int = -1


@dataclass(frozen=True, slots=True)
class Zone:
    """Where processing happens and under whose contract.

    *retention_s*: how long the processor keeps what it gets, infinite if nobody knows; *trains*:
    whether it learns from it; *transfer_tool*: on what a transfer abroad rests ("": on nothing).
    What is left out is the worst case.
    """

    name: str
    kind: Literal["managed", "self_hosted", "customer_vpc"]
    region: str
    jurisdiction: str
    processor: str
    retention: str
    baa: bool
    dpa: bool
    accepts: frozenset[DataClass]
    retention_s: float = math.inf
    trains: bool = True
    transfer_tool: str = ""


@dataclass(frozen=True, slots=True)
class ClassPolicy:
    """Where one data class may go (`core.residency`); *regions* None: all of the jurisdictions."""

    jurisdictions: frozenset[str]
    kinds: frozenset[str]
    retention_max_s: float
    regions: frozenset[str] | None = None
    training: bool = False
    dpa: bool = True
    baa: bool = False
    transfer_tools: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ResidencyPolicy:
    """Where data may go: a class that *classes* lacks goes nowhere.

    *home*: the jurisdictions that data may move between without a tool of transfer.
    """

    home: frozenset[str]
    classes: Mapping[DataClass, ClassPolicy]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider + model + zone that runs one stage; `name` is its key everywhere.

    *continuation*: how a language model goes on with a half-spoken answer: from the exact tokens,
    from an assistant message that it continues, or by a further turn that asks for the rest.
    *voice*: whose voice a synthesiser has ("": nobody else's); *twin_of*: the endpoint whose voice
    its own was chosen to resemble. *policy* None: its zone alone decides.
    """

    name: str
    stage: StageName
    api: str
    model: str
    zone: Zone
    failure_domain: str
    continuation: Literal["token_exact", "prefix", "turn"] = "turn"
    voice: str = ""
    twin_of: str = ""
    policy: ResidencyPolicy | None = None


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Caller audio: *pcm* is 16-bit little-endian mono at 8 kHz, *at* its first sample."""

    pcm: bytes
    at: Sample


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word and the samples of the call that hold it."""

    text: str
    start: Sample
    end: Sample


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a recogniser heard of one utterance so far (`final`: it will not change).

    *doubtful*: a short sound that it makes words of because it must, by its own judgement.
    """

    text: str
    final: bool
    words: tuple[Word, ...] = ()
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run a tool; *arguments* is the JSON text as the model wrote it.

    *signature*: what its provider wants to see again beside the call ("": nothing); opaque.
    """

    id: str
    name: str
    arguments: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; *safe*: no side effects, so it may run speculatively."""

    name: str
    description: str
    parameters: Mapping[str, object]
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, in the shape that chat models share."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to a language model.

    *continue_final*: the last message is an assistant message that the model is to go on with
    rather than to answer. *max_tokens* and *temperature* None: as the endpoint has it. *options*:
    further fields of a chat completions request; a codec honours all of those that it is given.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int | None = 400
    temperature: float | None = 0.3
    continue_final: bool = False
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that one attempt used, as its endpoint reported them."""

    prompt_tokens: int
    completion_tokens: int


class TextDelta(NamedTuple):
    """A useful token: text of the answer. There are more of these than of anything else."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A useful token: a part of a tool call. *arguments* come in pieces, all else comes once."""

    index: int
    id: str
    name: str
    arguments: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The model said that it is done, and why: `stop`, `tool_calls`, `length`, `content_filter`."""

    reason: str
    usage: Usage | None = None


Delta = TextDelta | ToolCallDelta | Finish


@dataclass(frozen=True, slots=True)
class Phrase:
    """A stretch of text to be spoken in one breath; *index* counts phrases within the reply."""

    index: int
    text: str


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """Characters `start:end` of a phrase's text and the sample of its audio where they begin."""

    start: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class Speech:
    """A piece of a phrase's audio: *pcm* 16-bit mono 8 kHz; *last*: the phrase is complete.

    The samples in *words* are counted from the start of the phrase, not of the piece.
    """

    phrase: int
    pcm: bytes
    words: tuple[SpokenWord, ...] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class LastLines:
    """What is said when a call cannot go on (`core.last_resort`); give them in its language.

    *transfer* before it is put through; *message* asks for one after the tone, *number* for keys;
    *taken* is said once the message is kept, and the call ends.
    """

    transfer: str = "I am sorry, I cannot go on. I am putting you through to somebody now."
    message: str = (
        "I am sorry, I cannot go on. Please say your name, your number and what it is about "
        "after the tone, then press the hash key."
    )
    number: str = (
        "I am sorry, I cannot hear you. After the tone, please key in the number at which we can "
        "call you back, then press the hash key."
    )
    taken: str = "Thank you, your message is kept. We will call you back. Goodbye."


@dataclass(frozen=True, slots=True)
class Persona:
    """Who answers: the lines that are said without a model, and the prompt of those that are not.

    *greeting* tells that this is an AI and, if *asks_consent*, that the call is recorded, and ends
    in the question; *apology* is said when no model or no voice can answer, *trouble* ("": the
    apology) if that may pass and the call goes on. *reprompt* is put to a
    caller who stays silent, *farewell* is said before hanging up on one, *filler* while an answer
    is long in coming ("": nothing is said then). *say_again* asks a caller whom no recogniser heard
    ("": the apology is said, and the call ends). *resume_line* is said when the call goes on after
    its worker died, with *say_again* if it was the caller's turn: what they said meanwhile is lost.
    *last_lines*: when it cannot go on. All defaults are English: give them in the call's language.
    """

    name: str
    language: str
    system_prompt: str
    greeting: str
    apology: str
    asks_consent: bool = True
    reprompt: str = ""
    farewell: str = ""
    filler: str = ""
    resume_line: str = "One moment please, I am back."
    say_again: str = "Could you say that again?"
    last_lines: LastLines = LastLines()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Our part of a call is over: the carrier puts the caller through *to* a number ("": it hangs
    up). *said*: the caller was told why; if not, the carrier does."""

    to: str
    said: bool


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answers: *content* (JSON text) for the model, and what the call does *then*."""

    content: str
    then: Literal["go_on", "hang_up"] = "go_on"


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a call's journal: everything else about a call is a projection of these."""

    schema: int
    id: str
    where: Where
    type: str
    mono: Mono
    sample: Sample | None
    wall: Wall
    data_class: DataClass
    zone: str
    data: Mapping[str, object] = field(default_factory=dict)


def uuid7(wall: Wall, entropy: bytes) -> str:
    """A UUIDv7 (RFC 9562 section 5.7) as text; *entropy* is 10 random bytes."""
    raw = bytearray(int(wall * 1000).to_bytes(6, "big") + entropy)
    raw[6] = 0x70 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
