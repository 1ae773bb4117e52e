"""An engine process that does not speak the protocol: what it does instead is its first setting."""

import json
import sys
import time

from trunkline.providers.embedded.framing import Kind, Pipe, die_with_parent


def main() -> None:
    """Do what the settings say."""
    die_with_parent()
    pipe = Pipe.of_this_process()
    frame = next(pipe.frames())
    what = json.loads(frame.payload)["do"]
    if what == "never_ready":
        time.sleep(3_600)
    if what == "garbage_first":
        pipe._sink.write(b"\xff" * 1_000_000)
    pipe.send(Kind.READY)
    for asked in pipe.frames():
        misbehave(what, pipe, asked.exchange)


def misbehave(what: str, pipe: Pipe, exchange: int) -> None:
    """Answer one request wrongly."""
    match what:
        case "garbage":
            pipe._sink.write(b"\x00" * 100_000)
        case "endless_garbage":
            while True:
                pipe._sink.write(b"\xff" * 65_536)
        case "endless_results":
            while True:
                pipe.send(Kind.RESULT, exchange + 1, bytes(500_000))
        case "half_a_frame":
            pipe._sink.write(b"\x00\x00\x10\x00\x13")
            sys.exit(3)
        case "wrong_kind":
            pipe.send(Kind.CONFIGURE, exchange, b"{}")
        case "not_utf8":
            pipe.send(Kind.FAIL, exchange, b"\xff\xfe")
        case "stderr_flood":
            sys.stderr.write("x" * 50_000_000)
            sys.exit(4)
        case other:
            raise SystemExit(f"unknown: {other}")


if __name__ == "__main__":
    main()
