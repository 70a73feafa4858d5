"""What waiting in line costs: the time from one holder to the next, and what clients take that only wait."""

import json
import os
import re
import select
import socket
import statistics
import time
from array import array
from contextlib import ExitStack, contextmanager

import etcd
from measures import allow_open_files, preloaded, server
from processes import Failed, cpu_seconds, rss_anon
from servers import ask, post
from table import verdict

HAND_OVER_TITLES = ("store", "waiters", "p50 ms", "p99 ms", "hand-overs/s", "sync or commit ms", "target, p50", "")
IDLE_TITLES = ("figure", "memory", "embedded", "etcd", "target", "")
STORES = {  # store -> its syncs or commits per hand-over allowed, and milliseconds beyond them
    "memory": None,
    "embedded": (1, 0.3),
    "etcd": (2, 0.5),
}
LINES = (1, 1000)
IDLE_WAITERS = 10_000
IDLE_SECONDS = 20
LOCK = "/v1/bench/lock/line"


class Waiter:
    """A connection, and the holder that it speaks for."""

    def __init__(self, port, name):
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def acquire(self, wait=3600):
        self._send("acquire", {"instanceId": self.name, "leaseDuration": 3600, "wait": wait})

    def release(self):
        self._send("release", {"instanceId": self.name})
        self.expect_success()

    def expect_success(self):
        answer = self.socket.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise Failed(f"{self.name} was answered {answer[:200]!r}")

    def _send(self, what, body):
        self.socket.sendall(post(f"{LOCK}/{what}", json.dumps(body)))


def get(port, path):
    return ask(port, f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())


def standing(port):
    """How many stand in line. That reads all of the line, and takes memory for it."""
    found = re.search(rb'"waiters":(\d+)', get(port, LOCK))
    return int(found[1]) if found else 0


def waiters(port):
    """How many wait, with or without a place."""
    return int(re.search(rb"\nshared_lock_lock_waiters (\d+)", get(port, "/metrics"))[1])


@contextmanager
def line_of(ours, count):
    """A holder, and `count` waiters that stand in line behind it, in order."""
    allow_open_files(count)
    everyone = [Waiter(ours.port, f"holder-{number}") for number in range(count + 1)]
    try:
        everyone[0].acquire(wait=0)
        everyone[0].expect_success()
        stand(ours, everyone[1:])
        yield everyone
    finally:
        for waiter in everyone:
            waiter.socket.close()


def stand(ours, newcomers):
    """One joins after the other has asked; the server puts them in line in that order."""
    many = len(newcomers) >= IDLE_WAITERS
    count = waiters if many else standing
    before = count(ours.port)
    for waiter in newcomers:
        waiter.acquire()
    until = time.monotonic() + 120
    while count(ours.port) < before + len(newcomers):
        if time.monotonic() > until:
            raise Failed("waiters did not come to stand in line")
        time.sleep(0.0005 if len(newcomers) == 1 else 0.05)


def hand_over(holder, poll, waiting):
    """Ends the holding; returns the next holder, and how many seconds after the release's answer it was granted."""
    holder.release()
    begun = time.perf_counter()
    ready = poll.poll(30)
    took = time.perf_counter() - begun
    if len(ready) != 1:
        raise Failed(f"after a release {len(ready)} waiters were answered")
    following = waiting[ready[0][0]]
    following.expect_success()
    return following, took


@contextmanager
def pinned(core):
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def hand_overs(setup, ours, count):
    """Seconds of each hand-over, and how many there were in a second where each holder released at once."""
    times = []
    with pinned(setup.client_core), line_of(ours, count) as (holder, *others), select.epoll() as poll:
        waiting = {waiter.socket.fileno(): waiter for waiter in others}
        for number in waiting:
            poll.register(number, select.EPOLLIN)
        in_one_go = max(1, count // 2)  # so that the queue stays long
        spent = 0.0
        until = time.monotonic() + setup.seconds
        while time.monotonic() < until or len(times) < 200:
            former = []
            begun = time.perf_counter()
            for _ in range(in_one_go):
                following, took = hand_over(holder, poll, waiting)
                poll.unregister(following.socket)
                former.append(holder)
                holder = following
                times.append(took)
            spent += time.perf_counter() - begun
            for waiter in former:
                waiting[waiter.socket.fileno()] = waiter
                poll.register(waiter.socket, select.EPOLLIN)
            stand(ours, former)
    return times, len(times) / spent


@contextmanager
def on(setup, storage):
    """A server on such a store, and a function that says how many seconds a sync or a commit takes it."""
    with ExitStack() as running:
        if storage == "memory":
            yield running.enter_context(server(setup)), lambda: None
        elif storage == "embedded":
            times = setup.folder / "sync-times"
            times.unlink(missing_ok=True)
            preload = {"LD_PRELOAD": preloaded(setup, "timed_sync"), "SYNC_TIMES": str(times)}
            ours = running.enter_context(server(setup, storage, preload=preload))
            yield ours, lambda: statistics.median(array("q", times.read_bytes())) / 1e9
        else:
            members = running.enter_context(etcd.cluster(setup, 1))
            preload = {"LOCKER_ETCD_ENDPOINTS": members[0].url}
            ours = running.enter_context(server(setup, storage, preload=preload))
            ours.wait_until(lambda: etcd.is_ready(ours.port), "shared-lock on etcd")
            yield ours, lambda: etcd.direct(setup, members, "txn", 1)[1] / 1e6


def hand_over_row(setup, storage, count):
    setup.say(f"hand-overs on {storage}, {count:,} waiting")
    with on(setup, storage) as (ours, one_write):
        times, rate = hand_overs(setup, ours, count)
        write = one_write()
    p50, *_, p99 = statistics.quantiles(times, n=100)[49:]
    figures = (storage, f"{count:,}", f"{p50 * 1e3:.2f}", f"{p99 * 1e3:.2f}", f"{rate:,.0f}")
    if write is None:
        return (*figures, "", "", "")
    writes, more = STORES[storage]
    most = writes * write * 1e3 + more
    return (*figures, f"{write * 1e3:.2f}", f"≤ {most:.2f}", verdict(p50 * 1e3 <= most))


def idle(setup, storage):
    """Of clients that only wait: percent of a core that all of them take, and bytes for each with its connection."""
    count = min(IDLE_WAITERS, setup.held)
    setup.say(f"{count:,} who wait on {storage}")
    with on(setup, storage) as (ours, _):
        empty = rss_anon(ours.pid)
        with line_of(ours, count):
            time.sleep(5)  # until all are in the queue, and the work left by joining is done
            each = (rss_anon(ours.pid) - empty) / count
            before, begun = cpu_seconds(ours.pid), time.monotonic()
            time.sleep(IDLE_SECONDS)
            percent = 100 * (cpu_seconds(ours.pid) - before) / (time.monotonic() - begun)
    return percent, each


def waiting(setup):
    """Rows for two tables: of hand-overs, and of clients that only wait."""
    rows = [hand_over_row(setup, storage, count) for storage in STORES for count in LINES]
    spent, sizes = zip(*(idle(setup, storage) for storage in STORES))
    who = f"{min(IDLE_WAITERS, setup.held):,} waiters"
    return rows, [
        (f"% of a core, {who}", *(f"{each:.2f}" for each in spent), "≤ 2", verdict(max(spent) <= 2)),
        (f"bytes for each of {who}", *(f"{each:,.0f}" for each in sizes), "≤ 8,192", verdict(max(sizes) <= 8192)),
    ]
