"""The server on an etcd, against programs that use the same etcd directly."""

import json
import re
import shutil
import statistics
import subprocess
import urllib.request
from contextlib import ExitStack, contextmanager

from measures import load, server, timed
from processes import Child, Failed, cpu_seconds
from servers import free_ports
from table import verdict

TITLES = (
    "what", "operations/s", "p50 ms", "p99 ms", "raft entries", "CPU µs etcd", "CPU µs server", "CPU µs client",
    "of the direct", "target", "",
)  # fmt: skip
DIRECT = (  # name, workload of the driver, operations in flight
    ("direct: txn", "txn", 64),
    ("direct: txn", "txn", 256),
    ("direct: txn + txn that deletes", "pair", 64),
    ("direct: grant", "grant", 64),
    ("direct: grant + txn", "grant-txn", 64),
    ("direct: keepalive, a stream each", "keepalive", 64),
    ("direct: txn", "txn", 1),
)
OURS = (  # name, workload of our client, connections, the direct ones to compare with and the least ratio
    ("acquire", "acquire", 64, (("txn", 64, 3.0),)),
    ("acquire", "acquire", 256, (("txn", 256, 5.0),)),
    ("acquire + release", "acquire-release", 64, (("pair", 64, 3.5),)),
    ("lease grant", "grants", 64, (("grant", 64, 0.75), ("grant-txn", 64, 1.8))),
    ("keepalive", "keepalives", 64, (("keepalive", 64, 3.0),)),
    ("refused, cache on", "refusals", 64, ()),
    ("acquire", "acquire", 1, ()),
)
REFUSED_OF_MEMORY = 0.8  # least ratio of refusals with the cache on to those of the memory store
SLOWEST_ALONE = 1.3  # limit of p50 at one client, over that of the round trip it needs: a transaction


class Member(Child):
    """One member of an etcd of its own, free to use every core where `core` is None."""

    def __init__(self, name, client, peer, cluster, folder, core):
        self.url = f"http://127.0.0.1:{client}"
        data = folder / f"etcd-{name}"
        command = ["etcd", "--name", name, "--data-dir", data, "--initial-cluster", cluster, "--log-level", "error"]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        peers = f"http://127.0.0.1:{peer}"
        command += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        super().__init__(list(map(str, command)), core, folder / f"etcd-{name}.log")

    def serves(self):
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                return b"true" in answer.read()
        except OSError:
            return False

    def entries(self):
        """Raft entries that it has applied so far."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            return float(re.search(rb"^etcd_server_proposals_applied_total (\S+)", answer.read(), re.M)[1])


@contextmanager
def cluster(setup, size, core=None):
    ports = free_ports(2 * size)
    places = [(f"m{i}", ports[2 * i], ports[2 * i + 1]) for i in range(size)]
    initial = ",".join(f"{name}=http://127.0.0.1:{peer}" for name, _, peer in places)
    folder = setup.folder / f"cluster-{size}"
    folder.mkdir(exist_ok=True)
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder)
        members = [running.enter_context(Member(*place, initial, folder, core)) for place in places]
        for member in members:
            member.wait_until(member.serves, "etcd")
        yield members


class Effort:
    """What an etcd, and a server in front of it, spent while something ran."""

    def __init__(self, members, server_pid=None):
        self.members, self.server = members, server_pid
        self.before = self._now()

    def _now(self):
        etcd = sum(cpu_seconds(member.pid) for member in self.members)
        return self.members[0].entries(), etcd, cpu_seconds(self.server) if self.server else 0.0

    def each(self, operations):
        """Raft entries, and microseconds of CPU of etcd and of the server, for each of so many operations."""
        entries, etcd, ours = (after - before for after, before in zip(self._now(), self.before))
        return entries / operations, etcd * 1e6 / operations, ours * 1e6 / operations


def direct(setup, members, workload, count):
    command = [setup.program.parent / "etcd_driver", members[0].url.removeprefix("http://"), workload, count, setup.seconds]
    effort = Effort(members)
    with Child(list(map(str, command)), setup.client_core, setup.folder / "driver.log") as driver:
        driver.process.wait()
    said = driver.log.read_text(errors="replace")
    if driver.process.returncode != 0:
        raise Failed(f"etcd_driver: {said}")
    found = json.loads(said)
    factor = 2 if workload == "pair" else 1
    rate = found["operations_per_second"] * factor
    operations = rate * (setup.seconds + 0.5)
    return rate, found["p50"], found["p99"], *effort.each(operations), found["cpu_seconds"] * 1e6 / operations


def through_us(setup, members, workload, count):
    more = {
        "LOCKER_ETCD_ENDPOINTS": ",".join(member.url for member in members),
        "SHARED_LOCK_CACHE_ENABLED": "true" if workload == "refusals" else "false",
    }
    with server(setup, "etcd", preload=more) as ours:
        ours.wait_until(lambda: is_ready(ours.port), "shared-lock on etcd")
        effort = Effort(members, ours.pid)
        run, found = load(setup, ours.port, ours.pid, *timed(setup, workload), connections=count)
        each = effort.each(found["answers"] + found["prepared"])
        return run.rate, run.p50, run.p99, *each, found["client_cpu_us_per_request"]


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def on_memory(setup):
    with server(setup) as ours:
        return load(setup, ours.port, ours.pid, *timed(setup, "refusals"))[0].rate


def medians(runs):
    return [statistics.median(column) for column in zip(*runs)]


def etcd(setup, size=1):
    """Rows for a table: the direct ones, then ours."""
    theirs = {(workload, count): [] for _, workload, count in DIRECT}
    ours = {(workload, count): [] for _, workload, count, _ in OURS}
    memory = []
    version = subprocess.run(["etcd", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    for number in range(setup.rounds):
        # A separate cluster for each run: recent writes make an etcd slower.
        for workload, count in theirs:
            setup.say(f"{version}, {size} members, round {number + 1}: direct {workload}, {count}")
            with cluster(setup, size) as members:
                theirs[workload, count].append(direct(setup, members, workload, count))
        for workload, count in ours:
            setup.say(f"{version}, {size} members, round {number + 1}: {workload}, {count}")
            with cluster(setup, size) as members:
                ours[workload, count].append(through_us(setup, members, workload, count))
        memory.append(on_memory(setup))
    theirs = {key: medians(runs) for key, runs in theirs.items()}
    ours = {key: medians(runs) for key, runs in ours.items()}
    rows = [row(f"{name}, {count}", theirs[workload, count]) for name, workload, count in DIRECT]
    for name, workload, count, measures in OURS:
        found = ours[workload, count]
        ratios = [(found[0] / theirs[against, n][0], least) for against, n, least in measures]
        if workload == "refusals":
            ratios = [(found[0] / statistics.median(memory), REFUSED_OF_MEMORY)]
        if count == 1:
            slower = found[1] / theirs["txn", 1][1]
            rows.append(row(f"{name}, {count}", found, f"p50 × {slower:.2f}", f"≤ {SLOWEST_ALONE}", slower <= SLOWEST_ALONE))
            continue
        rows.append(row(
            f"{name}, {count}", found, " ".join(f"{ratio:.2f}" for ratio, _ in ratios),
            " ".join(f"≥ {least}" for _, least in ratios), all(ratio >= least for ratio, least in ratios),
        ))  # fmt: skip
    return rows


def row(name, found, ratio="", target="", good=None):
    rate, p50, p99, entries, etcd_cpu, our_cpu, client_cpu = found
    return (
        name, f"{rate:,.0f}", f"{p50 / 1e3:.2f}", f"{p99 / 1e3:.1f}", f"{entries:.2f}",
        f"{etcd_cpu:.0f}", f"{our_cpu:.0f}", f"{client_cpu:.0f}", ratio, target, "" if good is None else verdict(good),
    )  # fmt: skip
