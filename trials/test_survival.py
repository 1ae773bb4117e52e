"""What Trunkline claims first, shown on calls in real time: see trials/README.md.

The full set places about a hundred calls, three at a time. `-m ci` places one of each kind.
"""

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

import numpy as np
import pytest

from trials.calls import (
    Campaign,
    Channel,
    Items,
    Order,
    Rendering,
    Seen,
    agent_stops_after_s,
    blemishes,
    items_heard,
    policy,
    renderings,
)
from trials.calls import added_s as planted_s
from trials.stored import check_recorded_from_consent_on, check_unrecorded
from trunkline.console.spoken import embedded_voice
from trunkline.media.match import find, heard
from trunkline.media.tape import HeardTurn, summary
from trunkline.types import SAMPLE_RATE, Event

RUNS: Final = 20
RUNS_BEFORE_AUDIO: Final = 10
SEEDS_MAX: Final = 40
QUEUED_MIN_S: Final = 0.8
ADDED_MAX_S: Final = 0.3
MARGIN_S: Final = 0.15
LATER_MAX_S: Final = 1.5
V2V_P50_MAX_S: Final = 0.6
STOP_MAX_S: Final = 0.25
WORD_MAX_S: Final = 1.0
"""What may have been played beyond the last word that is known to be heard: a long word."""
MOMENTS: Final = tuple(round(0.8 + 1.45 * number, 2) for number in range(1, 11))
MID_ANSWER: Final = ("stall", "cut")
BEFORE_AUDIO: Final = ("refuse", "hang")
BARGE_IN: Final = tuple(
    Order(seed=seed, script="barge_in.yaml", barge_in_s=moment)
    for seed, moment in enumerate(MOMENTS, 1)
)
NO_CONSENT: Final = tuple(Order(seed=seed, script="consent_no.yaml") for seed in (1, 2))
SMALL: Final = (
    BARGE_IN[2],
    NO_CONSENT[0],
    *(Order(fault, seed=1) for fault in ("none", "stall", "cut", "refuse")),
)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """The calls of this session; it prints what came of them."""
    placed = Campaign(tmp_path_factory.mktemp("calls"))
    yield placed
    print(table(placed))


@pytest.fixture(scope="module")
def survey(campaign: Campaign) -> Campaign:
    """Every call that the claims need, in one go, so that no slot stands idle."""
    seeds = range(1, RUNS + 2)
    campaign.see(
        [
            *(Order(fault, seed) for seed in seeds for fault in ("none", *MID_ANSWER)),
            *(Order(fault, s) for s in seeds[:RUNS_BEFORE_AUDIO] for fault in BEFORE_AUDIO),
            *BARGE_IN,
            *NO_CONSENT,
        ]
    )
    for seed in count(seeds.stop):
        counting = [len(paired(campaign, fault, counts=True)) for fault in MID_ANSWER]
        if min(counting) >= RUNS or seed > SEEDS_MAX:
            break
        campaign.see(Order(fault, seed) for fault in ("none", *MID_ANSWER))
    return campaign


def of(campaign: Campaign, *faults: str, script: str = "short.yaml") -> list[Seen]:
    """The calls with these faults."""
    orders = campaign.seen
    return [orders[o] for o in orders if o.fault in faults and o.script == script]


def paired(campaign: Campaign, fault: str, *, counts: bool | None = None) -> list[Seen]:
    """Those that failed over and have a call without the fault to be compared with.

    *counts*: only those with enough audio queued for the claim on dead air, or only the others.
    """
    return [
        seen
        for seen in of(campaign, fault)
        if replace(seen.order, fault="none") in campaign.seen
        and seen.of_answer("failover")
        and (counts is None or counts == (seen.queued_s() >= QUEUED_MIN_S))
    ]


def unfaulted(campaign: Campaign, seen: Seen) -> Seen:
    """The call with the same seed and without the fault."""
    return campaign.seen[replace(seen.order, fault="none")]


def added_s(campaign: Campaign, seen: Seen) -> float:
    return seen.added_s(unfaulted(campaign, seen))


def later_s(campaign: Campaign, seen: Seen) -> float:
    """How much later the long answer began than without the fault."""
    return v2v_s(seen.answer) - v2v_s(unfaulted(campaign, seen).answer)


def v2v_s(turn: HeardTurn) -> float:
    """Infinity for a reply that never came."""
    return math.inf if turn.v2v_s is None else turn.v2v_s


def unfaulted_v2v_s(campaign: Campaign) -> list[float]:
    """Response times of all turns but those that a fault struck."""
    return [
        v2v_s(turn)
        for seen in campaign.seen.values()
        for turn in seen.turns
        if not (seen.run.strikes and turn == seen.answer)
    ]


# -- the claims ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", MID_ANSWER)
def test_a_model_that_dies_in_mid_answer_adds_little_dead_air(survey: Campaign, fault: str) -> None:
    """At most 0.3 s in 20 of 20 calls with 0.8 s queued; else what the policy promises."""
    enough = paired(survey, fault, counts=True)
    assert len(enough) >= RUNS, f"{len(enough)} calls count; failed: {survey.failed}"
    for seen in of(survey, fault):
        check_dead_air(survey, seen)


def check_dead_air(campaign: Campaign, seen: Seen) -> None:
    assert len(seen.run.strikes) == 1, f"{seen.order.name}: the fault did not strike once"
    assert seen.of_answer("failover"), f"{seen.order.name}: nobody took over"
    assert seen.answer.reply is not None
    bound_s = ADDED_MAX_S
    if seen.queued_s() < QUEUED_MIN_S:
        floor_s, recovery_s = policy(seen)
        bound_s = floor_s + recovery_s - seen.queued_s() + MARGIN_S
    added = added_s(campaign, seen)
    assert added <= bound_s, f"{seen.order.name}: {added:.3f} s added, bound {bound_s:.3f} s"


@pytest.mark.parametrize("fault", BEFORE_AUDIO)
def test_a_model_that_does_not_answer_is_replaced_in_time(survey: Campaign, fault: str) -> None:
    """Before any audio, the reply comes at most 1.5 s later than without the fault."""
    seen_all = of(survey, fault)
    assert len(seen_all) == RUNS_BEFORE_AUDIO, f"failed: {survey.failed}"
    for seen in seen_all:
        check_reply_in_time(survey, seen)


def check_reply_in_time(campaign: Campaign, seen: Seen) -> None:
    assert len(seen.run.strikes) == 1, f"{seen.order.name}: the fault did not strike once"
    told = [event.data["fault"] for event in seen.of_answer("failover")]
    expected = ["silent"] if seen.order.fault == "hang" else ["unreachable"]
    assert told == expected, f"{seen.order.name}: the journal says {told}"
    assert later_s(campaign, seen) <= LATER_MAX_S, f"{later_s(campaign, seen):.3f} s later"


def test_nothing_is_lost_or_repeated(survey: Campaign) -> None:
    """Each item of the long answer is on the tape exactly once, whole, in one wording."""
    dirty = {s.order.name: s.clean() for s in heard_out(survey) if s.clean()}
    assert dirty == {}
    assert all(set(seen.outcome.items.values()) == {1} for seen in heard_out(survey))
    assert survey.failed == {}


def heard_out(campaign: Campaign) -> list[Seen]:
    """The calls in which nobody interrupted the long answer."""
    return [seen for seen in campaign.seen.values() if seen.order.barge_in_s is None]


def test_a_planted_fault_of_the_tape_is_found(survey: Campaign) -> None:
    """Cut and paste on the tape of a call that failed over is seen, so a clean tape is clean."""
    check_control(of(survey, "stall")[0])


def check_control(seen: Seen) -> None:
    """Plant, in the tape of *seen*, losses and repetitions of an item: whole and in part."""
    agent, key = seen.evidence.agent, "parking.behind_building"
    found = next(wording for wording in seen.items[key] if wording.once)
    assert found.start_s is not None
    assert found.end_s is not None
    start, end = round(found.start_s * SAMPLE_RATE), round(found.end_s * SAMPLE_RATE)
    half = (start + end) // 2

    async def heard_of(tape: Channel) -> Items:
        async with embedded_voice({}) as voice:
            return await items_heard(tape, voice)

    def judged(tape: Channel) -> list[str]:
        return [blemish.split(":")[0] for blemish in blemishes(asyncio.run(heard_of(tape)))]

    assert judged(agent) == []
    assert judged(np.concatenate([agent[:end], agent[start:]])) == [key], "repeated at once"
    assert judged(np.concatenate([agent, agent[start:end]])) == [key], "repeated at the end"
    assert judged(np.concatenate([agent[:end], agent[half:]])) == [key], "its second half twice"
    assert judged(np.concatenate([agent[:start], agent[end:]])) == [key], "lost"
    assert judged(np.concatenate([agent[:half], agent[end:]])) == [key], "its second half lost"
    silent = np.insert(seen.tape, half, np.zeros((SAMPLE_RATE, 2), np.int16), axis=0)
    longer = next(t for t in summary(silent).turns if t.caller == seen.answer.caller)
    assert planted_s(longer, seen.answer) >= ADDED_MAX_S, "a second of silence"


def test_the_agent_answers_within_the_pause_of_a_conversation(survey: Campaign) -> None:
    """The median of end of speech to first audio is at most 0.6 s over all unfaulted turns."""
    assert np.percentile(unfaulted_v2v_s(survey), 50, method="higher") <= V2V_P50_MAX_S


def test_the_caller_may_interrupt(survey: Campaign) -> None:
    """The agent stops within 250 ms, and what it believes was heard is what the tape holds."""
    seen_all = of(survey, "none", script="barge_in.yaml")
    assert len(seen_all) == len(BARGE_IN), f"failed: {survey.failed}"
    for seen in seen_all:
        check_interruption(seen)


def check_interruption(seen: Seen) -> None:
    stops_s = agent_stops_after_s(seen, seen.turns[2])
    assert stops_s <= STOP_MAX_S, f"{seen.order.name}: the agent went on for {stops_s:.3f} s"
    ended = seen.of_answer("reply.ended")[0]
    told, spoken = str(ended.data["heard"]), str(ended.data["spoken"])
    assert ended.data["interrupted"] is True
    assert told
    assert spoken.startswith(told)
    check_heard_text(seen, told)
    turn = ended.where.turn + 1
    request = next(e for e in seen.evidence.of("attempt.request") if e.where.turn == turn)
    said = next(e for e in seen.evidence.of("transcript.final") if e.where.turn == turn)
    messages = messages_of(request)
    assert messages[-2:] == [("assistant", told), ("user", said.data["text"])]


def messages_of(request: Event) -> list[tuple[str, str]]:
    sent = request.data["request"]
    assert isinstance(sent, Mapping)
    return [(message["role"], message["content"]) for message in sent["messages"]]


def check_heard_text(seen: Seen, told: str) -> None:
    """The tape holds the heard words, and hardly more; the rest of the answer is not on it."""
    asked = seen.answer.caller
    assert asked is not None
    agent = seen.evidence.agent[: round((seen.turns[2].caller or asked).end_s * SAMPLE_RATE)]
    sentences = [str(event.data["text"]) for event in seen.of_answer("phrase.spoken")]
    rendered = asyncio.run(renderings(sentences))
    place = 0  # of the sentence in the text that was told
    for sentence, sound in zip(sentences, rendered, strict=True):
        left = len(told) - place
        if left >= len(sentence):
            assert heard(sound.pcm, agent).once, f"{seen.order.name}: {sentence!r} is not heard"
        elif left > 0:
            check_broken_sentence(seen, sound, told[place:].rstrip(), agent)
        else:
            assert not find(sound.pcm, agent), f"{seen.order.name}: {sentence!r} was heard"
        place += len(sentence) + 1


def check_broken_sentence(seen: Seen, sound: Rendering, words: str, agent: Channel) -> None:
    """*words* is all that is told of a sentence: its audio was played that far, and little more."""
    told = next(word.at for word in sound.words if word.start > len(words) - 1)
    matches = find(sound.pcm[:told], agent)
    assert len(matches) == 1, f"{seen.order.name}: {words!r} is not on the tape once"
    begun = round(matches[0].start_s * SAMPLE_RATE)
    most = told + round(WORD_MAX_S * SAMPLE_RATE)
    beyond = agent[begun + most : begun + len(sound.pcm)]
    assert not np.any(np.abs(beyond) > 256), f"{seen.order.name}: more than {words!r} was heard"


# -- consent ---------------------------------------------------------------------------------------


def test_nothing_of_the_caller_is_stored_before_consent(survey: Campaign) -> None:
    """No byte of any file, nor of the log while the call was up, holds earlier caller speech."""
    for seen in survey.seen.values():
        if seen.order.script != "consent_no.yaml":
            check_recorded_from_consent_on(seen)


def test_a_caller_who_does_not_consent_is_served_unrecorded(survey: Campaign) -> None:
    """No audio at all is stored, and the long answer is given."""
    seen_all = of(survey, "none", script="consent_no.yaml")
    assert len(seen_all) == len(NO_CONSENT), f"failed: {survey.failed}"
    for seen in seen_all:
        check_served_unrecorded(seen)


def check_served_unrecorded(seen: Seen) -> None:
    check_unrecorded(seen)
    assert seen.clean() == []
    assert [v2v_s(turn) < math.inf for turn in seen.turns] == [True, True]


# -- for every change ------------------------------------------------------------------------------


@pytest.mark.ci
def test_one_call_of_each_kind(campaign: Campaign) -> None:
    """One stall, cut, refusal, interruption and refused consent, each held to its claim."""
    campaign.see(SMALL)
    assert campaign.failed == {}
    calls = campaign.seen
    for fault in MID_ANSWER:
        check_dead_air(campaign, calls[Order(fault, seed=1)])
    check_reply_in_time(campaign, calls[Order("refuse", seed=1)])
    check_interruption(calls[BARGE_IN[2]])
    check_served_unrecorded(calls[NO_CONSENT[0]])
    for order in SMALL[2:]:
        assert calls[order].clean() == []
        check_recorded_from_consent_on(calls[order])
    check_control(calls[Order("stall", seed=1)])


# -- what is printed -------------------------------------------------------------------------------


def table(campaign: Campaign) -> str:
    """The figures of all calls, for a person."""
    lines = ["", f"{len(campaign.seen)} calls; {len(campaign.discarded)} placed again:"]
    lines += [f"  {why}" for why in (*campaign.discarded, *map(str, campaign.failed.items()))]
    for fault in MID_ANSWER:
        for title, counts in (("dead air added", True), ("the same, less queued", False)):
            some = [added_s(campaign, s) for s in paired(campaign, fault, counts=counts)]
            lines.append(figures(f"{fault}: {title}", some))
    for fault in BEFORE_AUDIO:
        later = [later_s(campaign, seen) for seen in paired(campaign, fault)]
        lines.append(figures(f"{fault}: reply later by", later))
    stops = [
        agent_stops_after_s(s, s.turns[2]) for s in of(campaign, "none", script="barge_in.yaml")
    ]
    lines.append(figures("agent silent after interruption", stops))
    lines.append(figures("V2V, unfaulted turns", unfaulted_v2v_s(campaign)))
    return "\n".join(lines)


def figures(what: str, values_s: Sequence[float]) -> str:
    if not values_s:
        return f"  {what:32} no call"
    p50, p95 = (np.percentile(values_s, q, method="higher") for q in (50, 95))
    told = f"p50 {p50:.3f}  p95 {p95:.3f}  max {max(values_s):.3f} s"
    return f"  {what:32} {len(values_s):3} x  {told}"
