"""The files and the table of a demo: what a person looks at when the call is over."""

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline.console import plain
from trunkline.console.live import STYLES
from trunkline.console.outcome import PAUSE_S, RESPONSE_S, Evidence, Outcome
from trunkline.console.picture import (
    Attempted,
    CallPicture,
    Moment,
    NamedFile,
    Said,
    TurnFigures,
    Verdict,
)
from trunkline.console.report import render_html, render_svg
from trunkline.types import SAMPLE_RATE, Event

_TITLES = {
    "stall": "One phone call, one frozen model",
    "cut": "One phone call, one broken connection",
    "refuse": "One phone call, one model that refuses",
    "hang": "One phone call, one model that hangs",
}
_ABOUT = {
    "picture": "this call as a picture",
    "tape": "what was heard: left the caller, right the agent",
    "recording": "the worker's own recording, from the consent on",
    "transcript": "what was said and heard",
    "calendar": "what was booked",
}
"""What the report says of the files beside it."""


def table(outcome: Outcome, console: Console) -> None:
    """Print the figures of every turn, the failovers, the files and the verdict."""
    console.print()
    rows = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title="Seconds after the caller's last word, measured on the tape",
        title_justify="left",
        title_style="bold",
        header_style="dim",
    )
    rows.add_column("#", justify="right", vertical="top")
    rows.add_column("caller said", min_width=20)
    for name in ("text", "token", "audio", "dead air"):
        rows.add_column(name, justify="right", no_wrap=True)
    rows.add_column("words by", no_wrap=True)
    for turn in outcome.turns:
        waits = (turn.transcript_s, turn.token_s, turn.audio_s, turn.dead_air_s)
        by = Text("\n").join(Text(name, STYLES.get(name, "")) for name in turn.endpoints)
        rows.add_row(str(turn.turn), Text(turn.said), *map(plain.seconds, waits), by)
    console.print(rows)
    console.print()
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    for name, told in _facts(outcome):
        facts.add_row(name, Text(told))
    console.print(facts)
    for name, path in outcome.paths.items():  # never wrapped: a path is copied whole
        console.print(Text(f"{name:<13}", "dim"), Text(path), sep="", soft_wrap=True)
    console.print()
    if outcome.survived:
        console.print("The call survived.", style="bold green")
    for reason in outcome.why_not:
        console.print(Text("The call did not survive: ", "bold red"), Text(reason), sep="")


def _facts(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for failover in outcome.failovers:
        told = (
            f"at {failover.at_s:.2f} s {failover.to_endpoint} took over from "
            f"{failover.from_endpoint} ({failover.fault})"
        )
        if failover.kind == "rescue":
            told += (
                f" after {failover.silent_s:.2f} s without a token, with "
                f"{failover.queued_s:.2f} s of speech still to be heard"
            )
        else:
            told += ", before anything was heard"
        yield failover.kind, told
    if outcome.v2v_p50_s is not None:
        yield "V2V p50", f"{plain.seconds(outcome.v2v_p50_s)} s"
    yield (
        "dead air",
        f"{plain.seconds(outcome.dead_air_s['max'])} s at most: silence inside a reply beyond "
        f"{PAUSE_S:g} s, or before one beyond {RESPONSE_S:g} s",
    )
    yield (
        "long answer",
        f"{len(outcome.items)} items, {outcome.items_lost} lost, {outcome.items_repeated} repeated",
    )
    booked = outcome.booking
    yield (
        "booked",
        "nothing"
        if booked is None
        else f"{plain.moment(booked['start'])}, {booked['name']}, {booked['reason']}",
    )


def write(evidence: Evidence, outcome: Outcome, folder: Path) -> None:
    """Write `report.html` and `call.svg` into *folder*."""
    picture = draw(evidence, outcome)
    (folder / "report.html").write_text(render_html(picture), "utf-8")
    (folder / "call.svg").write_text(render_svg(picture), "utf-8")


def draw(evidence: Evidence, outcome: Outcome) -> CallPicture:
    """The call as a picture."""
    return CallPicture(
        title=_TITLES.get(outcome.fault, "One phone call"),
        subtitle=_subtitle(outcome),
        duration_s=len(evidence.tape) / SAMPLE_RATE,
        caller=evidence.tape[:, 0].copy(),
        agent=evidence.agent.copy(),
        caller_said=tuple(_caller_said(evidence)),
        agent_said=tuple(_agent_said(evidence)),
        verdict=Verdict(
            len(outcome.failovers),
            outcome.dead_air_s["max"],
            outcome.items_lost,
            outcome.items_repeated,
            outcome.v2v_p50_s,
        ),
        moments=tuple(_moments(evidence, outcome)),
        attempts=tuple(_attempts(evidence)),
        turns=tuple(
            TurnFigures(
                turn.end_of_speech_s,
                turn.transcript_s,
                turn.token_s,
                turn.audio_s,
                turn.dead_air_s,
                turn.endpoints,
            )
            for turn in outcome.turns
        ),
        files=tuple(
            NamedFile(str(Path(path).relative_to(evidence.run.order.out)), _ABOUT[name])
            for name, path in outcome.paths.items()
            if name in _ABOUT
        ),
    )


def _subtitle(outcome: Outcome) -> str:
    if outcome.struck_at_s is None:
        return "Nothing was broken in this call."
    struck = f"At {outcome.struck_at_s:.1f} s the primary model "
    if outcome.struck_token:
        struck += f"falls silent at token {outcome.struck_token} of its answer."
    else:
        struck += "stops answering."
    if outcome.items_lost or outcome.items_repeated:
        return f"{struck} The answer does not reach the caller as it should."
    return f"{struck} The caller hears the answer to its end."


def _caller_said(evidence: Evidence) -> list[Said]:
    """The caller's words where they were said: the recogniser's times count the call's samples."""
    (started,) = evidence.of("call.started")
    zero_s = evidence.at(started.mono)
    said: list[Said] = []
    for final in evidence.of("transcript.final"):
        words = final.data.get("words")
        assert isinstance(words, list)  # noqa: S101  # our own recogniser's: narrows for mypy
        for text, start, end in words:
            begins_s = max(zero_s + start / SAMPLE_RATE, said[-1].end_s if said else 0.0)
            said.append(Said(str(text), begins_s, max(begins_s, zero_s + end / SAMPLE_RATE)))
    return said


def _agent_said(evidence: Evidence) -> list[Said]:
    """The agent's words where the caller heard them, by the carrier's marks.

    A mark comes back when the word before it is over, so a word begins at the mark before; the
    first one of a reply begins with the reply's first audio.
    """
    phrases = {int(str(e.data["index"])): e for e in evidence.of("phrase.spoken")}
    said: list[Said] = []
    reached: dict[int, int] = {}  # characters of each phrase that were heard
    before_s = 0.0
    for mark in evidence.of("playout.mark"):
        phrase, chars = (int(part) for part in str(mark.data["name"]).split(".")[1:])
        spoken, since = phrases.get(phrase), reached.get(phrase, 0)
        if spoken is None or chars <= since:
            continue
        reached[phrase] = chars
        at_s = evidence.at(mark.mono)
        begins_s = max(before_s, evidence.at(spoken.mono))
        if chars > since and since == 0:  # a pause may come before a phrase, not inside one
            begins_s = min(_onset(evidence, begins_s), at_s)
        words = str(spoken.data["text"])[since:chars].strip()
        said.append(Said(words, begins_s, max(begins_s, at_s), str(spoken.data["endpoint"])))
        before_s = at_s
    return said


def _onset(evidence: Evidence, after_s: float) -> float:
    """The first agent audio at or after *after_s*."""
    return next((max(s.start_s, after_s) for s in evidence.voiced if s.end_s > after_s), after_s)


def _moments(evidence: Evidence, outcome: Outcome) -> list[Moment]:
    moments = []
    for strike in evidence.run.strikes:
        mono = strike["mono"]
        assert isinstance(mono, float)  # noqa: S101  # our own servers': narrows for mypy
        label = f"primary {plain.fault(str(strike['kind']))}"
        # A server that refuses is not asked until the next turn.
        asked = strike["kind"] != "refuse"
        moments.append(Moment("freeze", evidence.at(mono), label, "primary", asked))
    for failover in outcome.failovers:
        label = f"{failover.to_endpoint} goes on"
        moments.append(Moment("failover", failover.at_s, label, failover.to_endpoint))
    return sorted(moments, key=lambda moment: moment.at_s)


def _attempts(evidence: Evidence) -> list[Attempted]:
    """The model's attempts; one that fell silent is drawn silent from its last token on."""
    attempts = []
    ends = {e.where: e for e in evidence.of("attempt.ended") if e.data["stage"] == "llm"}
    last: dict[object, Event] = {e.where: e for e in evidence.of("attempt.delta")}
    for start in evidence.of("attempt.started"):
        end = ends.get(start.where)
        if start.data["stage"] != "llm" or end is None:
            continue
        silent: float | None = None
        if end.data["outcome"] == "failed":
            silent = evidence.at(last.get(start.where, start).mono)
        name = str(start.data["endpoint"])
        attempts.append(Attempted(name, evidence.at(start.mono), evidence.at(end.mono), silent))
    return attempts
