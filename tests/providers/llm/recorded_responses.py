"""Streams of OpenAI's Responses as it sent them, cut to what matters; the words are ours.

Read November 2026 in the public repository vercel/ai, `packages/openai/src/responses/__fixtures__`;
none was verified against the live service by us.

TEXT     openai-phase.1.chunks.txt (gpt-5.3-codex): text and its closing events
TOOL     issue-19493-gpt-5.1-tool-call.chunks.txt (gpt-5.1-2025-11-13, 2026): `obfuscation`
REFUSAL  types/responses/response_refusal_delta_event.py of openai 3.54.0
QUOTA    openai-error.1.chunks.txt (gpt-5-nano-2025-08-07): `error`, then `response.failed`
FAILED   openai-response-failed-only.1.chunks.txt (gpt-4o-mini): `response.failed` alone
ERROR    types/responses/response_error_event.py of openai 3.54.0: the fields beside the type
"""


def response(kind: bytes, inside: bytes) -> bytes:
    """An event with the whole response."""
    return (
        b'{"type":"response.' + kind + b'","response":{"id":"resp_0775","object":"response",'
        b'"created_at":1787659560,"background":false,"model":"gpt-5.1-2025-11-13","output":[],'
        b'"store":false,' + inside + b'},"sequence_number":0}'
    )


def event(kind: bytes, inside: bytes) -> bytes:
    """An event about a part of the output."""
    return (
        b'{"type":"response.' + kind + b'",' + inside + b',"obfuscation":"H2","sequence_number":3}'
    )


USAGE = (
    b'"usage":{"input_tokens":45,"input_tokens_details":{"cached_tokens":0},"output_tokens":25,'
    b'"output_tokens_details":{"reasoning_tokens":0},"total_tokens":70}'
)
CREATED = response(
    b"created", b'"status":"in_progress","error":null,"incomplete_details":null,"usage":null'
)
COMPLETED = response(b"completed", b'"status":"completed","error":null,' + USAGE)


def incomplete(reason: bytes) -> bytes:
    """The end of an answer that is not whole."""
    return response(
        b"incomplete",
        b'"status":"incomplete","incomplete_details":{"reason":"' + reason + b'"},' + USAGE,
    )


def failed(code: bytes, message: bytes) -> bytes:
    """The end of an answer that failed."""
    return response(
        b"failed",
        b'"status":"failed","error":{"code":"' + code + b'","message":"' + message + b'"},'
        b'"incomplete_details":null,"usage":null',
    )


_MESSAGE = b'"item_id":"msg_1","output_index":1,"content_index":0'
_ITEM = b'"output_index":1,"item":{"id":"msg_1","type":"message","role":"assistant",'

TEXT = [
    CREATED,
    event(b"in_progress", b'"response":{"id":"resp_0775","usage":null}'),
    event(b"output_item.added", b'"output_index":0,"item":{"id":"rs_1","type":"reasoning"}'),
    event(b"reasoning_summary_text.delta", b'"output_index":0,"delta":"They ask"'),
    event(b"output_item.added", _ITEM + b'"status":"in_progress","content":[]}'),
    event(b"content_part.added", _MESSAGE + b',"part":{"type":"output_text","text":""}'),
    event(b"output_text.delta", _MESSAGE + b',"delta":"We open","logprobs":[]'),
    event(b"output_text.delta", _MESSAGE + b',"delta":" at eight. \xe2\x9c\x85","logprobs":[]'),
    event(b"output_text.done", _MESSAGE + b',"text":"We open at eight. \xe2\x9c\x85"'),
    event(
        b"content_part.done", _MESSAGE + b',"part":{"type":"output_text","text":"We open at eight"}'
    ),
    event(b"output_item.done", _ITEM + b'"content":[{"type":"output_text","text":"We open"}]}'),
    COMPLETED,
]

_CALL = b'"id":"fc_0775","type":"function_call","call_id":"call_2FQd","name":"book"'
_FC = b'"item_id":"fc_0775","output_index":0'

TOOL = [
    CREATED,
    event(b"output_item.added", b'"output_index":0,"item":{' + _CALL + b',"arguments":""}'),
    event(b"function_call_arguments.delta", _FC + b',"delta":"{\\"day\\":"'),
    event(b"function_call_arguments.delta", _FC + b',"delta":"\\"Thu\\"}"'),
    event(b"function_call_arguments.done", _FC + b',"arguments":"{\\"day\\":\\"Thu\\"}"'),
    event(
        b"output_item.done",
        b'"output_index":0,"item":{' + _CALL + b',"arguments":"{\\"day\\":\\"Thu\\"}"}',
    ),
    COMPLETED,
]

REFUSAL = [
    CREATED,
    event(b"refusal.delta", _MESSAGE + b',"delta":"I cannot do that."'),
    event(b"refusal.done", _MESSAGE + b',"refusal":"I cannot do that."'),
    COMPLETED,
]

QUOTA = [
    CREATED,
    b'{"type":"error","sequence_number":2,"error":{"type":"insufficient_quota","code":'
    b'"insufficient_quota","message":"You exceeded your current quota","param":null}}',
    failed(b"insufficient_quota", b"You exceeded your current quota"),
]

FAILED = [CREATED, failed(b"rate_limit_exceeded", b"Request too large for gpt-4o-mini")]

ERROR = (
    b'{"type":"error","code":"server_error","message":"The server had an error","param":null,'
    b'"sequence_number":4}'
)
