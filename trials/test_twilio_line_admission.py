"""Who is let in on the Twilio line: signatures, tickets, and as many calls as allowed."""

import asyncio

import aiohttp
import pytest
import yarl
from twilio.request_validator import (  # type: ignore[import-untyped]  # ships no types
    RequestValidator,
)

from trials.twilio_line_rig import ASK, AUTH, echo, serving, webhook
from trunkline.errors import CarrierLost
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.twiml import Stream, parse_twiml


@pytest.mark.ci
@pytest.mark.parametrize("token", [None, "the wrong one"])
def test_a_wrong_signature_is_refused_before_anything_else(token: str | None) -> None:
    """Webhook and socket refuse who cannot sign, and a signed socket still needs a ticket."""

    async def main() -> None:
        async with serving(echo, auth_token=AUTH) as server:
            with pytest.raises(CarrierLost, match="HTTP 403"):
                await place_call(webhook(server), ASK, auth_token=token)
            stream = f"ws://127.0.0.1:{server.port}/twilio/media"
            with pytest.raises(CarrierLost, match="403"):
                await place_call(stream, ASK, auth_token=token)
            ticketless = await place_call(stream, ASK, auth_token=AUTH)
            assert ticketless.ended == "agent_closed"
            assert "1008" in ticketless.events[-2].detail

    asyncio.run(main())


def test_more_calls_than_allowed_hear_that_the_lines_are_busy() -> None:
    """The webhook answers the second call with a sentence, the socket with code 1013."""

    async def main() -> tuple[CallResult, CallResult, CallResult]:
        async with serving(echo, calls_max=1) as server, asyncio.TaskGroup() as group:
            first = group.create_task(place_call(webhook(server), ASK))
            await asyncio.sleep(0.5)
            second = await place_call(webhook(server), ASK)
            third = await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", ASK)
            await first
        return first.result(), second, third

    first, second, third = asyncio.run(main())
    assert first.ended == "hang_up"
    assert second.ended == "no_stream"
    assert second.times("say", "All our lines are busy. Please call again in a few minutes.")
    assert any("1013" in event.detail for event in third.events)


def test_a_proxied_webhook_is_checked_against_its_public_url() -> None:
    """Signed as Twilio does it, for the address that Twilio knows; GET, POST and a huge form."""
    public, official = "https://phone.example.com/eu", RequestValidator(AUTH)
    form = {"CallSid": "CA1", "From": "sip:a&b@example.com"}

    async def main() -> tuple[bytes, bytes, int]:
        async with (
            serving(echo, auth_token=AUTH, public_url=public) as server,
            aiohttp.ClientSession() as session,
        ):
            signed = official.compute_signature(public + "/twilio/voice", form)
            headers = {"X-Twilio-Signature": signed}
            async with session.post(webhook(server), data=form, headers=headers) as response:
                posted = await response.read()
            query = "?CallSid=CA1&From=%2B12025550123"
            signed = official.compute_signature(public + "/twilio/voice" + query, {})
            headers = {"X-Twilio-Signature": signed}
            url = yarl.URL(webhook(server) + query, encoded=True)
            async with session.get(url, headers=headers) as response:
                got = await response.read()
            huge = form | {"x": "y" * 100_000}
            async with session.post(webhook(server), data=huge) as response:
                return posted, got, response.status

    posted, got, status = asyncio.run(main())
    for document in (posted, got):
        (verb,) = parse_twiml(document)
        assert isinstance(verb, Stream)
        assert verb.url == "wss://phone.example.com/eu/twilio/media"
        assert verb.parameters["trunkline_ticket"]
    assert b"sip:a&amp;b@example.com" in posted
    assert status == 413
