"""What a worker knows of its synthesisers, and the line that it keeps for the worst."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typing_extensions import override

from trunkline.calls.voices import Voices
from trunkline.contracts import Context
from trunkline.testing.sick_voice import Sickness, SickTts
from trunkline.types import Phrase, Speech

LINE = "I am sorry, something went wrong."


async def test_the_line_is_rendered_in_every_voice() -> None:
    """With it their pace and loudness are known before the first call."""
    voices = Voices()
    loud, low = SickTts("loud", amplitude=8000), SickTts("low", amplitude=4000)
    await voices.prepare([loud, low], LINE)

    line = voices.line(["low", "loud"], LINE)
    assert line is not None
    assert [LINE[word.start : word.end] for word in line.words] == LINE.split()
    assert round(voices.gain_db("low", ["loud", "low"]), 1) == 6.0
    assert voices.gain_db("loud", ["loud", "low"]) == 0.0
    assert voices.gain_db("unknown", ["loud", "low"]) == 0.0
    assert voices.tempo("loud").n == 1


async def test_a_voice_that_is_away_has_no_line() -> None:
    """Nor one that gives half of it, or never ends; the worker starts all the same."""
    kinds = ("die", "stall", "shorten", "close")
    sick = [
        SickTts("die", {"sorry": Sickness("die", 2)}),
        SickTts("stall", {"sorry": Sickness("stall", 2)}),
        SickTts("shorten", {"sorry": Sickness("shorten", 2)}),
        SickTts("close", {"sorry": Sickness("close", 2)}),
    ]
    voices = Voices()
    before = asyncio.get_running_loop().time()
    await voices.prepare(sick, LINE)

    assert asyncio.get_running_loop().time() - before < 9.0
    assert voices.line(kinds, LINE) is None
    assert [voice.open_streams for voice in sick] == [0, 0, 0, 0]


async def test_a_line_without_an_end_is_not_kept() -> None:
    """The memory for it is bounded."""

    class Endless(SickTts):
        @override
        @asynccontextmanager
        async def open(
            self, source: AsyncIterator[Phrase], context: Context
        ) -> AsyncIterator[AsyncIterator[Speech]]:
            del source, context

            async def hum() -> AsyncIterator[Speech]:
                while True:
                    await asyncio.sleep(0.1)
                    yield Speech(0, b"\x00\x10" * 8000)

            yield hum()

    voices = Voices()
    await voices.prepare([Endless("endless")], LINE)
    assert not voices.lines


async def test_who_has_no_apology_renders_none() -> None:
    """Nothing is asked of anybody."""
    voice = SickTts("voice")
    await Voices().prepare([voice], "")
    assert voice.spoken == []


async def test_several_lines_are_rendered_one_after_the_other() -> None:
    """A voice that is away is waited for once, not once a line."""
    voices, loop = Voices(), asyncio.get_running_loop()
    well, away = SickTts("well"), SickTts("away", {"sorry": Sickness("stall")})
    began = loop.time()
    await voices.prepare([well, away], LINE, "", "Goodbye.")
    assert [text for _, text in voices.lines] == [LINE, "Goodbye."]
    assert away.spoken == [LINE]
    assert loop.time() - began < 8.1
