"""What the originals bring along to test themselves, run against this server."""

import concurrent.futures
import re
import subprocess

from http_cases import read_case, run_case, seconds_of
from processes import Failed
from servers import SharedLock

LONGEST_CASE = 120  # seconds that one may wait
LOAD_SECONDS = 5


def _server(setup, name, **settings):
    folder = setup.folder / name
    folder.mkdir()
    return SharedLock(setup.program, None, folder, preload=settings)


def run_its_case(setup, number, path):
    """What is wrong with the answers to that file of LockServiceCentral's HTTP tests, a sentence each. A file has a
    strict server of its own, since all use the same names."""
    steps = read_case(path)
    if seconds_of(steps) > LONGEST_CASE:
        return [f"not run: it would take {seconds_of(steps)} s"]
    with _server(setup, f"case-{number}", COMPAT_STRICT="true") as server:
        return run_case(server.port, steps, strict=True)


def run_its_cases(setup, cases):
    """Whether all are well; prints what is not."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # which wait for what is to end
        outcomes = list(pool.map(lambda case: run_its_case(setup, *case), enumerate(cases)))
    for path, wrong in zip(cases, outcomes):
        for each in wrong:
            print(f"  {path.name}: {each}")
    good = outcomes.count([])
    print(f"its HTTP tests: {good} of {len(cases)} pass")
    return good == len(cases)


def run_its_load(setup, load):
    """Whether no request of the Go service's load script failed; prints how many there were."""
    with _server(setup, "load") as server:
        command = [load, f"-url=http://127.0.0.1:{server.port}", f"-duration={LOAD_SECONDS}s"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    counts = {name: re.search(rf"^{name} requests: (\d+)", ended.stdout, re.M) for name in ("Total", "Failed")}
    if ended.returncode != 0 or None in counts.values():
        raise Failed(f"its load script says: {ended.stdout[-1000:]}{ended.stderr[-1000:]}")
    total, failed = (int(counts[name][1]) for name in ("Total", "Failed"))
    print(f"its load script: {total} requests, {failed} failed")
    return total > 0 and failed == 0
