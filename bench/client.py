"""What the C++ client library costs, beside a client that knows nothing but the bytes of its requests."""

import json
import statistics

from measures import server
from processes import Child, Failed
from table import verdict

TITLES = ("figure", "library", "bare client", "ratio", "target", "")
HELD = 1000


def driver(setup, port, *arguments):
    command = [str(setup.program.parent / "client_driver"), str(port), *map(str, arguments)]
    with Child(command, setup.client_core, setup.folder / "client_driver.log") as child:
        child.process.wait()
    said = child.log.read_text(errors="replace")
    if child.process.returncode != 0:
        raise Failed(f"{' '.join(command)}: {said}")
    return json.loads(said.splitlines()[-1])


def client(setup):
    with server(setup) as ours:
        runs = {"pairs": [], "bare": []}
        for number in range(setup.rounds):
            setup.say(f"client library: round {number + 1}")
            for what in runs:
                runs[what].append(driver(setup, ours.port, what, int(1000 * setup.seconds)))
        setup.say(f"client library: {HELD} locks")
        held = driver(setup, ours.port, "hold", HELD, int(10 * setup.seconds))["cpu"]

    def microseconds(what, name):
        return statistics.median(run[name] for run in runs[what]) * 1e6

    ratio = statistics.median(one["seconds"] / other["seconds"] for one, other in zip(runs["pairs"], runs["bare"]))
    return [
        ("acquire + release, µs", f"{microseconds('pairs', 'seconds'):.0f}", f"{microseconds('bare', 'seconds'):.0f}",
         f"{ratio:.2f}", "≤ 1.2", verdict(ratio <= 1.2)),
        ("its CPU, µs", f"{microseconds('pairs', 'cpu'):.0f}", f"{microseconds('bare', 'cpu'):.0f}", "", "", ""),
        (f"CPU of {HELD:,} locks that renew themselves, ttl 15 s", f"{held:.2%} of a core", "", "", "< 2 %",
         verdict(held < 0.02)),
    ]
