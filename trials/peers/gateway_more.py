"""The official `openai` SDK against the gateway's other paths: Responses, speech, transcriptions.

Given the gateway's URL, with `/v1`; one line of JSON says what came. It imports nothing of ours.
"""

import io
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)
told = {}
asked = {"model": "fast", "input": "When are you open?", "instructions": "Be kind."}
events = list(client.responses.create(stream=True, **asked))
told["types"] = [event.type for event in events]
told["deltas"] = "".join(it.delta for it in events if it.type == "response.output_text.delta")
told["streamed"] = events[-1].response.output_text
whole = client.responses.create(**asked)
told["whole"], told["status"] = whole.output_text, whole.status
with client.responses.stream(**asked) as stream:
    told["helper"] = stream.get_final_response().output_text
said = {"model": "say", "voice": "default", "input": "We are open from nine to six."}
told["wav"] = len(client.audio.speech.create(response_format="wav", **said).read())
with client.audio.speech.with_streaming_response.create(response_format="pcm", **said) as response:
    told["pcm"] = sum(map(len, response.iter_bytes()))
try:
    client.audio.speech.create(**said)
except openai.BadRequestError as error:
    told["mp3"] = error.param
speech = client.audio.speech.create(response_format="wav", **said).read()
heard = client.audio.transcriptions.create(model="listen", file=("a.wav", io.BytesIO(speech)))
told["heard"] = heard.text
verbose = client.audio.transcriptions.create(
    model="listen", file=("a.wav", io.BytesIO(speech)), response_format="verbose_json"
)
told["duration"] = verbose.duration
sys.stdout.write(json.dumps(told) + "\n")
