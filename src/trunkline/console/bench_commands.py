"""`trunkline bench`: measure models under load, report runs, compare them. The commands."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trunkline.config.load import load
from trunkline.errors import InputError

bench_app = typer.Typer(no_args_is_help=True, help="Measure models under load, honestly.")
INTERRUPTED = 130  # what a shell expects of SIGINT


@bench_app.command("run")
def bench_run(
    config: Annotated[Path | None, typer.Argument(help="A configuration.")] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="An endpoint of it. Repeat for several.")
    ] = None,
    url: Annotated[
        list[str] | None, typer.Option(help="The base URL of an OpenAI-compatible server. Repeat.")
    ] = None,
    model: Annotated[list[str] | None, typer.Option(help="The model there, one each URL.")] = None,
    key_env: Annotated[
        list[str] | None, typer.Option(help="Variables with their keys; '-': none.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Calls per second that arrive.")] = 1.0,
    cv: Annotated[float, typer.Option(help="Of the intervals: 1 Poisson, more is burstier.")] = 1.0,
    block_s: Annotated[float, typer.Option(help="Seconds of a block, for each subject.")] = 10.0,
    blocks: Annotated[int, typer.Option(help="Blocks; fewer than 56 are rough.")] = 56,
    turns: Annotated[int, typer.Option(min=1, max=100, help="Turns of a call.")] = 4,
    think_s: Annotated[float, typer.Option(min=0, help="Between an answer and the next.")] = 1.0,
    patience_s: Annotated[float, typer.Option(min=0.1, help="Then an answer has failed.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Draws arrivals and the order of the subjects.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The run's folder.")] = None,
) -> None:
    """Measure language models side by side, under calls that come whatever happens.

    Ctrl-C keeps what there is. The exit status is 1 if the figures are not to be believed.
    """
    from trunkline.bench.figures import load as load_run  # noqa: PLC0415  # loads numpy
    from trunkline.console import bench_report, benching  # noqa: PLC0415  # loads the network

    wanted = benching.Wanted(
        None if config is None else load(config),
        endpoint or (),
        benching.servers(url or (), model or (), key_env or ()),
    )
    order = benching.Order(benching.steps([(rate, block_s)]), blocks, seed, cv)
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    folder = out or Path("out/bench") / stamp
    talk = benching.Talk(turns, think_s, patience_s)
    console = Console(highlight=False)
    whole = benching.bench(benching.BenchOrder(wanted, order, talk, folder), console)
    found = load_run(folder)
    bench_report.write([found], folder)
    console.print(Text(bench_report.markdown([found])), soft_wrap=True)
    console.print(Text(f"files    {folder}"), soft_wrap=True)
    if not whole:
        raise typer.Exit(INTERRUPTED)
    if any(it.invalid for it in found.figures):
        raise typer.Exit(1)


@bench_app.command("report")
def bench_report_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    out: Annotated[Path, typer.Option(help="Where report.html and report.md go.")] = Path(
        "out/bench"
    ),
) -> None:
    """Make one offline page, and one in Markdown, of runs."""
    from trunkline.bench.figures import load as load_run  # noqa: PLC0415  # loads numpy
    from trunkline.console import bench_report  # noqa: PLC0415  # loads numpy

    for path in bench_report.write([load_run(it) for it in runs], out):
        typer.echo(path)


@bench_app.command("compare")
def bench_compare(
    a: Annotated[Path, typer.Argument(help="The run to compare with.")],
    b: Annotated[Path, typer.Argument(help="The run that is judged.")],
    subject_a: Annotated[
        str, typer.Option(help="One subject of A; left out: those that both have.")
    ] = "",
    subject_b: Annotated[str, typer.Option(help="The subject of B that it is held against.")] = "",
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="A slow-down of less than this share is none.")
    ] = 0.0,
) -> None:
    """Compare two runs, or two subjects of one; exit status 1 if B is significantly worse."""
    from trunkline.bench.figures import load as load_run  # noqa: PLC0415  # loads numpy
    from trunkline.console.bench_compare import compared, told  # noqa: PLC0415  # loads numpy

    if bool(subject_a) != bool(subject_b):
        raise InputError("give --subject-a and --subject-b, or neither")
    pairs = [(subject_a, subject_b)] if subject_a else None
    found = compared(load_run(a), load_run(b), pairs, margin)
    typer.echo(told(found))
    if any(it.worse for it in found):
        raise typer.Exit(1)


@bench_app.command("plan")
def bench_plan(
    pilot: Annotated[Path, typer.Argument(help="The folder of a run: the pilot.")],
    percentile: Annotated[float, typer.Option(min=1, max=99.99, help="Of time to first.")] = 99.0,
    width: Annotated[float, typer.Option(help="Half of the interval, as a share: 0.1.")] = 0.1,
    price: Annotated[float, typer.Option(min=0, help="What a call costs.")] = 0.0,
) -> None:
    """Say how many blocks and calls an interval takes, from a pilot."""
    from trunkline.bench.figures import load as load_run  # noqa: PLC0415  # loads numpy
    from trunkline.console.bench_plan import planned  # noqa: PLC0415  # loads numpy

    for line in planned(load_run(pilot), percentile / 100, width, price):
        typer.echo(line)
