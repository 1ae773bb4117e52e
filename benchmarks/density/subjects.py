"""Who is compared, and the environments in which the peers run, made when they are first needed.

Each peer has a virtual environment of its own under `.tools/peers`, of exact versions, each file
checked against the hash in `peers/*.txt` (compiled by `make lock`). A changed list makes it anew.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.density.run import Subject

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
ENVIRONMENTS = _ROOT / ".tools" / "peers"
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
    # Their own deprecations are not our news.
    return Subject(name, (str(_python(environment)), "-W", "ignore", *module))


def other_version(source: Path) -> Subject:
    """Trunkline from another `src` folder, in our environment, under this benchmark."""
    return Subject(f"{US} of {source}", (sys.executable, *_WORKER), (str(source),))


def _python(name: str) -> Path:
    """The interpreter of the environment *name*, which is complete once its list lies in it."""
    wanted, folder = _HERE / "peers" / f"{name}.txt", ENVIRONMENTS / name
    made, python = folder / "made-from.txt", folder / "bin" / "python"
    if made.is_file() and made.read_bytes() == wanted.read_bytes():
        return python
    print(f"installing {name} into {folder.relative_to(_ROOT)}: some 500 MB, once")
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*install, "-r", str(wanted)], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"density: {name} cannot be installed: {error}. Measure without it: "
            f'make bench ARGS="density --subjects {US}"'
        ) from error
    shutil.copy(wanted, made)
    return python
