"""Streams of Anthropic's Messages as it sent them, cut to what matters; the words are ours.

Read November 2026 in the public repository vercel/ai, `packages/anthropic/src/__fixtures__`; none
was verified against the live service by us.

THINKING  anthropic-claude-sonnet-5-reasoning-generic.chunks.txt (claude-sonnet-5, 2026): a block of
          thinking, a ping inside of it, and blanks before the closing brackets
TOOL      the events of anthropic-tool-no-args.chunks.txt (claude-sonnet-4-5-20250929), with
          arguments in pieces as the page "Streaming Messages" of the API reference shows them
NO_ARGS   anthropic-tool-no-args.chunks.txt: a tool without arguments gets one empty piece
REFUSAL   anthropic-refusal.chunks.txt (claude-fable-5, 2026)
OVERLOADED the page "Streaming Messages": what is a status 529 without a stream
"""


def start(tokens: bytes = b'"input_tokens":14') -> bytes:
    """The first event of a message."""
    return (
        b'{"type":"message_start","message":{"model":"claude-sonnet-5","id":"msg_011C","type":'
        b'"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,'
        b'"stop_details":null,"usage":{' + tokens + b',"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":2,"service_tier":"standard"}}           }'
    )


def block(index: int, inside: bytes) -> bytes:
    """The start of a block."""
    return b'{"type":"content_block_start","index":%d,"content_block":{%s}       }' % (
        index,
        inside,
    )


def delta(index: int, inside: bytes) -> bytes:
    """A piece of a block."""
    return b'{"type":"content_block_delta","index":%d,"delta":{%s}  }' % (index, inside)


def stop(index: int) -> bytes:
    """The end of a block."""
    return b'{"type":"content_block_stop","index":%d      }' % index


def reason(word: bytes, tokens: int = 9) -> bytes:
    """Why it stopped, and the sums."""
    return (
        b'{"type":"message_delta","delta":{"stop_reason":"' + word + b'","stop_sequence":null,'
        b'"stop_details":null},"usage":{"input_tokens":14,"cache_creation_input_tokens":20,'
        b'"cache_read_input_tokens":300,"output_tokens":%d}          }' % tokens
    )


PING = b'{"type": "ping"}'
END = b'{"type":"message_stop"              }'
TEXT_BLOCK = b'"type":"text","text":""'

THINKING = [
    start(),
    block(0, b'"type":"thinking","thinking":"","signature":""'),
    PING,
    delta(0, b'"type":"thinking_delta","thinking":"They ask for the hours."'),
    delta(0, b'"type":"signature_delta","signature":"EsECCokBCBAYAipA9i3H"'),
    stop(0),
    block(1, TEXT_BLOCK),
    delta(1, b'"type":"text_delta","text":"We open"'),
    delta(1, b'"type":"text_delta","text":" at eight. \xe2\x9c\x85"'),
    stop(1),
    reason(b"end_turn"),
    END,
]

TOOL = [
    start(),
    block(0, TEXT_BLOCK),
    delta(0, b'"type":"text_delta","text":"Let me see."'),
    stop(0),
    block(1, b'"type":"tool_use","id":"toolu_01QE","name":"book","input":{}'),
    delta(1, b'"type":"input_json_delta","partial_json":""'),
    delta(1, b'"type":"input_json_delta","partial_json":"{\\"day\\":"'),
    delta(1, b'"type":"input_json_delta","partial_json":" \\"Thu\\"}"'),
    stop(1),
    block(2, b'"type":"tool_use","id":"toolu_02QE","name":"note","input":{}'),
    delta(2, b'"type":"input_json_delta","partial_json":"{}"'),
    stop(2),
    reason(b"tool_use", 48),
    END,
]

NO_ARGS = [
    start(),
    block(0, b'"type":"tool_use","id":"toolu_01QE","name":"hours","input":{}'),
    PING,
    delta(0, b'"type":"input_json_delta","partial_json":""'),
    stop(0),
    reason(b"tool_use", 48),
    END,
]

REFUSAL = [start(), PING, reason(b"refusal", 5), END]

OVERLOADED = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
