"""The environments of the outsiders: made once, under `.tools/peers`, never in ours.

They are what many users run today, so what they hear of our local servers tells whether those are
faithful; pinned, so that a trial that failed fails again.
"""

import fcntl
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

PACKAGES: Mapping[str, Sequence[str]] = {
    "speech": (
        "livekit-agents==1.8.9",
        "livekit-plugins-cartesia==1.8.9",
        "livekit-plugins-deepgram==1.8.9",
        "livekit-plugins-elevenlabs==1.8.9",
        "deepgram-sdk==7.17.0",
    ),
    "chat": ("anthropic==2.12.0", "google-genai==3.4.0", "openai==3.54.0"),
    "audio": ("openai==3.54.0", "soniox==2.10.0", "deepgram-sdk==7.17.0", "websockets"),
    "oracles": ("pymcdm==1.4.0", "simpy==4.1.2"),
    # Trunkline itself runs here, so what it imports on this path is here, too.
    "livekit": (
        "livekit-agents==1.8.9",
        "livekit-plugins-cartesia==1.8.9",
        "livekit-plugins-deepgram==1.8.9",
        "livekit-plugins-openai==1.8.9",
        "msgspec",
        "onnxruntime",
        "pydantic",
        "pyyaml",
        "soxr",
    ),
}
FOLDER = Path(__file__).parents[2] / ".tools" / "peers"


def python(name: str = "speech") -> Path:
    """The interpreter of environment *name*, which is made if it is not there or not this one."""
    folder = FOLDER / name
    interpreter, stamp = folder / "bin" / "python", folder / "made-of"
    wanted = "\n".join((sys.version, *PACKAGES[name]))
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one makes it, the others wait for it
        if not stamp.is_file() or stamp.read_text() != wanted:
            venv.create(folder, clear=True, with_pip=True)
            pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
            subprocess.run([*pip, *PACKAGES[name]], check=True, timeout=600)
            stamp.write_text(wanted)
    return interpreter
