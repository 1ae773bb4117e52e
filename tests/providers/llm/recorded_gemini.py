"""Streams of Google's Gemini as it sent them, cut to what matters; the words are ours.

Read November 2026 in the public repository vercel/ai, `packages/google/src/__fixtures__`; none was
verified against the live service by us.

TEXT     google-stream-gemini-3.7-flash-2026-09-16.chunks.txt: the last text is empty and signed
TOOL     google-tool-call-gemini3.chunks.txt (gemini-3-pro-preview): a signed call without an id;
         beside it a second one with an id, which the SDK's `types.FunctionCall` has
THOUGHT  types.Part of google-genai 3.4.0: a part with `thought` is not for the caller
BLOCKED  issue-19758-prompt-block.chunks.txt (gemini-3.7-flash)
QUOTA    google-429-retry-info.json
OVERLOADED vercel/ai, issue 5217, 2025-03-14, inside a stream
"""

_TAIL = (
    b',"usageMetadata": {"promptTokenCount": 7,"candidatesTokenCount": 2,"totalTokenCount": 103,'
    b'"promptTokensDetails": [{"modality": "TEXT","tokenCount": 7}],"thoughtsTokenCount": 94,'
    b'"serviceTier": "standard"},"modelVersion": "gemini-3.7-flash","responseId": "WQuqavG5"}'
)


def parts(inside: bytes, finish: bytes = b"") -> bytes:
    """A response with *inside* as its parts."""
    said = b',"finishReason": "' + finish + b'"' if finish else b""
    return (
        b'{"candidates": [{"content": {"parts": ['
        + inside
        + b'],"role": "model"}'
        + said
        + b',"index": 0}]'
        + _TAIL
    )


END = parts(b'{"text": "","thoughtSignature": "EqkECqYEARFNMg+g"}', b"STOP")

TEXT = [parts(b'{"text": "We open"}'), parts(b'{"text": " at eight. \xe2\x9c\x85"}'), END]

THOUGHT = [parts(b'{"text": "They ask for the hours.","thought": true}'), *TEXT]

TOOL = [
    parts(
        b'{"functionCall": {"name": "book","args": {"day": "Thu"}},"thoughtSignature": "EpEgCo4g"}'
    ),
    parts(b'{"functionCall": {"id": "fc-2","name": "hours"}}'),
    parts(b'{"text": ""}', b"STOP"),
]

FILTERED = [
    parts(b'{"text": "We"}'),
    b'{"candidates": [{"finishReason": "SAFETY","index": 0}]' + _TAIL,
]

BLOCKED = [
    b'{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9,'
    b'"totalTokenCount":9,"serviceTier":"standard"},"modelVersion":"gemini-3.7-flash"}'
]

QUOTA = (
    b'{"error":{"code":429,"message":"You exceeded your current quota, please check your plan.",'
    b'"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.'
    b'QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel"}]},'
    b'{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}'
)

OVERLOADED = (
    b'{"error":{"code":503,"message":"The model is overloaded. Please try again later.",'
    b'"status":"UNAVAILABLE"}}'
)
