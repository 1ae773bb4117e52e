"""What it means when a provider closes a WebSocket before it was done."""

from trunkline.errors import EndpointError, Fault

_DETAIL_CHARS = 300
_FAULTS = {
    # RFC 6455 section 7.4.1 and the registry that it founds (read November 2026).
    1002: Fault.REFUSED,  # protocol error: of ours, as the peer sees it
    1003: Fault.REFUSED,  # a kind of data that it does not take
    1007: Fault.REFUSED,  # data that is not what it says
    1008: Fault.REFUSED,  # policy: the providers' word for keys, quotas, limits and bad options
    1009: Fault.REFUSED,  # too big
    1011: Fault.UNAVAILABLE,  # internal error
    1012: Fault.UNAVAILABLE,  # restarting
    1013: Fault.UNAVAILABLE,  # try again later
    1014: Fault.UNAVAILABLE,  # bad gateway
}


def closing_fault(endpoint: str, code: int, reason: str) -> EndpointError:
    """The `EndpointError` of a close with *code* (1006: the connection was lost) and *reason*.

    A code that says nothing is wrong (1000, 1001, 1005) is `CUT` all the same: the answer is not
    complete. Codes that a provider made up (from 3000 on) are its codec's to know; here `CUT`.
    """
    said = " ".join(reason.split())[:_DETAIL_CHARS] or "no reason given"
    lost = "the connection was lost" if code == 1006 else f"closed with {code}: {said}"
    return EndpointError(endpoint, _FAULTS.get(code, Fault.CUT), lost)
