"""ElevenLabs' multi-context synthesis, `text-to-speech/{voice}/multi-stream-input` on a WebSocket.

Each phrase is a context of its own: opened, filled, flushed and closed in one go, so that its
`isFinal` tells where its audio ends; within one context nothing would. Two phrases are under way at
once, so that the second begins without a gap; its audio is held back until the first is complete.
A connection takes five contexts at once (error `max_active_conversations`), and each counts against
the number of requests at once that a plan has.

A context that was flushed is generated to its end, also if it is closed: the only way to stop it is
to close the connection. So leaving in the middle closes, and the next reply connects anew; after a
reply that was complete the connection waits for the next.

Times of the characters are told relative to the message's own audio, says the reference; clients
are seen that read them as relative to the context (LiveKit's plugin 1.8.9). Both are understood:
a message whose first character begins long before the audio so far is complete is relative.

Sources: elevenlabs.io/docs/api-reference (the page on the multi-context WebSocket) and the types of
the SDK `elevenlabs` 2.78.0 (`types/*_multi.py`, `alignment.py`); messages of errors as quoted in
pipecat's issues 4114 and 4132 and LiveKit agents-js 1985; read November 2026, not verified against
the live service.

Options: `voice` (its id; needed), `output` (`ulaw_8000` or `pcm_8000`), `language`, `stability`,
`similarity_boost`, `speed` (not given: the voice's own), `normalization` (`auto`, `on`, `off`),
`phrases_ahead`, `logging` (false: nothing is retained, where the contract allows it).
"""

from collections.abc import Mapping

from trunkline.contracts import Exchange, Handshake
from trunkline.errors import EndpointError
from trunkline.providers.options import Bounds, Options
from trunkline.providers.refusals import refusal
from trunkline.providers.tts.elevenlabs_reply import Reply, Terms
from trunkline.types import Endpoint, Phrase, Speech

_INACTIVITY_S = 180  # the longest that it grants


class ElevenLabs:
    """`DuplexCodec[Phrase, Speech]`; the endpoint's model is theirs, such as eleven_flash_v2_5."""

    reuse_s = 60.0
    keepalive = None  # an idle connection is told to last three times as long

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        self._voice = read.text("voice", "")
        output = read.choice("output", ("ulaw_8000", "pcm_8000"))
        language = read.text("language", "auto")
        settings = {
            "stability": read.optional("stability", Bounds(0.5, 0.0, 1.0, "1: monotonous")),
            "similarity_boost": read.optional("similarity_boost", Bounds(0.75, 0.0, 1.0, "share")),
            "speed": read.optional("speed", Bounds(1.0, 0.7, 1.2, "1: as it is")),
        }
        self._terms = Terms(
            {name: it for name, it in settings.items() if it is not None},
            ahead=read.whole("phrases_ahead", Bounds(2, 1, 4, "contexts of one reply")),
            mulaw=output == "ulaw_8000",
        )
        self._query = [
            ("model_id", endpoint.model),
            ("output_format", output),
            ("inactivity_timeout", str(_INACTIVITY_S)),
            ("auto_mode", "true"),  # whole phrases: nothing to gain by waiting for more text
            ("sync_alignment", "true"),
            ("apply_text_normalization", read.choice("normalization", ("auto", "on", "off"))),
        ]
        if language != "auto":
            self._query.append(("language_code", language))
        if not read.flag("logging", default=True):
            self._query.append(("enable_logging", "false"))
        read.done()

    def handshake(self, key: str | None, /) -> Handshake:
        """The voice is in the path, the key in a header of ElevenLabs' own."""
        headers = {} if key is None else {"xi-api-key": key}
        return Handshake(f"text-to-speech/{self._voice}/multi-stream-input", self._query, headers)

    def exchange(self, ordinal: int, /) -> Exchange[Phrase, Speech]:
        """A fresh reply; *ordinal* keeps its contexts apart from those of earlier ones."""
        return Reply(self._endpoint, ordinal, self._terms)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return refusal(self._endpoint, status, headers, body)
