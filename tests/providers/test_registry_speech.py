"""From configuration to a stage of a vendor's speech."""

import pytest

from tests.providers.test_registry import FILE, in_a_worker, refused
from trunkline.config.load import parse
from trunkline.config.providers import hosts
from trunkline.contracts import Context
from trunkline.errors import EgressRefused
from trunkline.net.gate import EgressDecision, Gate
from trunkline.providers.reaching import Resources
from trunkline.providers.registry import build
from trunkline.types import CallId, DataClass, Where


@pytest.mark.parametrize(
    ("name", "old", "new", "destination"),
    [
        ("ears", "stage: stt, api: fake", "stage: stt, api: deepgram", "api.deepgram.com:443"),
        (
            "voice",
            "stage: tts, api: fake",
            "stage: tts, options: {voice: anna}, api: elevenlabs",
            "api.elevenlabs.io:443",
        ),
        (
            "voice",
            "stage: tts, api: fake",
            "stage: tts, options: {voice: anna}, api: cartesia",
            "api.cartesia.ai:443",
        ),
        ("ears", "stage: stt, api: fake", "stage: stt, api: soniox", "stt-rt.soniox.com:443"),
        ("ears", "stage: stt, api: fake", "stage: stt, api: openai_realtime", "api.openai.com:443"),
        (
            "voice",
            "stage: tts, api: fake",
            "stage: tts, api: deepgram_aura",
            "api.deepgram.com:443",
        ),
        (
            "ears",
            "stage: stt, api: fake",
            'stage: stt, base_url: "http://10.0.0.7:8000/v1", api: openai',
            "10.0.0.7:8000",
        ),
        (
            "voice",
            "stage: tts, api: fake",
            'stage: tts, options: {voice: a}, base_url: "http://10.0.0.7:8880/v1", api: openai',
            "10.0.0.7:8880",
        ),
        (
            "ears",
            "stage: stt, api: fake",
            'stage: stt, base_url: "http://127.0.0.1:1/v1", api: deepgram',
            "127.0.0.1:1",
        ),
    ],
)
def test_a_vendor_is_reached_by_its_name_alone(
    name: str, old: str, new: str, destination: str
) -> None:
    """It knows its own address; another one, such as a proxy in a zone, can be given."""
    noted: list[EgressDecision] = []

    async def test(resources: Resources) -> None:
        noting = Resources(resources.session, Gate(noted.append), {})
        stage = build(parse(FILE.replace(old, new), "phones.yaml"), name, noting)
        with pytest.raises(EgressRefused):
            await stage.open(None, Context(Where(CallId("c")), DataClass.RECORDING)).__aenter__()
        assert [decision.destination for decision in noted] == [destination]

    in_a_worker(test)
    settings = parse(FILE.replace(old, new), "phones.yaml").endpoints[name]
    assert hosts(settings) == [destination.rpartition(":")[0]], "the catalogue thinks otherwise"


@pytest.mark.parametrize(
    ("name", "stage", "api", "says"),
    [
        ("ears", "stt", "deepgram, options: {encoding: opus}", "encoding is 'opus'"),
        ("ears", "stt", "deepgram, options: {connect_s: 1}", "unknown options connect_s"),
        ("ears", "stt", 'deepgram, replicas: ["https://a", "https://b"]', "deepgram has none"),
        ("ears", "stt", "deepgram, connect: {proxy_env: PROXY}", "PROXY (proxy_env) is no address"),
        ("ears", "stt", "deepgram, tls: {ca_file: no.pem}", "there is no file"),
        ("ears", "stt", "deepgram, key_env: EARS_KEY", "EARS_KEY (key_env) is not set"),
        ("voice", "tts", "elevenlabs", "option voice is ''"),
        ("voice", "tts", "elevenlabs, options: {voice: a, sped: 1}", "unknown options sped"),
        ("voice", "tts", "openai, options: {voice: a}", "base_url is missing"),
        ("ears", "stt", "openai", "base_url is missing"),
        ("ears", "stt", 'livekit, base_url: "http://10.0.0.7:1"', "livekit has no base_url"),
        ("ears", "stt", "livekit, options: {plugin: a}", "option destination is ''"),
        (
            "ears",
            "stt",
            'livekit, options: {plugin: "a:B", destination: "b:1"}',
            "pip install 'trunkline[livekit]'",
        ),
    ],
)
def test_what_a_vendor_cannot_work_with_is_refused(
    name: str, stage: str, api: str, says: str
) -> None:
    """With the line of the endpoint, before anything is sent."""
    said = refused(FILE.replace(f"stage: {stage}, api: fake", f"stage: {stage}, api: {api}"), name)
    assert said.startswith(f"phones.yaml:{9 if stage == 'stt' else 10}: endpoints.{name}: ")
    assert says in said
