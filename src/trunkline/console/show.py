"""The files and the table of a demo: what a person looks at when the call is over."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from trunkline.console.outcome import Evidence, Outcome
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

FAULT_LABELS = {
    "freeze": "primary frozen (SIGSTOP)",
    "cut": "primary's connection cut",
    "refuse": "primary refuses connections",
    "hang": "primary hangs",
}


def table(outcome: Outcome, console: Console) -> None:
    """Print the figures of every turn, the failovers and the verdict."""
    rows = Table(title="Seconds after the caller's last word, from the tape", title_justify="left")
    for name in ("turn", "caller said", "transcript", "first token", "first audio", "dead air"):
        rows.add_column(name, justify="left" if name == "caller said" else "right")
    rows.add_column("endpoints")
    for turn in outcome.turns:
        figures = (turn.transcript_s, turn.token_s, turn.audio_s, turn.dead_air_s)
        cells = ["-" if value is None else f"{value:.2f}" for value in figures]
        rows.add_row(str(turn.turn), turn.said, *cells, " + ".join(turn.endpoints))
    console.print(rows)
    for failover in outcome.failovers:
        console.print(
            f"{failover.at_s:.2f} s: {failover.from_endpoint} {failover.fault} -> "
            f"{failover.to_endpoint} ({failover.kind}); silent for {failover.silent_s:.2f} s, "
            f"{failover.queued_s:.2f} s of speech still queued",
            soft_wrap=True,
        )
    booked = outcome.booking or {"start": "nothing", "name": "nobody", "reason": "-"}
    v2v = "-" if outcome.v2v_p50_s is None else f"{outcome.v2v_p50_s:.2f} s"
    console.print(
        f"V2V p50 {v2v}; dead air at most {outcome.dead_air_s['max']:.2f} s; "
        f"{len(outcome.items)} items of the long answer: {outcome.items_lost} lost, "
        f"{outcome.items_repeated} repeated; "
        f"booked {booked['start']} for {booked['name']} ({booked['reason']})",
        soft_wrap=True,
    )
    for name, path in outcome.files.items():
        console.print(f"  {name:<11}{path}", soft_wrap=True)
    if outcome.survived:
        console.print("[bold green]The call survived.[/bold green]")
    for reason in outcome.why_not:
        console.print(f"[bold red]The call did not survive:[/bold red] {reason}", soft_wrap=True)


def write(evidence: Evidence, outcome: Outcome, folder: Path) -> None:
    """Write `report.html` and `call.svg` into *folder*."""
    picture = draw(evidence, outcome)
    (folder / "report.html").write_text(render_html(picture), "utf-8")
    (folder / "call.svg").write_text(render_svg(picture), "utf-8")


def draw(evidence: Evidence, outcome: Outcome) -> CallPicture:
    """The call as a picture."""
    return CallPicture(
        title="One phone call, one frozen model" if outcome.fault == "stall" else "One phone call",
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
            NamedFile(str(Path(path).relative_to(evidence.run.order.out)), name)
            for name, path in outcome.files.items()
            if name != "report"
        ),
    )


def _subtitle(outcome: Outcome) -> str:
    if outcome.struck_at_s is None:
        return "Nothing was broken in this call."
    return (
        f"At {outcome.struck_at_s:.1f} s the primary model dies at token {outcome.struck_token} of "
        "its answer. The caller hears the answer to its end."
    )


def _caller_said(evidence: Evidence) -> list[Said]:
    said = []
    spans = [turn.caller for turn in evidence.report.turns if turn.caller is not None]
    finals = evidence.of("transcript.final")
    for span, final in zip(spans, finals, strict=False):
        said.append(Said(str(final.data["text"]), span.start_s, span.end_s))
    return said


def _agent_said(evidence: Evidence) -> list[Said]:
    """Each phrase where the caller heard it: from the first of its marks to its last."""
    heard: dict[int, list[float]] = {}
    for mark in evidence.of("playout.mark"):
        phrase = int(str(mark.data["name"]).split(".")[1])
        heard.setdefault(phrase, []).append(evidence.at(mark.mono))
    said, before = [], 0.0
    for event in evidence.of("phrase.spoken"):
        marks = heard.get(int(str(event.data["index"])))
        if not marks:
            continue  # it was interrupted before its first word was heard
        start = max(before, evidence.at(event.mono), _onset(evidence, before))
        said.append(Said(str(event.data["text"]), start, marks[-1], str(event.data["endpoint"])))
        before = marks[-1]
    return [one for one in said if one.start_s <= one.end_s]


def _onset(evidence: Evidence, after_s: float) -> float:
    """The first agent audio at or after *after_s*."""
    replies = [turn.reply for turn in evidence.report.turns if turn.reply is not None]
    return next((max(r.start_s, after_s) for r in replies if r.end_s > after_s + 0.05), after_s)


def _moments(evidence: Evidence, outcome: Outcome) -> list[Moment]:
    moments = []
    for strike in evidence.run.strikes:
        mono = strike["mono"]
        assert isinstance(mono, float)  # noqa: S101  # our own servers': narrows for mypy
        label = FAULT_LABELS.get(str(strike["kind"]), str(strike["kind"]))
        moments.append(Moment("freeze", evidence.at(mono), label, "primary"))
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
