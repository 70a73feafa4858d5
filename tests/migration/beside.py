"""Servers of ours and originals on one etcd, with clients that use all of them, while servers are killed and etcd or a
server stands still for a moment."""

import os
import random
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from beliefs import overlaps, tokens_going_back
from etcd import cluster
from holders import Holder, NoAnswer, Place
from processes import Child, Failed
from servers import free_ports

CLIENTS = 12
LEAST_HOLDINGS = 20
MOST_SECONDS_MORE = 60  # until so much has happened that it shows something


class Server:
    """One that is started again after it was killed, on the same port."""

    def __init__(self, place, command, settings, answers, log):
        self.place, self.command, self.settings, self.answers, self.log = place, command, settings, answers, log
        self.begin()

    def begin(self):
        path_and_home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.child = Child(self.command, None, self.log, {**path_and_home, **self.settings})
        self.child.wait_until(lambda: self.answers(self.place.port), self.place.name, 120)

    def kill(self):
        self.child.end(signal.SIGKILL)

    def end(self):
        self.child.end(signal.SIGKILL)


@dataclass
class Setup:
    """Where everything is kept, and the program."""

    folder: Path
    program: Path


class Beside:
    """What came of it: `beliefs`, `counts`, `faults`, whether that is `enough`, and `wrong`, a sentence each."""

    def __init__(self, setup, originals, seconds, seed):
        self.choice = random.Random(seed)
        self.faults = 0
        with ExitStack() as running:
            (member,) = running.enter_context(cluster(setup, 1))
            servers = self._start(running, setup, originals, member.url)
            stop = threading.Event()
            holders = [
                Holder(f"client {i}", self.choice.random(), [server.place for server in servers], stop)
                for i in range(CLIENTS)
            ]
            running.callback(stop.set)
            for holder in holders:
                holder.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end or (
                not _enough(holders, servers) and time.monotonic() < end + MOST_SECONDS_MORE
            ):
                self._fail_something(member, servers, min(2.0, seconds / 4))
            self.enough = _enough(holders, servers)
            stop.set()
            for holder in holders:
                holder.join()
        self.beliefs = [belief for holder in holders for belief in holder.beliefs]
        self.counts = sum((holder.counts for holder in holders), start=type(holders[0].counts)())
        self.wrong = overlaps(self.beliefs) + tokens_going_back(self.beliefs)

    def _start(self, running, setup, originals, etcd):
        ports = free_ports(len(originals) + 2)
        servers = []
        for number, port in enumerate(ports):
            if number < 2:
                place = Place(f"server {number + 1} of ours", port, ("locks", "leases"), ours=True)
                server = Server(place, [str(setup.program), "serve"], _settings_of_ours(port, etcd), _is_ready,
                                setup.folder / f"ours-{number}.log")  # fmt: skip
            else:
                original = originals[number - 2]
                place = Place(original.name, port, original.takes, ours=False)
                server = Server(place, original.command, original.settings(port, etcd), original.answers,
                                setup.folder / f"original-{number}.log")  # fmt: skip
            running.callback(server.end)
            servers.append(server)
        return servers

    def _fail_something(self, member, servers, pause):
        time.sleep(self.choice.uniform(0.5, 2.0) * pause)  # real time: all is well between two faults
        self.faults += 1
        server = self.choice.choice(servers)
        what = self.choice.choice(("kill", "stop a server", "stop etcd"))
        if what == "kill":
            server.kill()
            server.begin()
            return
        stopped = member if what == "stop etcd" else server.child
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            time.sleep(self.choice.uniform(0.3, 1.5) * pause)  # real time: it stands still
        finally:
            os.kill(stopped.pid, signal.SIGCONT)

    def summary(self):
        granted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        return f"{len(self.beliefs)} holdings, {self.faults} faults: {granted}"


def _enough(holders, servers):
    granting = [belief.server for holder in holders for belief in list(holder.beliefs)]
    return len(granting) >= LEAST_HOLDINGS and {server.place.name for server in servers} <= set(granting)


def _settings_of_ours(port, etcd):
    return {"SHARED_LOCK_SERVER_ADDRESS": "127.0.0.1", "SHARED_LOCK_SERVER_PORT": str(port),
            "SHARED_LOCK_ETCD_ADDR_LIST": etcd, "SHARED_LOCK_ETCD_LEASES": "own",
            "AUTHENTICATION_DISABLED": "true"}  # fmt: skip


def _is_ready(port):
    try:
        return Place("", port, (), ours=True).ask("GET", "/ready", None)[0] == 200
    except NoAnswer:
        return False


def run_beside(setup, originals, seconds, seed):
    """Whether nothing was held twice; prints what happened."""
    beside = Beside(setup, originals, seconds, seed)
    print(f"side by side, seed {seed}: {beside.summary()}")
    for each in beside.wrong:
        print(f"  {each}")
    if not beside.enough:
        raise Failed("too little happened to show anything: each server has to grant something")
    print(f"two holders at once, or tokens that went back: {len(beside.wrong)}")
    return not beside.wrong
