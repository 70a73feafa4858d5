"""The server beside other lock services: Redis, etcd's own locks, and the two services that it replaces. One client
speaks the protocols of all (bench/peers_driver.cpp). All that serves a row shares one core, etcd too; the client has
the other."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import etcd
from measures import server
from originals import LOCKS
from processes import Child, Failed, cpu_seconds
from servers import free_ports

TITLES = ("what, connections", "durable", "operations/s", "p50 ms", "p99 ms", "CPU µs servers", "CPU µs client")
HAND_OVER_TITLES = ("what", "durable", "p50 ms", "p99 ms")
COUNTS = (1, 64)
HAND_OVER = "hand-over"
PATIENCE = 60  # seconds that a run may take longer than it should


@dataclass
class Peer:
    name: str
    durable: str  # before it is granted
    protocol: str  # of the driver
    start: Callable  # setup -> a context: the port, and the processes that serve
    waits: bool = True  # its clients can wait for a held lock


# --- what serves ------------------------------------------------------------------------------------------------------


def on_etcd(start):
    """A server on an etcd of its own: `start(setup, url)` is its context."""

    @contextmanager
    def both(setup):
        with etcd.cluster(setup, 1, setup.server_core) as (member,), start(setup, member.url) as (port, pids):
            yield port, [*pids, member.pid]

    return both


@contextmanager
def etcd_alone(setup):
    with etcd.cluster(setup, 1, setup.server_core) as (member,):
        yield int(member.url.rpartition(":")[2]), [member.pid]


def ours(storage):
    @contextmanager
    def start(setup, url=""):
        with server(setup, storage, preload={"LOCKER_ETCD_ENDPOINTS": url} if url else None) as running:
            running.wait_until(lambda: etcd.is_ready(running.port), "shared-lock")
            yield running.port, [running.pid]

    return on_etcd(start) if storage == "etcd" else start


def redis(*flags):
    """Redis with its own defaults but for `flags`, and without snapshots."""

    @contextmanager
    def start(setup):
        (port,) = free_ports(1)
        with tempfile.TemporaryDirectory(prefix="redis-", dir=setup.folder) as folder:
            command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "", *flags]
            log = setup.folder / "redis.log"
            with Child(list(map(str, command)), setup.server_core, log) as running:
                running.wait_until(lambda: "Ready to accept connections" in log.read_text(errors="replace"), "Redis")
                yield port, [running.pid]

    return start


def original(given):
    """A service that ours replaces, as tests/migration/originals.py found it."""

    @contextmanager
    def start(setup, url):
        (port,) = free_ports(1)
        # Tomcat would end a connection after 100 requests, and each client keeps its own.
        settings = {"SERVER_TOMCAT_MAX_KEEP_ALIVE_REQUESTS": "-1", **given.settings(port, url)}
        settings |= {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with Child(given.command, setup.server_core, setup.folder / "original.log", settings) as running:
            running.wait_until(lambda: given.answers(port), given.name, 120)
            if given.takes == LOCKS:
                drive(setup, port, "lock-poll", COUNTS[-1])  # until Java has compiled what is used
            yield port, [running.pid]

    return on_etcd(start)


def peers(originals):
    found = [
        Peer("shared-lock, memory, lock API", "no", "lock", ours("memory")),
        Peer("shared-lock, memory, lease API", "no", "lease", ours("memory")),
        Peer("Redis", "no", "redis", redis()),
        Peer("shared-lock, embedded, lock API", "yes", "lock", ours("embedded")),
        Peer("shared-lock, embedded, lease API", "yes", "lease", ours("embedded")),
        Peer("Redis, appendfsync always", "yes", "redis", redis("--appendonly", "yes", "--appendfsync", "always")),
        Peer("shared-lock, etcd, lock API", "by etcd", "lock", ours("etcd")),
        Peer("shared-lock, etcd, lease API", "by etcd", "lease", ours("etcd")),
        Peer("etcd's v3lock, a lease for each client", "by etcd", "v3lock", etcd_alone),
        Peer("etcd's v3lock, a lease for each lock", "by etcd", "v3lock-lease", etcd_alone),
    ]
    for given in originals:
        if given.takes == LOCKS:
            found.append(Peer(given.name, "by etcd", "lock-poll", original(given)))
        else:  # it has no release
            name = f"{given.name}, grants alone"
            found.append(Peer(name, "by etcd", "lease-grant", original(given), waits=False))
            name = "shared-lock, etcd, lease API, grants alone"
            found.append(Peer(name, "by etcd", "lease-grant", ours("etcd"), waits=False))
    return found


# --- what is measured -------------------------------------------------------------------------------------------------


def drive(setup, port, protocol, work):
    """One run of the driver; `work`: a number of connections, or HAND_OVER."""
    seconds = setup.seconds * (2 if work == HAND_OVER else 1)  # there are only eight hand-overs in a second
    command = [setup.program.parent / "peers_driver", f"127.0.0.1:{port}", protocol, work, seconds]
    with Child(list(map(str, command)), setup.client_core, setup.folder / "peers_driver.log") as driver:
        try:
            driver.process.wait(seconds + PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(map(str, command))}: no end after {seconds + PATIENCE:.0f} s") from None
    said = driver.log.read_text(errors="replace")
    if driver.process.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: {said}")
    return json.loads(said.splitlines()[-1])


def run(setup, peer, work):
    """Operations/s, p50 and p99 in ms, and microseconds of CPU for each, of the servers and of the client."""
    with peer.start(setup) as (port, pids):
        before = sum(map(cpu_seconds, pids))
        found = drive(setup, port, peer.protocol, work)
        used = sum(map(cpu_seconds, pids)) - before
    each = [seconds * 1e6 / found["operations"] for seconds in (used, found["cpu_seconds"])]
    return found["operations_per_second"], found["p50"] / 1e3, found["p99"] / 1e3, *each


def measure(setup, originals):
    """Rows for two tables: of locks taken and given back, and of locks that pass from one client to the next."""
    runs = {}
    everyone = peers(originals)
    for number in range(setup.rounds):
        for peer in everyone:
            for work in (*COUNTS, *([HAND_OVER] if peer.waits else [])):
                setup.say(f"round {number + 1}: {peer.name}, {work}")
                runs.setdefault((peer.name, work), []).append(run(setup, peer, work))
    pairs, hand_overs = [], []
    for peer in everyone:
        for count in COUNTS:
            rate, p50, p99, servers, client = etcd.medians(runs[peer.name, count])
            figures = f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{servers:,.0f}", f"{client:,.0f}"
            pairs.append((f"{peer.name}, {count}", peer.durable, *figures))
        if peer.waits:
            _, p50, p99, _, _ = etcd.medians(runs[peer.name, HAND_OVER])
            hand_overs.append((peer.name, peer.durable, f"{p50:.2f}", f"{p99:.2f}"))
    return pairs, hand_overs
