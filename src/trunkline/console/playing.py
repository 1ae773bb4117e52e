"""The demo from its first line in the terminal to its last file."""

import asyncio
import signal

from rich.console import Console

from trunkline.console import show
from trunkline.console.demo import DemoOrder, staged
from trunkline.console.live import Live
from trunkline.console.outcome import Evidence, Outcome, outcome
from trunkline.console.spoken import embedded_voice

__all__ = ["DemoOrder", "play"]


async def play(order: DemoOrder, console: Console, *, keep_open: bool = False) -> Outcome:
    """Run the demo, print it as it happens, write its files, and return what came of it."""
    broken = "nothing is broken" if order.fault == "none" else f"the primary will {order.fault}"
    console.print(
        f"A phone call to the receptionist of this machine; {broken}. The models are scripted, "
        "with modelled token timing; audio, sockets, recognition and synthesis are real.",
        style="dim",
    )
    async with staged(order, Live(console).tell) as run:
        evidence = Evidence(run)
        async with embedded_voice({}) as voice:
            result = await outcome(evidence, voice)
        show.write(evidence, result, order.out)
        show.table(result, console)
        if keep_open:
            console.print(
                f"The agent still answers. In another terminal:\n"
                f'  trunkline call {run.url} --say "what are your opening hours"\n'
                "Ctrl-C ends it.",
                soft_wrap=True,
            )
            await _until_interrupted()
    return result


async def _until_interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    await stop.wait()
