"""What was said in a call is in no log: a log is in no zone, so nothing could decide about it.

A scan of every call of a logger for names that hold a caller's words, first tried on planted ones.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.test_tidy import files, walk

LOGS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
LET_PASS = {
    # The answer to a probe of ours: nothing of a caller's was asked.
    "src/trunkline/calls/capability.py": ["Proven.prove logs text"],
}
SPOKEN = {
    "arguments",
    "content",
    "delta",
    "heard",
    "interim",
    "message",
    "messages",
    "pcm",
    "phrase",
    "prompt",
    "said",
    "sentence",
    "source",
    "spoken",
    "text",
    "transcript",
    "utterance",
    "word",
    "words",
}


def rendered(node: ast.expr) -> Iterator[str]:
    """The names whose values end up in the text that *node* makes; not those only looked into."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Subscript):
        yield from rendered(node.value)
        yield from rendered(node.slice)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value  # as a key; a sentence is no name
    elif isinstance(node, ast.Call):
        inner = [it.value for it in node.keywords]
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        for part in (*owner, *node.args, *inner):
            yield from rendered(part)
    else:
        inside = (it for it in ast.iter_child_nodes(node) if isinstance(it, ast.expr))
        for part in inside:
            yield from rendered(part)


def logged_words(path: str, text: str) -> Iterator[str]:
    """What was said in a call, in a log: bytes that leave without anybody having decided it."""
    if path.startswith("src/") and "/testing/" not in path:
        for name, node in walk(text):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in LOGS and ast.unparse(node.func.value) in {"log", "_log", "logger"}:
                for part in (*node.args, *(it.value for it in node.keywords)):
                    found = sorted(set(rendered(part)) & SPOKEN)
                    yield from (f"{name or 'the module'} logs {it}" for it in found)


@pytest.mark.parametrize(
    "line",
    [
        'log.info("heard: %s", self.last.transcript.strip())',
        "_log.error(f\"{event['text']}\")",
        'log.warning("%s", cut(reply.content, 20))',
        'log.exception("%s", prompt.messages[-1])',
        'log.info("%s", {"why": phrase})',
    ],
)
def test_words_in_a_log_are_found(line: str) -> None:
    """Whatever way they get there."""
    assert list(logged_words("src/x.py", line))


@pytest.mark.parametrize(
    "line",
    [
        'log.info("of %s, with a message", transcript.endpoint)',
        'say(f"{text}")',
        'log.info("%d calls", len(calls))',
    ],
)
def test_what_is_not_said_may_be_logged(line: str) -> None:
    """The scan is no ban on logs."""
    assert not list(logged_words("src/x.py", line))


def test_nothing_that_is_said_is_logged() -> None:
    """Not anywhere in what ships, but for the public simulations of tests."""
    found = {path: list(logged_words(path, text)) for path, text in files(".py").items()}
    assert len(found) > 100, "the house is not this empty: the walk is wrong"
    assert {path: it for path, it in found.items() if it} == LET_PASS
