"""The environments in which peers run, made when they are first needed.

Each is a virtual environment under `.tools/peers`, of exact versions, each file checked against the
hash in its list (compiled by `make lock`). A changed list makes it anew.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".tools" / "peers"


def python(wanted: Path, instead: str) -> Path:
    """The interpreter of the environment of the list *wanted*; the list in it says it is complete.

    *instead*: the command that does without it, for whoever cannot install it.
    """
    folder = ENVIRONMENTS / wanted.stem
    made, interpreter = folder / "made-from.txt", folder / "bin" / "python"
    if made.is_file() and made.read_bytes() == wanted.read_bytes():
        return interpreter
    print(f"installing {wanted.stem} into {folder.relative_to(ROOT)}: some 500 MB, once")
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([*install, "-r", str(wanted)], check=True)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"{wanted.stem} cannot be installed: {error}. Measure without it: {instead}"
        ) from error
    shutil.copy(wanted, made)
    return interpreter
