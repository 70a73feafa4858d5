"""What script/bench measures. Every measure returns rows of texts for a table."""

import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
from array import array
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from processes import Child, Failed, cpu_seconds, rss_anon
from servers import Nginx, SharedLock, answers_of
from table import verdict

CONNECTIONS = 64
LONG_TTL = "86400"


@dataclass
class Setup:
    program: Path  # shared-lock
    root: Path  # the checkout
    server_core: int
    client_core: int
    seconds: float  # of each run
    rounds: int  # the number that medians are taken over
    long: bool
    held: int  # locks and leases, where many are held
    folder: Path  # temporary, on the disk that is measured

    def say(self, text):
        print(f"   {text}", file=os.sys.stderr, flush=True)


@dataclass
class Run:
    rate: float
    p50: float
    p99: float
    cpu: float  # the server's microseconds per request


def load(setup, port, pid, *flags, connections=CONNECTIONS):
    """One run of our client; the server's CPU is read from /proc before and after it."""
    command = [str(setup.program), "bench", "--json", "--url", f"http://127.0.0.1:{port}"]
    command += ["--connections", str(connections), *map(str, flags)]
    before = cpu_seconds(pid)
    with Child(command, setup.client_core, setup.folder / "client.log") as client:
        client.process.wait()
    used = cpu_seconds(pid) - before
    said = client.log.read_text(errors="replace").splitlines()
    if client.process.returncode != 0 or not said:
        raise Failed(f"{' '.join(command)}: {' '.join(said)}")
    found = json.loads(said[-1])
    latency = found["latency_us"]
    cpu = used * 1e6 / (found["answers"] + found["prepared"])
    return Run(found["requests_per_second"], latency["p50"], latency["p99"], cpu), found


def timed(setup, workload, *more):
    return ["--workload", workload, "--seconds", setup.seconds, "--warmup", "0.5", *more]


def median(runs):
    return Run(*(statistics.median(getattr(run, field) for run in runs) for field in ("rate", "p50", "p99", "cpu")))


@contextmanager
def server(setup, storage="memory", **more):
    """Ours; the embedded one on an empty directory of its own, unless `data` names one."""
    data = more.pop("data", None)
    made = None
    if storage == "embedded" and data is None:
        data = made = Path(tempfile.mkdtemp(prefix="data-", dir=setup.folder))
    try:
        with SharedLock(setup.program, setup.server_core, setup.folder, storage, data=data, **more) as ours:
            yield ours
    finally:
        if made:
            shutil.rmtree(made)


# --- speed ------------------------------------------------------------------------------------------------------------

SPEED_TITLES = (
    "request", "requests/s", "p50 µs", "p99 µs", "CPU µs", "nginx/s", "nginx p50", "nginx p99", "nginx CPU", "ratio",
    "target", "",
)
SPEED = (  # name, workload, store, target: our CPU per request over nginx's
    ("refused", "refusals", "memory", 1.0),
    ("keepalive", "keepalives", "memory", 1.0),
    ("grant", "grants", "memory", 1.2),
    ("lock acquire", "acquire", "memory", 1.5),
    ("grant, embedded", "grants", "embedded", 2.0),
)


def speed(setup, nginx_program):
    with server(setup) as probe:
        answers = answers_of(probe.port)
    ours = {row: [] for row in SPEED}
    theirs = {workload: [] for _, workload, _, _ in SPEED}
    with Nginx(nginx_program, setup.server_core, setup.folder, answers) as nginx:
        for name, size in nginx.sizes.items():
            setup.say(f"{name}: answers of {len(answers[name])} bytes, of nginx {size}")
        for number in range(setup.rounds):
            for row in SPEED:
                name, workload, store, _ = row
                setup.say(f"round {number + 1}: {name}")
                # A separate server for each run: grants stay held, and a run must not find the previous ones.
                with server(setup, store) as measured:
                    ours[row].append(load(setup, measured.port, measured.pid, *timed(setup, workload))[0])
                if store == "memory":
                    port = nginx.port_for(workload)
                    theirs[workload].append(load(setup, port, nginx.measured_pid, *timed(setup, workload))[0])
        witness = seen_by_wrk(setup, nginx)
    return [speed_row(row, median(ours[row]), median(theirs[row[1]])) for row in SPEED], witness


def speed_row(row, ours, nginx):
    name, _, _, target = row
    ratio = ours.cpu / nginx.cpu
    figures = [ours.rate, ours.p50, ours.p99]
    theirs = [nginx.rate, nginx.p50, nginx.p99]
    return (
        name, *(f"{figure:,.0f}" for figure in figures), f"{ours.cpu:.2f}",
        *(f"{figure:,.0f}" for figure in theirs), f"{nginx.cpu:.2f}", f"{ratio:.2f}", f"≤ {target:.1f}",
        verdict(ratio <= target),
    )  # fmt: skip


WRK_SCRIPT = """
wrk.method = "POST"
wrk.path = "/lease"
wrk.headers["x-lease-ttl"] = "86400s"
wrk.body = '{"key":"held-by-somebody-else","value":"bench"}'
"""


def seen_by_wrk(setup, nginx):
    """Refused tries counted by another client: our server, nginx."""
    script = setup.folder / "refused.lua"
    script.write_text(WRK_SCRIPT)
    with server(setup) as ours:
        return [
            (name, f"{wrk(setup, script, port):,.0f}", f"{load(setup, port, pid, *timed(setup, 'refusals'))[0].rate:,.0f}")
            for name, port, pid in (
                ("refused", ours.port, ours.pid),
                ("nginx, the same requests", nginx.port_for("refusals"), nginx.measured_pid),
            )
        ]


def wrk(setup, script, port):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(setup.seconds))}s", "-s", str(script)]
    with Child([*command, f"http://127.0.0.1:{port}"], setup.client_core, setup.folder / "wrk.log") as client:
        client.process.wait()
    for line in client.log.read_text().splitlines():
        if line.startswith("Requests/sec:"):
            return float(line.split()[1])
    raise Failed(f"wrk: {client.log.read_text()}")


# --- the embedded store -----------------------------------------------------------------------------------------------

FIGURE_TITLES = ("figure", "measured", "target", "")


def preloaded(setup, name):
    """The library of bench/NAME.c."""
    library = setup.folder / f"{name}.so"
    source = setup.root / "bench" / f"{name}.c"
    subprocess.run(["g++", "-x", "c", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return str(library)


def grants_on_disk(setup, library):
    """Grants/s, and seconds of a sync in the same run: the median of those that the server made."""
    times = setup.folder / "sync-times"
    times.unlink(missing_ok=True)
    with server(setup, "embedded", preload={"LD_PRELOAD": library, "SYNC_TIMES": str(times)}) as ours:
        rate = load(setup, ours.port, ours.pid, *timed(setup, "grants"))[0].rate
    syncs = array("q", times.read_bytes())
    if not syncs:
        raise Failed("the embedded store made no sync that the preloaded library saw")
    return rate, statistics.median(syncs) / 1e9


def embedded(setup):
    memory, disk, syncs = [], [], []
    library = preloaded(setup, "timed_sync")
    for number in range(setup.rounds):
        setup.say(f"round {number + 1}: grants on disk")
        with server(setup) as ours:
            memory.append(load(setup, ours.port, ours.pid, *timed(setup, "grants"))[0].rate)
        rate, sync = grants_on_disk(setup, library)
        disk.append(rate)
        syncs.append(sync)
    sync = statistics.median(syncs)
    bound = 0.8 * min(statistics.median(memory), CONNECTIONS / (sync + 0.0001))
    measured = statistics.median(disk)
    name = f"embedded grants/s at {CONNECTIONS} connections (sync p50 {sync * 1e3:.2f} ms)"
    return [
        (name, f"{measured:,.0f}", f"≥ {bound:,.0f}", verdict(measured >= bound)),
        *(slow_sync(setup, connections, least) for connections, least in ((64, 45_000), (256, 150_000))),
    ]


def slow_sync(setup, connections, least):
    setup.say(f"syncs of 1 ms, {connections} connections")
    preload = {"LD_PRELOAD": preloaded(setup, "slow_sync"), "SLOW_SYNC_MICROSECONDS": "1000"}
    rates = []
    for _ in range(setup.rounds):
        with server(setup, "embedded", preload=preload) as ours:
            run, _ = load(setup, ours.port, ours.pid, *timed(setup, "grants"), connections=connections)
            rates.append(run.rate)
    rate = statistics.median(rates)
    name = f"embedded grants/s at {connections} connections, each sync 1 ms"
    return (name, f"{rate:,.0f}", f"≥ {least:,}", verdict(rate >= least))


# --- memory, start, scale ---------------------------------------------------------------------------------------------


def fill(setup, ours, workload, count, connections=CONNECTIONS):
    flags = ["--workload", workload, "--requests", count, "--ttl", LONG_TTL, "--timeout", 60]
    load(setup, ours.port, ours.pid, *flags, connections=connections)


def memory(setup):
    rows = []
    for api, workload, most in (("lease", "grants", 400), ("lock", "acquire", 700)):
        setup.say(f"{setup.held:,} held, {api} API")
        with server(setup) as ours:
            empty = rss_anon(ours.pid)
            fill(setup, ours, workload, setup.held)
            each = (rss_anon(ours.pid) - empty) / setup.held
        name = f"bytes for each lock held, {api} API, of {setup.held:,} (one run)"
        rows.append((name, f"{each:.0f}", f"≤ {most}", verdict(each <= most)))
    return [*rows, *idle(setup), recovery(setup), *flat(setup), connections(setup)]


def idle(setup):
    rows = []
    for storage in ("memory", "embedded"):
        starts, sizes = [], []
        for _ in range(5):
            with server(setup, storage) as ours:
                starts.append(ours.started_in)
                sizes.append(rss_anon(ours.pid))
        took, anonymous = statistics.median(starts), statistics.median(sizes)
        rows.append((f"idle RssAnon, {storage}", f"{anonymous / 1e6:.1f} MB", "≤ 15 MB", verdict(anonymous <= 15e6)))
        rows.append((f"start, {storage}", f"{took * 1e3:.0f} ms", "≤ 100 ms", verdict(took <= 0.1)))
    return rows


def recovery(setup):
    setup.say(f"recovery of {setup.held:,}")
    data = Path(tempfile.mkdtemp(prefix="data-", dir=setup.folder))
    try:
        with server(setup, "embedded", data=data) as ours:
            fill(setup, ours, "grants", setup.held)
            ours.end(signal.SIGKILL)
        with server(setup, "embedded", data=data) as ours:
            took = ours.started_in
    finally:
        shutil.rmtree(data)
    name = f"embedded: start with {setup.held:,} held, after kill -9 (one run)"
    return (name, f"{took:.2f} s", "≤ 5 s", verdict(took <= 5))


def flat(setup):
    """Tries refused by keys all over the table: every one is a walk through memory that is not in a cache."""
    rates = {}
    for held in (1000, setup.held, *((10 * setup.held,) if setup.long else ())):
        setup.say(f"throughput with {held:,} held")
        with server(setup) as ours:
            flags = timed(setup, "refusals", "--keys", held, "--ttl", LONG_TTL, "--name", "flat")
            rates[held] = statistics.median(
                load(setup, ours.port, ours.pid, *flags)[0].rate for _ in range(setup.rounds if held == 1000 else 1)
            )
    least = 0.8 * rates[1000]
    return [("refused/s with 1,000 held", f"{rates[1000]:,.0f}", "", "")] + [
        (f"refused/s with {held:,} held (one run)", f"{rates[held]:,.0f}", f"≥ {least:,.0f}", verdict(rates[held] >= least))
        for held in rates
        if held > 1000
    ]


def allow_open_files(count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < count + 100:
        raise Failed(f"the limit of open files is {most}; {count:,} connections need more")


def connections(setup):
    """Memory of connections that have had one answer and wait for nothing."""
    count = min(10_000, setup.held)
    setup.say(f"{count:,} idle connections")
    allow_open_files(count)
    held = []
    try:
        with server(setup) as ours:
            empty = rss_anon(ours.pid)
            for _ in range(count):
                client = socket.create_connection(("127.0.0.1", ours.port), timeout=10)
                held.append(client)
                client.sendall(b"GET /health HTTP/1.1\r\nHost: bench\r\n\r\n")
                client.recv(4096)
            each = (rss_anon(ours.pid) - empty) / count
    finally:
        for client in held:
            client.close()
    return (f"bytes for each of {count:,} idle connections (one run)", f"{each:,.0f}", "≤ 8,192", verdict(each <= 8192))


# --- instructions -----------------------------------------------------------------------------------------------------

INSTRUCTION_TITLES = ("request", "instructions")


def instructions(setup, few=1000, many=5000):
    """User-space instructions for each request on the memory store, counted by callgrind: what more requests cost more,
    so that connecting and looking at /metrics don't count."""
    rows = []
    out = setup.folder / "callgrind.out"
    under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", "--quiet"]
    with server(setup, under=under) as ours:
        control(ours.pid, "--instr=on")
        dumps = 0
        for name, workload, store, _ in SPEED:
            if store != "memory":
                continue
            setup.say(f"callgrind: {name}")
            totals = []
            for count in (few, few, many):  # the first warms up
                control(ours.pid, "--zero")
                fill(setup, ours, workload, count, connections=16)
                control(ours.pid, "--dump")
                dumps += 1
                totals.append(counted(out, dumps))
            rows.append((name, f"{(totals[2] - totals[1]) / (many - few):,.0f}"))
    return rows


def control(pid, what):
    done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or "OK" not in done.stdout:
        raise Failed(f"callgrind_control {what}: {done.stdout}{done.stderr}")


def counted(out, number):
    for line in out.with_name(f"{out.name}.{number}").read_text(errors="replace").splitlines():
        if line.startswith(("summary:", "totals:")):
            return int(line.split()[1])
    raise Failed("callgrind wrote no totals")
