"""One call to draw: its primary model freezes, and nobody hears it."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np

from trunkline.console.picture import (
    Attempted,
    CallPicture,
    Moment,
    NamedFile,
    Said,
    Samples,
    TurnFigures,
    Verdict,
)
from trunkline.console.report import render_svg
from trunkline.types import SAMPLE_RATE


def speech(duration_s: float, *spans: tuple[float, float]) -> Samples:
    """A hum during *spans*, digital silence elsewhere."""
    pcm = np.zeros(int(duration_s * SAMPLE_RATE), np.int16)
    for start_s, end_s in spans:
        at = np.arange(int(start_s * SAMPLE_RATE), int(end_s * SAMPLE_RATE))
        pcm[at] = (9000 * np.sin(at)).astype(np.int16)
    return pcm


def call(**changes: Any) -> CallPicture:
    """A call of 36 s whose primary model freezes at 24 s while its audio plays on."""
    picture = CallPicture(
        title="The primary freezes",
        subtitle="Receptionist",
        duration_s=36.0,
        caller=speech(36, (12, 14)),
        agent=speech(36, (1, 3), (20, 25), (25, 30)),
        caller_said=(Said("When can I come in?", 12, 14),),
        agent_said=(
            Said("Thanks for calling.", 1, 3),
            Said("I can offer nine fifteen,", 20, 25, "primary"),
            Said("or half past two on Friday.", 25, 30, "backup"),
        ),
        verdict=Verdict(1, 0.0, 0, 0, 0.42),
        moments=(
            Moment("freeze", 24.0, "primary frozen", "primary"),
            Moment("failover", 24.6, "backup takes over", "backup"),
        ),
        attempts=(
            Attempted("primary", 14.3, 24.6, silent_s=24.0),
            Attempted("backup", 24.3, 25.5),
        ),
        queue=((0, 0), (20, 3.0), (23, 0.5), (30, 0)),
        turns=(TurnFigures(14.0, 0.2, 0.4, 6.0, 0.13, ("primary", "backup")),),
        files=(NamedFile("tape.wav", "what the caller heard"),),
    )
    return replace(picture, **changes)


def drawn(picture: CallPicture, width: int = 1000) -> ElementTree.Element:
    """The standalone picture, parsed."""
    return ElementTree.fromstring(render_svg(picture, width))  # noqa: S314  # our own output


def texts(svg: ElementTree.Element) -> list[str]:
    """All text that the picture shows."""
    return ["".join(e.itertext()) for e in svg.iter("{http://www.w3.org/2000/svg}text")]
