"""The environment of the outsiders: made once, under `.tools/peers`, never in ours.

They are what many users run today, so what they hear of our local servers tells whether those are
faithful; pinned, so that a trial that failed fails again.
"""

import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = (
    "livekit-agents==1.8.9",
    "livekit-plugins-cartesia==1.8.9",
    "livekit-plugins-deepgram==1.8.9",
    "livekit-plugins-elevenlabs==1.8.9",
    "deepgram-sdk==7.17.0",
)
FOLDER = Path(__file__).parents[2] / ".tools" / "peers" / "speech"


def python() -> Path:
    """The interpreter of the environment, which is made if it is not there or not this one."""
    interpreter, stamp = FOLDER / "bin" / "python", FOLDER / "made-of"
    wanted = "\n".join((sys.version, *PACKAGES))
    if not stamp.is_file() or stamp.read_text() != wanted:
        venv.create(FOLDER, clear=True, with_pip=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, *PACKAGES], check=True, timeout=600)
        stamp.write_text(wanted)
    return interpreter
