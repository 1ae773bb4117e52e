"""Every way in which a model's server fails, as a plain client of the gateway lives through it.

`trunkline serve`, real sockets, a sick model first and a healthy one behind it. A client that has
text read out never runs dry by more than the rules allow: each token is there within the deadline
of the text before it, as it takes to be spoken, and the time to a first token of the backup.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from trials.gateway_served import (
    ANSWER,
    LAW,
    TTFT_S,
    Heard,
    Reader,
    Route,
    Running,
    Served,
    configuration,
    gateway,
)
from trunkline.config.load import load
from trunkline.config.policies import known_endpoints
from trunkline.core.attempt_words import Plan
from trunkline.core.lane import spoken_chars_per_s
from trunkline.core.phrases import Phrases
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import FixedModel, tokens
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import Law
from trunkline.testing.openai_server import RequestRecord
from trunkline.types import Mono, ToolCall

SLACK_S = 0.05
AFTER = 12
BEFORE: Mapping[str, Mapping[str, object]] = {
    "refuse": {"kind": "refuse"},
    "429": {"kind": "status", "status": 429, "retry_after_s": 7},
    "500": {"kind": "status", "status": 500},
    "401": {"kind": "status", "status": 401},
    "empty": {"kind": "empty"},
}
"""Told before the first token, at once."""
SILENT: Mapping[str, Mapping[str, object]] = {
    "hang": {"kind": "hang"},
    "headers": {"kind": "headers_only"},
    "keepalives": {"kind": "keepalives", "gap_s": 0.05},
}
INSIDE: Mapping[str, Mapping[str, object]] = {
    "cut": {"kind": "cut", "after_tokens": AFTER},
    "malformed": {"kind": "malformed", "after_tokens": AFTER},
    "truncated": {"kind": "truncate", "after_tokens": AFTER},
    "error-inside": {"kind": "error_inside", "after_tokens": AFTER},
}
"""Told in the middle of the answer, at once."""
SLOW: Mapping[str, Mapping[str, object]] = {
    "stall": {"kind": "stall", "after_tokens": AFTER},
    "drip": {"kind": "drip", "after_tokens": AFTER, "gap_s": 0.8},
}
FAULTS = {**BEFORE, **SILENT, **INSIDE, **SLOW}
WAYS = ("prefix", "turn")
BUSY = {"on-500": ("500", "prefix"), "on-cut": ("cut", "turn"), "on-stall": ("stall", "prefix")}
CALL = ToolCall("call_1", "book", json.dumps({"day": "Thursday", "notes": "x" * 200}))
PLACES = range(1, len(tokens(ANSWER)), 3)
LATE = Law("late", 1.5, 0.0, 0.005, 0.0, 0.0)
SLOWLY = Law("slowly", TTFT_S, 0.0, 0.05, 0.0, 0.0)
BABBLE = FixedModel(
    ChatReply("Nothing of this has to do with any question that anybody asked. " * 3)
)


def sick(**script: object) -> Served:
    return Served([FaultScript.parse(script)])


def routes() -> dict[str, Route]:
    """A model for each fault and each way to go on, and those that cannot be saved."""
    well, made = Served(), dict[str, Route]()
    for fault, script in {**BEFORE, **SILENT}.items():
        made[f"with-{fault}"] = Route([sick(**script), well], ["prefix", "prefix"])
    for fault, script in {**INSIDE, **SLOW}.items():
        for way in WAYS:
            made[f"with-{fault}-{way}"] = Route([sick(**script), well], ["prefix", way])
    for place in PLACES:
        first = sick(kind="cut", after_tokens=place)
        for way in WAYS:
            made[f"at-{place}-{way}"] = Route([first, well], ["prefix", way])
    for name, (fault, way) in BUSY.items():
        made[name] = Route([sick(**FAULTS[fault]), well], ["prefix", way])
    short, silent = sick(kind="cut", after_tokens=3), sick(kind="stall", after_tokens=3)
    made["all-cut"] = Route([short, short], WAYS)
    made["all-silent"] = Route([silent, silent], WAYS, {"give_up_s": 1.0})
    made["all-429"] = Route([sick(kind="status", status=429, retry_after_s=7)] * 2, WAYS)
    made["all-500"] = Route([sick(kind="status")] * 2, WAYS)
    off = Served(model=BABBLE)
    made["babble"] = Route([sick(kind="cut", after_tokens=AFTER), off], ["prefix", "turn"])
    halfway = FaultScript.parse({"kind": "cut", "after_tokens": 8})
    calls = FixedModel(ChatReply("", (CALL,)))
    made["late"] = Route([Served(law=LATE), well], ["prefix", "prefix"])
    first = sick(kind="cut", after_tokens=AFTER)
    made["held"] = Route([first, well], ["prefix", "turn"], {"hold": "sentence"})
    made["long"] = Route([Served(law=SLOWLY)], ["prefix"])
    made["half-a-call"] = Route([Served([halfway], calls), Served(model=calls)], WAYS)
    return made


class Scene:
    """The running gateway, and what its routing plans for a model that it has not tried."""

    def __init__(self, running: Running, made: Mapping[str, Route], folder: Path) -> None:
        self._running, self._routes, self._folder = running, made, folder

    def ask(self, model: str, more: Mapping[str, object] | None = None) -> Heard:
        """Ask once; the outcome is printed, for whoever reads the trial's output."""
        heard = self._running.ask(model, more)
        first = heard.tokens[0][0] - heard.asked if heard.tokens else None
        print(
            f"{model}: {heard.status}, first {first and round(first, 3)} s, {len(heard.tokens)} "
            f"tokens, {heard.finishes}, {heard.errors}, {heard.comments}, "
            f"waited {heard.waited_s:.3f} s for a core"
        )
        return heard

    def leave(self, model: str, *, after_s: float, stream: bool) -> None:
        """Ask, and hang up after *after_s*."""
        with pytest.raises(TimeoutError):
            self._running.ask(model, {"stream": stream}, after_s)

    def requests(self, model: str) -> Sequence[RequestRecord]:
        """What its first server was asked."""
        return self._routes[model].servers[0].requests

    def plan(self, model: str) -> Plan:
        """As the gateway makes it for a first request."""
        file = self._folder / "plan.yaml"
        file.write_text(json.dumps(configuration({model: self._routes[model]}, self._folder)))
        config = load(file)
        assert config.gateway is not None
        names = config.gateway.models[model].llm
        assert names is not None
        router = Router(RoutingPolicy(), known_endpoints(config))
        return router.plan(names, None, router.call(0.5), Mono(0.0))

    def struck(self, model: str) -> float:
        """When its first server failed."""
        (struck,) = self._routes[model].servers[0].struck
        return struck.mono


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, made = tmp_path_factory.mktemp("gateway"), routes()
    with gateway(made, folder) as running:
        yield Scene(running, made, folder)


def recovery_s(way: str) -> float:
    """Until the backup has said something new: by a turn, it writes the broken sentence again."""
    if way == "prefix":
        return TTFT_S
    sent = "".join(tokens(ANSWER)[:AFTER])
    cut = Phrases()
    said = cut.feed(sent)
    again = len(tokens(sent.removeprefix(" ".join(said))))
    return TTFT_S + (again + 1) * LAW.gap_s


def overdue(heard: Heard, plan: Plan, backup_s: float) -> list[str]:
    """The tokens that came later than the rules of the gateway allow, and by how much."""
    late, drain, rate = list[str](), 0.0, spoken_chars_per_s("en")
    slack_s = SLACK_S + heard.waited_s
    for number, (at, text) in enumerate(heard.tokens):
        if number:
            before = heard.tokens[number - 1][0]
            deadline = max(before + plan.gap_floor_s, drain - plan.recovery_q95_s)
            if at > deadline + backup_s + slack_s:
                late.append(f"{text!r} came {at - deadline - backup_s:.3f} s after its deadline")
        drain = max(drain, at) + len(text) / rate
    return late


def check_whole(heard: Heard, model: str) -> None:
    """The client has the answer, once, and no reason to doubt it; and it is told who answered."""
    assert heard.status == 200
    assert heard.text == ANSWER
    assert heard.whole, heard
    assert heard.finishes == ["stop"]
    told = json.loads(heard.comments[-1].removeprefix("trunkline "))
    assert told["endpoint"] == f"{model}-2"
    assert told["attempts"] == 2
    assert [(it["from"], it["to"]) for it in told["failovers"]] == [(f"{model}-1", f"{model}-2")]


@pytest.mark.parametrize("fault", BEFORE)
def test_one_that_refuses(scene: Scene, fault: str) -> None:
    """The backup is asked at once, and the headers say so."""
    model = f"with-{fault}"
    heard = scene.ask(model)
    check_whole(heard, model)
    assert heard.tokens[0][0] - heard.asked < TTFT_S + SLACK_S + heard.waited_s
    assert heard.headers["X-Trunkline-Endpoint"] == f"{model}-2"
    assert heard.headers["X-Trunkline-Failover"].startswith(f"{model}-1>{model}-2;")
    assert overdue(heard, scene.plan(model), TTFT_S) == []


@pytest.mark.parametrize("fault", SILENT)
def test_one_that_never_says_a_token(scene: Scene, fault: str) -> None:
    """Headers and keep-alives are no answer: the backup is asked when the hedge is due."""
    model = f"with-{fault}"
    heard = scene.ask(model)
    check_whole(heard, model)
    plan = scene.plan(model)
    first_s = heard.tokens[0][0] - heard.asked
    assert first_s < plan.hedge_after_s + TTFT_S + SLACK_S + heard.waited_s
    assert heard.headers["X-Trunkline-Endpoint"] == f"{model}-2"
    assert overdue(heard, plan, TTFT_S) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [*INSIDE, *SLOW])
def test_one_that_breaks_off(scene: Scene, fault: str, way: str) -> None:
    """Another goes on behind the last character; whoever reads it aloud need not stop."""
    model = f"with-{fault}-{way}"
    heard = scene.ask(model)
    check_whole(heard, model)
    assert heard.headers["X-Trunkline-Endpoint"] == f"{model}-1"
    assert overdue(heard, scene.plan(model), recovery_s(way)) == []
    if fault in INSIDE:
        after_s = heard.tokens[AFTER][0] - scene.struck(model)
        assert after_s < recovery_s(way) + SLACK_S + heard.waited_s


def test_one_that_is_late_loses_the_race(scene: Scene) -> None:
    """Whoever speaks first is heard alone; the other is told to stop before it has begun."""
    heard = scene.ask("late")
    check_whole(heard, "late")
    (lost,) = scene.requests("late")
    assert lost.ended == "cancelled at token 0"


def test_an_answer_by_the_sentence(scene: Scene) -> None:
    """With `hold: sentence` a client has whole sentences only, also around a seam."""
    heard = scene.ask("held")
    check_whole(heard, "held")
    said = ""
    for _, piece in heard.tokens:
        said += piece
        assert said.rstrip()[-1] in ".?", f"{piece!r} ends inside a sentence"
    assert len(heard.tokens) > 2


@pytest.mark.parametrize("way", WAYS)
def test_a_seam_anywhere(scene: Scene, way: str) -> None:
    """Behind a word, inside of one, before and behind a full stop: the answer is the same."""
    for place in PLACES:
        check_whole(scene.ask(f"at-{place}-{way}"), f"at-{place}-{way}")


@pytest.mark.ci
@pytest.mark.parametrize("model", BUSY)
def test_nothing_is_lost_on_a_busy_machine(scene: Scene, model: str) -> None:
    """One of each kind, without a clock."""
    check_whole(scene.ask(model), model)


@pytest.mark.parametrize("model", ["all-cut", "all-silent", "babble"])
def test_an_answer_that_cannot_be_completed_is_not_passed_off_as_whole(
    scene: Scene, model: str
) -> None:
    """An error inside the stream, no finish reason, no [DONE], and the transfer breaks off."""
    heard = scene.ask(model)
    assert heard.status == 200
    assert len(heard.errors) == 1
    assert "no endpoint" in heard.errors[0]
    assert (heard.finishes, heard.dones) == ([], 0)
    assert heard.broken
    assert ANSWER.startswith(heard.text)
    assert heard.text


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_ends_what_it_asked_for(scene: Scene, stream: bool) -> None:
    """Nobody pays for tokens that nobody reads."""
    before = len(scene.requests("long"))
    scene.leave("long", after_s=0.6, stream=stream)
    asked = scene.requests("long")[before]
    until = time.monotonic() + 5
    while not asked.ended and time.monotonic() < until:
        time.sleep(0.01)
    assert asked.ended.startswith("cancelled at token")
    assert asked.tokens < len(tokens(ANSWER)) / 2


def test_half_a_tool_call_is_not_completed_by_another(scene: Scene) -> None:
    """Nobody else would write the rest of the same arguments: it is an error, and no call."""
    tool = {"type": "function", "function": {"name": "book", "parameters": {"type": "object"}}}
    heard = scene.ask("half-a-call", {"tools": [tool]})
    assert heard.tools
    assert len(heard.errors) == 1
    assert (heard.finishes, heard.dones) == ([], 0)
    assert heard.broken


@pytest.mark.parametrize(("model", "status"), [("all-429", 429), ("all-500", 503)])
def test_what_nobody_answers_is_an_http_error(scene: Scene, model: str, status: int) -> None:
    """Before the first token there is a status to give, and when to come back."""
    heard = scene.ask(model)
    assert heard.status == status
    assert json.loads(heard.body)["error"]["message"]
    assert int(heard.headers["Retry-After"]) >= 1


def test_a_seam_that_is_found_wrong_is_found() -> None:
    """The checks of this file see an answer with a hole, one said twice, and one that came late."""
    whole = Heard(1.0, 200, tokens=[(1.1, ANSWER)], finishes=["stop"], dones=1, ids={"x"})
    assert whole.whole
    for text in (ANSWER[:20] + ANSWER[30:], ANSWER[:40] + ANSWER[30:]):
        with pytest.raises(AssertionError):
            check_whole(Heard(1.0, 200, tokens=[(1.1, text)], finishes=["stop"], dones=1), "x")
    plan = Plan(
        ("a", "b"), 0.6, 0.6, 2.2, recovery_q95_s=0.5, gap_floor_s=0.3, gap_floor_empty_s=0.5
    )
    late = Heard(0.0, tokens=[(0.0, "x" * 14), (0.81, "y")])  # a second of speech, less recovery
    assert overdue(late, plan, TTFT_S)
    assert not overdue(Heard(0.0, tokens=[(0.0, "x" * 14), (0.62, "y")]), plan, TTFT_S)


def test_the_rigs_own_model_goes_on_as_it_is_asked_to() -> None:
    """It says the rest behind a prefix, and the broken sentence again behind a turn."""
    assert Reader()._again(ANSWER[:50]).startswith("Our practice is")
