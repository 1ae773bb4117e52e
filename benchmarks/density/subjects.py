"""Who is compared; the peers run in environments of their own, of the lists in `peers/`."""

import sys
from pathlib import Path

from benchmarks import environments
from benchmarks.density.run import Subject

_HERE = Path(__file__).parent
US = "trunkline"
BRIDGE = "livekit-bridge"
"""What carries Twilio's socket to LiveKit's session, alone: what of `livekit` is not LiveKit's."""
NAMES = (US, "livekit", BRIDGE, "pipecat")
_WORKER = ("-m", "benchmarks.density.trunkline_worker")
_PEERS = {
    "livekit": ("livekit", ("-m", "benchmarks.density.livekit_subject")),
    BRIDGE: ("livekit", ("-m", "benchmarks.density.livekit_subject", "--bridge-only")),
    "pipecat": ("pipecat", ("-m", "benchmarks.density.pipecat_subject")),
}


def subject(name: str) -> Subject:
    """The subject of that *name*, its environment made if it is not there."""
    if name == US:
        return Subject(US, (sys.executable, *_WORKER))
    environment, module = _PEERS[name]
    wanted = _HERE / "peers" / f"{environment}.txt"
    python = environments.python(wanted, f'make bench ARGS="density --subjects {US}"')
    # Their own deprecations are not our news.
    return Subject(name, (str(python), "-W", "ignore", *module))


def other_version(source: Path) -> Subject:
    """Trunkline from another `src` folder, in our environment, under this benchmark."""
    return Subject(f"{US} of {source}", (sys.executable, *_WORKER), (str(source),))
