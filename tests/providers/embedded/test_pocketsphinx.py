"""Frames of one utterance become transcripts whose words lie in the call."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from tests.providers.embedded.engines import CONTEXT, FakeEngine, endpoint
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.types import STT, AudioFrame, Sample, Transcript, Word

FRAME = bytes(320)


def heard(text: str, *words: tuple[str, int, int], posterior: float = 0.3) -> bytes:
    """A result of the engine."""
    return json.dumps({"text": text, "words": words, "posterior": posterior}).encode()


def recogniser(*results: bytes) -> FakeEngine:
    """An engine that gives *results*, one for each time it is asked."""
    left = list(results)
    return FakeEngine(lambda kind, _pcm: None if kind is Kind.AUDIO else left.pop(0))


def stage(engine: FakeEngine, **options: object) -> PocketsphinxStt:
    """The stage on *engine*."""
    return PocketsphinxStt(endpoint(STT), options, engine=engine)


async def utterance(*starts: int) -> AsyncIterator[AudioFrame]:
    """Frames of 20 ms at *starts*."""
    for at in starts:
        yield AudioFrame(FRAME, Sample(at))


async def transcribe(engine: FakeEngine, *starts: int, **options: object) -> list[Transcript]:
    """What the stage gives for frames at *starts*."""
    async with stage(engine, **options).open(utterance(*starts), CONTEXT) as transcripts:
        return [transcript async for transcript in transcripts]


async def test_the_final_transcript_comes_after_the_end_and_lies_in_the_call() -> None:
    """Words are counted from the first sample of the call, not of the utterance."""
    engine = recogniser(heard("yes please", ("yes", 0, 160), ("please", 160, 480)))
    assert await transcribe(engine, 8_000, 8_160, 8_320) == [
        Transcript(
            "yes please",
            True,
            (
                Word("yes", Sample(8_000), Sample(8_160)),
                Word("please", Sample(8_160), Sample(8_480)),
            ),
        )
    ]
    assert [kind for kind, _ in engine.sent] == [Kind.AUDIO] * 3 + [Kind.FINISH]
    assert engine.open == 0


async def test_words_keep_their_place_across_a_gap() -> None:
    """Frames that were lost shift what follows them, and only that."""
    engine = recogniser(heard("a b c", ("a", 0, 160), ("b", 80, 320), ("c", 160, 320)))
    (final,) = await transcribe(engine, 1_000, 5_000)
    assert [(word.start, word.end) for word in final.words] == [
        (1_000, 1_160),
        (1_080, 5_160),
        (5_000, 5_160),
    ]


async def test_interim_results_come_every_150_ms_of_audio_if_they_changed() -> None:
    """An interim that says nothing new is not worth a fact."""
    engine = recogniser(heard(""), heard("yes"), heard("yes"), heard("yes please"))
    given = await transcribe(engine, *(160 * n for n in range(26)))
    assert [(transcript.text, transcript.final) for transcript in given] == [
        ("yes", False),
        ("yes please", True),
    ]
    kinds = [kind for kind, _ in engine.sent]
    assert [n for n, kind in enumerate(kinds) if kind is Kind.INTERIM] == [8, 17, 26]


async def test_an_utterance_without_words_has_an_empty_final_transcript() -> None:
    """A cough is no failure."""
    assert await transcribe(recogniser(heard("")), 0) == [Transcript("", True)]
    assert await transcribe(recogniser(heard(""))) == [Transcript("", True)]


async def test_an_utterance_that_never_ends_is_refused_after_a_minute() -> None:
    """Nothing here grows without bound."""
    engine = FakeEngine(lambda kind, _pcm: heard("la") if kind is Kind.INTERIM else None)
    with pytest.raises(EndpointError, match="more than 60 s") as caught:
        await transcribe(engine, *(160 * n for n in range(3_001)))
    assert caught.value.fault is Fault.REFUSED
    assert engine.open == 0


async def test_leaving_early_frees_the_decoder() -> None:
    """A caller who hangs up must not hold one."""
    engine = recogniser(heard("yes"), heard("yes"))
    source = utterance(*(160 * n for n in range(50)))
    async with stage(engine).open(source, CONTEXT) as transcripts:
        assert (await anext(transcripts)).text == "yes"
        assert engine.open == 1
    assert engine.open == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"language": "en"}, "unknown options language. It knows cache_dir, decoders"),
        ({"decoders": 0}, "decoders is 0. Use a whole number from 1 to 64 .processes"),
        ({"interim_ms": 50}, "interim_ms is 50"),
        ({"wait_s": -1}, "wait_s is -1"),
        ({"phrases": "/nowhere/phrases.yaml"}, "/nowhere/phrases.yaml: cannot be read"),
    ],
)
def test_options_are_checked_at_construction(options: Mapping[str, object], says: str) -> None:
    """A worker with a wrong option does not start."""
    with pytest.raises(InputError, match=says):
        PocketsphinxStt(endpoint(STT), options, engine=recogniser())


def test_the_phrases_are_checked_at_construction(tmp_path: Path) -> None:
    """Also those in the user's own file."""
    path = tmp_path / "phrases.yaml"
    path.write_text("{rules: [{say: '{time}'}]}")
    with pytest.raises(InputError, match=r"there is no slot \{time\}"):
        PocketsphinxStt(endpoint(STT), {"phrases": str(path)}, engine=recogniser())


@pytest.mark.parametrize(
    ("words", "posterior", "doubtful"),
    [
        ([("diaz", 0, 2400)], 0.9, True),
        ([("diaz", 0, 5600)], 0.9, False),
        ([("to", 0, 800), ("the", 800, 1600)], 0.01, True),
        ([("no", 0, 800), ("wait", 800, 1600)], 0.2, False),
        ([("my", 0, 2400), ("number", 2400, 8000)], 0.01, False),
        ([], 1.0, False),
    ],
)
async def test_short_words_of_which_the_decoder_is_not_sure_are_doubtful(
    words: list[tuple[str, int, int]], posterior: float, doubtful: bool
) -> None:
    """And a single one always: of a sound that short it would make a word whatever it was."""
    text = " ".join(word for word, _, _ in words)
    engine = recogniser(heard(text, *words, posterior=posterior))
    async with stage(engine).open(utterance(0), CONTEXT) as transcripts:
        assert (await anext(transcripts)).doubtful is doubtful
