"""`python -m loadtests.bench`: what `make bench` runs. 0 when every bar was met, else 1."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from loadtests.bench import report
from loadtests.bench.run import REPORTS, Options, run
from loadtests.bench.scenarios import NAMES, chosen, scenarios
from loadtests.bench.shop import Prepared
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure

LONGEST = 20.0


def main() -> int:
    """Run the benchmark and judge it; a failure is told in plain words and gives 1."""
    options = _parse()
    signal.signal(signal.SIGTERM, _end)
    progress = Progress()
    try:
        results = run(options, progress)
        report.show(progress.console, results)
        paths = report.write(results, REPORTS, results.context["stamp"])
    except StackError as error:
        show_failure(progress.console, error)
        return 1
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    progress.say_plain(f"Written: {' '.join(str(path) for path in paths)}")
    return results.exit_code


def _end(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parse() -> Options:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    parser.add_argument("--time", type=float, default=2.0, help="seconds of each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="of all measurements in turn")
    parser.add_argument("--clients", type=int, default=8, help="connections")
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join(NAMES)}")
    given = parser.parse_args()
    names = [name for name in given.only.split(",") if name]
    try:
        chosen(scenarios(Prepared([], [], [], [])), names)
    except ValueError as error:
        parser.error(str(error))
    if not 0.1 <= given.time <= LONGEST:
        parser.error(f"--time is 0.1 to {LONGEST:g} seconds")
    if not 1 <= given.rounds <= 100 or not 1 <= given.clients <= 64:
        parser.error("--rounds is 1 to 100, --clients 1 to 64")
    return Options(given.time, given.rounds, given.clients, names)


if __name__ == "__main__":
    sys.exit(main())
