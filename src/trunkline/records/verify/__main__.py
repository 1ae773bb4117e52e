"""The command line: see the package's docstring."""

import argparse
import sys
from pathlib import Path

from . import Refused, verify
from . import __doc__ as about
from .forms import read_sections
from .tree import read_proof


def main(arguments: list[str] | None = None) -> int:
    """Verify what the command line names; 0: verified, 1: not, 2: it could not be read."""
    parser = argparse.ArgumentParser(
        prog="trunkline.records.verify",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", required=True, help="the ledger's verifier key, or a file with it")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of the ledger that you kept")
    parser.add_argument("--keep", type=Path, help="where to keep this bundle's checkpoint")
    told = parser.parse_args(arguments)
    try:
        bundle = told.bundle.read_bytes()
        kept = None if told.checkpoint is None else told.checkpoint.read_text("utf-8")
        verdict = verify(bundle, _key(told.key), kept)
        if told.keep is not None:
            told.keep.write_text(read_proof(read_sections(bundle)[0]["proof"])[2], "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"cannot verify: {error}\n")
        return 2
    except Refused as error:
        sys.stderr.write(f"NOT VERIFIED: {error}\n")
        return 1
    sys.stdout.writelines(f"proven: {one}\n" for one in verdict.proven)
    sys.stdout.writelines(f"note: {one}\n" for one in verdict.notes)
    sys.stdout.write("VERIFIED\n")
    return 0


def _key(told: str) -> str:
    """The key itself: it has two plus signs, a file's name hardly."""
    return told if told.count("+") > 1 else Path(told).read_text("utf-8")


if __name__ == "__main__":
    sys.exit(main())
