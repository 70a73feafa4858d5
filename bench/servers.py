"""The servers that are measured: ours, and nginx answering a constant of the same size to the same requests."""

import json
import os
import signal
import socket
import time

from processes import Child, Failed, children


class SharedLock(Child):
    """`shared-lock serve` with one server thread, serving. `started_in`: seconds from its start until then."""

    def __init__(self, program, core, folder, storage="memory", data=None, under=(), preload=None):
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "AUTHENTICATION_DISABLED": "true",
            "SHARED_LOCK_STORAGE_TYPE": storage,
            "SHARED_LOCK_SERVER_ADDRESS": "127.0.0.1",
            "SHARED_LOCK_MAX_WAITERS": "1000000",  # effectively unlimited
            **({"SHARED_LOCK_DATA_DIR": str(data)} if data else {}),
            **(preload or {}),
        }
        begun = time.monotonic()
        command = [*under, str(program), "serve", "--port", "0", "--threads", "1"]
        super().__init__(command, core, folder / "server.log", environment)
        try:
            self.port = self.wait_until(self._port, "shared-lock serve")
        except BaseException:
            self.end(signal.SIGKILL)
            raise
        self.started_in = time.monotonic() - begun
        self.measured_pid = self.pid

    def _port(self):
        for line in self.log.read_text(errors="replace").splitlines():
            if '"msg":"serving"' in line and line.endswith("}"):
                return json.loads(line)["port"]
        return None


def ask(port, request):
    """The bytes of the answer, which has to come at once and whole."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = connection.recv(65536)
            if not more:
                raise Failed("a server closed the connection instead of answering")
            answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


def post(path, body, headers=""):
    text = f"POST {path} HTTP/1.1\r\nHost: bench\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    return text.encode()


LEASE = post("/lease", '{"key":"probe","value":"bench"}', "x-lease-ttl: 60s\r\n")
ACQUIRE = post("/v1/bench/lock/probe/acquire", '{"instanceId":"probe-me","leaseDuration":60}')


def answers_of(port):
    """What our server says to each kind of request: workload -> bytes."""
    granted = ask(port, LEASE)
    lease = granted.partition(b"\r\n\r\n")[2].decode()
    return {
        "grants": granted,
        "refusals": ask(port, LEASE),
        "keepalives": ask(port, post("/keepalive", lease)),
        "acquire": ask(port, ACQUIRE),
    }


def split(answer):
    """Status, number of header lines, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return int(lines[0].split()[1]), len(lines) - 1, body.decode()


OWN_HEADERS = 5  # Server, Date, Content-Type, Content-Length, Connection: nginx always sends these
CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log crit;
events {{ worker_connections 20000; multi_accept on; accept_mutex off; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on; default_type text/plain;
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /lease {{ {grants} }}
    location = /keepalive {{ {keepalives} }}
    location /v1/ {{ {acquire} }}
  }}
  server {{
    listen 127.0.0.1:{refusals_port} backlog=4096;
    location = /lease {{ {refusals} }}
  }}
}}
"""


def constant(answer, padding):
    """The location that returns what `answer` says: as many headers, if nginx has no more, and as many bytes."""
    status, headers, body = split(answer)
    lines = [f"add_header X-Padding-{i} x always;" for i in range(1, headers - OWN_HEADERS)]
    if headers > OWN_HEADERS:
        lines.append(f"add_header X-Padding {'x' * (1 + padding)} always;")
    else:
        body += " " * padding
    return " ".join(lines) + f" return {status} '{body}';"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


class Nginx(Child):
    """nginx with one worker, which answers each workload as our server answered `answers`."""

    def __init__(self, program, core, folder, answers):
        self.port, self.refusals_port = free_ports(2)
        self.sizes = {}
        # Twice: the first run shows how large its answers are.
        paddings = dict.fromkeys(answers, 0)
        self._write(folder, answers, paddings)
        with Child([program, "-e", "stderr", "-c", f"{folder}/nginx.conf"], core, folder / "nginx.log") as trial:
            self._wait(trial)
            for name, size in self._sizes(answers).items():
                paddings[name] = max(0, len(answers[name]) - size)
        self._write(folder, answers, paddings)
        super().__init__([program, "-e", "stderr", "-c", f"{folder}/nginx.conf"], core, folder / "nginx.log")
        try:
            self._wait(self)
            self.sizes = self._sizes(answers)
            self.measured_pid = children(self.pid)[0]
        except BaseException:
            self.end(signal.SIGTERM)
            raise

    def port_for(self, workload):
        return self.refusals_port if workload == "refusals" else self.port

    def _write(self, folder, answers, paddings):
        locations = {name: constant(answers[name], paddings[name]) for name in answers}
        text = CONFIG.format(folder=folder, port=self.port, refusals_port=self.refusals_port, **locations)
        (folder / "nginx.conf").write_text(text)

    def _wait(self, process):
        def listens():
            try:
                return ask(self.port, LEASE)
            except OSError:
                return None

        process.wait_until(listens, "nginx")

    def _sizes(self, answers):
        requests = {"keepalives": post("/keepalive", "1"), "acquire": ACQUIRE}
        return {name: len(ask(self.port_for(name), requests.get(name, LEASE))) for name in answers}
