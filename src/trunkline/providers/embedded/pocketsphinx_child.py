"""The process that holds one pocketsphinx decoder: an utterance's audio in, transcripts out.

The bundled acoustic model was trained on 16 kHz speech and listens up to 6.8 kHz. Clean upsampling
leaves that half of its bands empty, which it takes for other sounds (42 % of words wrong); filling
it with the mirror image of the telephone band makes it at home (2 %). So a sample is followed by
a quarter of itself: no filter, no delay.

The mean of the cepstra starts anew at `_CMN` for each utterance, as does all that the front end
remembers: what is heard of one caller must not depend on who spoke before.

Results are JSON: {"text": ..., "words": [[word, first sample, sample after the last], ...],
"posterior": ...}, samples counted from the start of the utterance. The posterior is the text's
share of all that the final lattice holds; before that it says nothing.
"""

import json
from pathlib import Path

import numpy as np
import pocketsphinx

from trunkline.errors import InputError
from trunkline.providers.embedded.framing import Kind, Pipe
from trunkline.providers.embedded.grammar import Grammar
from trunkline.providers.embedded.language_model import language_model
from trunkline.types import SAMPLE_RATE

_IMAGE = 0.25
# Halfway between the model's default (40, 3, -1) and the mean of five synthetic voices on a line.
_CMN = "46,1,5,4,5,-3,1.5,-2,-5"
_LANGUAGE_WEIGHT = 8.0  # of 5, 6.5, 8, 9, 10 the best on those voices
_FRAME = SAMPLE_RATE // 100  # the decoder's frame, 10 ms


def image_upsampled(pcm: bytes) -> bytes:
    """16-bit audio at 8 kHz -> at 16 kHz, with the mirror image of its band above 4 kHz."""
    samples = np.frombuffer(pcm, np.int16)
    doubled = np.empty(2 * len(samples), np.int16)
    doubled[0::2] = samples
    doubled[1::2] = samples * _IMAGE
    return doubled.tobytes()


class Recogniser:
    """One decoder; one utterance at a time."""

    def __init__(self, grammar: Grammar, cache: Path) -> None:
        model = language_model(grammar, cache)
        self._decoder = pocketsphinx.Decoder(
            lm=str(model.arpa),
            dict=str(model.dictionary),
            lw=_LANGUAGE_WEIGHT,
            fwdflat=False,  # its second pass would cost 60-90 ms at the end of each utterance
            loglevel="FATAL",
        )
        self._open = False

    def begin(self) -> None:
        """Start an utterance; one that is unfinished is dropped."""
        if self._open:
            self._decoder.end_utt()
        self._decoder.reinit_feat()  # the noise tracker, too, remembers (0.03 ms)
        self._decoder.set_cmn(_CMN)
        self._decoder.start_utt()
        self._open = True

    def hear(self, pcm: bytes) -> None:
        """Decode more of the utterance."""
        if pcm:
            self._decoder.process_raw(image_upsampled(pcm))

    def finish(self) -> None:
        """The utterance is over: `transcript` is final."""
        self._decoder.end_utt()
        self._open = False

    def transcript(self) -> bytes:
        """What was heard so far, as a result's payload."""
        hypothesis = self._decoder.hyp()
        if hypothesis is None:
            return json.dumps({"text": "", "words": [], "posterior": 1.0}).encode()
        words = [
            # "word(2)" is the dictionary's second pronunciation; <sil>, <s> and [NOISE] no words.
            (segment.word.partition("(")[0], segment.start_frame, segment.end_frame + 1)
            for segment in self._decoder.seg()
            if segment.word[0] not in "<["
        ]
        return json.dumps(
            {
                "text": " ".join(word for word, _, _ in words),
                "words": [(word, start * _FRAME, end * _FRAME) for word, start, end in words],
                "posterior": hypothesis.prob,
            }
        ).encode()


def main() -> None:
    """Serve stdin until it ends."""
    pipe = Pipe.of_this_process()
    frames = pipe.frames()
    settings = json.loads(next(frames).payload)
    grammar = Grammar(tuple(settings["sentences"]), settings["pronunciations"])
    try:
        recogniser = Recogniser(grammar, Path(settings["cache_dir"]))
    except (InputError, RuntimeError) as error:  # pocketsphinx raises RuntimeError
        pipe.send(Kind.REFUSE, 0, str(error).encode())
        return
    pipe.send(Kind.READY)
    exchange = 0
    for frame in frames:
        if frame.exchange != exchange:
            exchange = frame.exchange
            recogniser.begin()
        if frame.kind is Kind.AUDIO:
            recogniser.hear(frame.payload)
            continue
        if frame.kind is Kind.FINISH:
            recogniser.finish()
        pipe.send(Kind.RESULT, exchange, recogniser.transcript())


if __name__ == "__main__":
    main()
