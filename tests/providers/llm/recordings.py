"""Streams as services sent them, cut to what matters; the words are ours, the shapes are theirs.

Read November 2026 in public repositories; none was verified against a live service by us.

OPENAI         openai/openai-python, .inline-snapshot/external/e2aad469...bin: gpt-4o-2024-08-06,
               recorded 2024-09-26 with `include_usage`
OPENAI_TOOL    the same, c6aa7e39...bin
OPENAI_REFUSAL the same, 173417d5...bin
AZURE          public test data of gpt-5.2-chat-2025-12-11 and gpt-4.1-mini on Azure, 2026: the
               first event has no choices, content filters beside every delta, `obfuscation`
VLLM           vLLM, entrypoints/openai/chat_completion/protocol.py: `reasoning` in the delta,
               `stop_reason` and `token_ids` beside it, `choices` null in the usage chunk (as the
               docs of the crate openai-interface 0.13.0 report)
VLLM_ERROR     vLLM, create_streaming_error_response: the error, then [DONE]
SGLANG         SGLang, entrypoints/openai/protocol.py: `reasoning_content`, `matched_stop`
OPENROUTER     OpenRouter's page on streaming errors, 2025-11-08: comments, then an error that comes
               with a choice whose finish_reason is "error"
"""

_HEAD = b'"id":"chatcmpl-1","object":"chat.completion.chunk","created":1727346168,"model":"m"'


def chunk(rest: bytes) -> bytes:
    """The data of one event: the usual head and *rest*."""
    return b"{" + _HEAD + b"," + rest + b"}"


def delta(inside: bytes, finish: bytes = b"null") -> bytes:
    """One choice with the delta *inside*, in OpenAI's shape."""
    return chunk(
        b'"system_fingerprint":"fp_1","choices":[{"index":0,"delta":{'
        + inside
        + b'},"logprobs":null,"finish_reason":'
        + finish
        + b"}]"
    )


USAGE = chunk(
    b'"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":3,"total_tokens":17,'
    b'"completion_tokens_details":{"reasoning_tokens":0}}'
)
DONE = b"[DONE]"

OPENAI = [
    delta(b'"role":"assistant","content":"","refusal":null'),
    delta(b'"content":"We"'),
    delta(b'"content":" open"'),
    delta(b'"content":" at eight."'),
    delta(b"", b'"stop"'),
    USAGE,
    DONE,
]

OPENAI_TOOL = [
    delta(
        b'"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_c91S",'
        b'"type":"function","function":{"name":"book","arguments":""}}],"refusal":null'
    ),
    delta(b'"tool_calls":[{"index":0,"function":{"arguments":"{\\"day\\":"}}]'),
    delta(b'"tool_calls":[{"index":0,"function":{"arguments":"\\"Thu\\"}"}}]'),
    delta(b"", b'"tool_calls"'),
    USAGE,
    DONE,
]

OPENAI_REFUSAL = [
    delta(b'"role":"assistant","content":null,"refusal":""'),
    delta(b'"refusal":"I cannot"'),
    delta(b'"refusal":" do that."'),
    delta(b"", b'"stop"'),
    USAGE,
    DONE,
]

AZURE = [
    b'{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":'
    b'[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false}}}]}',
    chunk(
        b'"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,'
        b'"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],'
        b'"obfuscation":"70NTC3qxf","usage":null'
    ),
    chunk(
        b'"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},'
        b'"delta":{"content":"Yes."},"finish_reason":null,"index":0}],"obfuscation":"x"'
    ),
    chunk(b'"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}]'),
    DONE,
]

AZURE_FILTERED = [
    AZURE[0],
    AZURE[1],
    chunk(b'"choices":[{"delta":{},"finish_reason":"content_filter","index":0}]'),
    DONE,
]

VLLM = [
    delta(b'"role":"assistant","content":"","reasoning":null'),
    delta(b'"reasoning":"They ask for"'),
    delta(b'"reasoning":" the hours."'),
    chunk(
        b'"choices":[{"index":0,"delta":{"content":"Eight."},"logprobs":null,'
        b'"finish_reason":"stop","stop_reason":null,"token_ids":null}]'
    ),
    chunk(b'"choices":null,"usage":{"prompt_tokens":14,"completion_tokens":9}'),
    DONE,
]

VLLM_ERROR = [
    VLLM[0],
    b'{"error":{"message":"EngineCore encountered an issue","type":"InternalServerError",'
    b'"param":null,"code":500}}',
    DONE,
]

SGLANG = [
    delta(b'"role":"assistant","content":null,"reasoning_content":""'),
    delta(b'"content":null,"reasoning_content":"Hm."'),
    delta(b'"content":"Eight.","reasoning_content":null'),
    chunk(b'"choices":[{"index":0,"delta":{},"finish_reason":"stop","matched_stop":128009}]'),
    DONE,
]

OPENROUTER = [
    delta(b'"role":"assistant","content":""'),
    delta(b'"content":"Eig"'),
    chunk(
        b'"provider":"openai","error":{"code":"server_error","message":"Provider disconnected"},'
        b'"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]'
    ),
]
