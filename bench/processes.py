"""Programs that script/bench starts: pinned to a core, ended for sure, and looked at through /proc."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A sentence for people: the run can't go on."""


def cores():
    """The core of the server and that of the client."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise Failed("needs two cores: one for the server, one for the client")
    return allowed[0], allowed[1]


class Child:
    """A program on one core, or on all where that is None. It ends with the `with` block, and with this process whatever happens to it."""

    def __init__(self, command, core, log, environment=None):
        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if core is not None:
                os.sched_setaffinity(0, {core})

        self.log = Path(log)
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, preexec_fn=prepare
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(signal.SIGTERM)

    @property
    def pid(self):
        return self.process.pid

    def end(self, how):
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until(self, ready, what, seconds=60):
        """Polls every millisecond until ready() is true, and returns what it returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"{what} ended: {self.log.read_text(errors='replace')[-2000:]}")
            if answer := ready():
                return answer
            time.sleep(0.001)
        raise Failed(f"{what} is not ready after {seconds} s")


def cpu_seconds(pid):
    """User and system time of all threads, living and ended; the kernel counts in ticks, most often of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_anon(pid):
    """Bytes of memory that belong to the process alone and to no file."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise Failed("the kernel tells no RssAnon")


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
