"""TLS with a CA of one's own, client certificates, proxies, warm connections, over real sockets."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from trials.authority import Authority, authority
from trials.openai_rig import ANSWER, collect, context, server, text
from trunkline.config.load import parse
from trunkline.console.checking import mend
from trunkline.errors import ConfigError, EndpointError, Fault
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import SseStage
from trunkline.net.remote import client_session
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import build

FILE = """\
version: 1
zones:
  here: {{kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
    baa: false, dpa: false, accepts: [audio, prompt, speech_text]}}
endpoints:
  mind: {{stage: llm, api: openai, model: m, zone: here, failure_domain: a, {more}}}
  ears: {{stage: stt, api: pocketsphinx, model: en-us, zone: here, failure_domain: b}}
  voice: {{stage: tts, api: espeak, model: en-us, zone: here, failure_domain: b}}
agents:
  clerk: {{routes: {{stt: [ears], llm: [mind], tts: [voice]}}}}
"""


@asynccontextmanager
async def mind(
    more: str, noted: list[EgressDecision] | None = None, **environ: str
) -> AsyncIterator[AnyStage]:
    """The endpoint of a configuration with *more* settings, as a worker builds it."""
    async with client_session() as session:
        gate = Gate((noted if noted is not None else []).append)
        environment: Mapping[str, str] = environ
        resources = Resources(session, gate, environment)
        yield build(parse(FILE.format(more=more), "phones.yaml"), "mind", resources)


@asynccontextmanager
async def tls_server(tls: ssl.SSLContext) -> AsyncIterator[str]:
    """A model server behind TLS: a terminator that hands bytes on, as a sidecar does."""
    async with server() as plain:

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inside = await asyncio.open_connection("127.0.0.1", plain.port)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inside[1]))
                group.create_task(_pump(inside[0], writer))

        front = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=tls)
        try:
            yield f"https://localhost:{front.sockets[0].getsockname()[1]}/v1"
        finally:
            front.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("ours") / "ca")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("others") / "ca")


async def answered(more: str, **environ: str) -> str:
    """What the endpoint says, or the fault it has and why."""
    async with asyncio.timeout(20), mind(more, None, **environ) as stage:
        try:
            return text(await collect(stage, context()))  # type: ignore[arg-type]  # as built
        except EndpointError as error:
            return f"{error.fault.value}: {error.detail}"


@pytest.mark.ci
def test_a_server_with_a_certificate_of_our_ca_is_trusted(ours: Authority) -> None:
    """If the configuration names it; the machine's own do not vouch for it."""

    async def main() -> None:
        async with tls_server(ours.server()) as url:
            assert await answered(f'base_url: "{url}", tls: {{ca_file: "{ours.ca}"}}') == ANSWER
            said = await answered(f'base_url: "{url}"')
            assert said.startswith(Fault.UNREACHABLE), said
            assert "CERTIFICATE_VERIFY_FAILED" in said or "certificate" in said.lower()

    asyncio.run(main())


@pytest.mark.ci
def test_a_server_of_another_ca_or_name_is_refused(ours: Authority, others: Authority) -> None:
    """Whoever it is, it gets no byte of a call."""

    async def main() -> None:
        async with tls_server(others.server()) as url:
            said = await answered(f'base_url: "{url}", tls: {{ca_file: "{ours.ca}"}}')
            assert said.startswith(Fault.UNREACHABLE), said
            assert "certificate" in said.lower()
            named = url.replace("localhost", "ip6-localhost")
            said = await answered(f'base_url: "{named}", tls: {{ca_file: "{others.ca}"}}')
            assert said.startswith(Fault.UNREACHABLE), said

    asyncio.run(main())


@pytest.mark.ci
def test_a_server_that_wants_our_certificate_gets_it_or_says_so(
    ours: Authority, others: Authority
) -> None:
    """Given, missing, and one of somebody else."""
    cert, key = ours.issue("worker")
    other_cert, other_key = others.issue("worker")

    async def main() -> None:
        async with tls_server(ours.server(wants_client=True)) as url:
            tls = f'base_url: "{url}", tls: {{ca_file: "{ours.ca}"'
            mine = f', cert_file: "{cert}", key_file: "{key}"}}'
            assert await answered(tls + mine) == ANSWER
            theirs = f', cert_file: "{other_cert}", key_file: "{other_key}"}}'
            settings = parse(FILE.format(more=f'base_url: "{url}"'), "p").endpoints["mind"]
            for refused in ("}", theirs):
                said = await answered(tls + refused)
                fault, _, detail = said.partition(": ")
                # Since TLS 1.3 the refusal follows our first words, whose reset may overtake it.
                assert fault in {Fault.UNREACHABLE, Fault.CUT}, said
                assert "cert_file" in mend(settings, EndpointError("mind", Fault(fault), detail))

    asyncio.run(main())


def test_files_that_cannot_work_are_refused_before_anything_is_sent(
    ours: Authority, others: Authority, tmp_path: Path
) -> None:
    """With the line of the endpoint; a key with a password does not ask for it on a terminal."""
    cert, _ = ours.issue("worker")
    _, other_key = others.issue("worker")
    no_pem = tmp_path / "no.pem"
    no_pem.write_text("this is none")

    async def refused(tls: str) -> str:
        with pytest.raises(ConfigError) as caught:
            async with mind(f'base_url: "https://localhost:1/v1", tls: {{{tls}}}'):
                pytest.fail("it was built")
        return str(caught.value)

    async def main() -> None:
        assert "phones.yaml:6" in await refused(f'ca_file: "{tmp_path / "missing"}"')
        assert "no certificate of an authority" in await refused(f'ca_file: "{no_pem}"')
        pair = f'cert_file: "{cert}", key_file: "{other_key}"'
        assert "do not load" in await refused(pair)

    asyncio.run(main())


@pytest.mark.ci
def test_a_proxy_is_used_and_told(ours: Authority) -> None:
    """By a CONNECT; its password is in no message and no decision."""

    async def main() -> None:
        asked: list[str] = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked.append(head)
            if "Basic" not in head:
                writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")
                writer.close()
                return
            host, _, port = head.split()[1].rpartition(":")
            inside = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, inside[1]))
                group.create_task(_pump(inside[0], writer))

        front = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = front.sockets[0].getsockname()[1]
        noted: list[EgressDecision] = []
        async with tls_server(ours.server()) as url:
            tls = f'base_url: "{url}", tls: {{ca_file: "{ours.ca}"}}'
            address = f"http://me:s3cret@127.0.0.1:{port}"
            async with mind(f"{tls}, connect: {{proxy_env: PROXY}}", noted, PROXY=address) as stage:
                assert text(await collect(stage, context())) == ANSWER  # type: ignore[arg-type]  # as built
            assert noted[0].destination.endswith(f" via 127.0.0.1:{port}")
            said = await answered(f'{tls}, connect: {{proxy: "http://127.0.0.1:{port}"}}')
            told = f"{Fault.UNREACHABLE}: the proxy via 127.0.0.1:{port} answers 407"
            assert said.startswith(told), said
            assert "s3cret" not in str(noted) + said
        front.close()
        assert asked[0].startswith("CONNECT localhost:")

    asyncio.run(main())


@pytest.mark.ci
def test_a_connection_that_is_kept_warm_serves_the_next_request() -> None:
    """TCP and TLS are paid for ahead; the socket has no delay, and notices a peer that is gone."""

    async def main() -> None:
        peers: list[object] = []
        options: list[int] = []

        async def head(request: web.Request) -> web.Response:
            peers.append(request.transport and request.transport.get_extra_info("peername"))
            return web.Response(status=404)

        async def metrics(request: web.Request) -> web.Response:
            return web.Response(text="vllm:num_requests_waiting 3\n")

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        app.router.add_route("*", "/{path:.*}", head)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with mind(f'base_url: "http://127.0.0.1:{port}/v1"') as stage:
            assert isinstance(stage, SseStage)
            assert await stage.touch(context()) is False
            assert await stage.touch(context()) is True
            with pytest.raises(EndpointError):
                await collect(stage, context())
            assert len(set(peers)) == 1, "three requests, one connection"
            assert await stage.metrics(context()) == b"vllm:num_requests_waiting 3\n"
            assert await stage.touch(context()) is True
            connector = stage._session.connector
            assert connector is not None
            for pooled in connector._conns.values():
                transport = pooled[0][0].transport
                assert transport is not None
                made = transport.get_extra_info("socket")
                options.append(made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                options.append(made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        await runner.cleanup()
        assert options
        assert all(options), "TCP_NODELAY and SO_KEEPALIVE are set"

    asyncio.run(main())
