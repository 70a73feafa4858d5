#!/usr/bin/env python3
"""Asks for profiles from an address of this machine that is no loopback address: 403, whatever the request says. Where
the machine has no such address, a network namespace with one is made.

Usage: pprof_peer_test.py PROGRAM
"""

import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IN_NAMESPACE = "--in-namespace"
MADE = "192.0.2.1"  # of a network for documentation


def own_address():
    """The address that packets to elsewhere would come from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("198.51.100.1", 9))
            return unsent.getsockname()[0]
        except OSError:
            return None


def make_address():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{MADE}/32", "dev", "lo"], check=True)
    return MADE


def status(address, port, path, headers):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    connection.request("GET", path, headers=headers)
    found = connection.getresponse().status
    connection.close()
    return found


def check(address, port):
    for path in ("/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/pprof/cmdline"):
        for host in (f"{address}:{port}", "localhost", "127.0.0.1"):
            found = status(address, port, path, {"Host": host})
            assert found == 403, (path, host, found)
    assert status(address, port, "/health", {}) == 200, "it is served at all"


def main(program, address):
    with tempfile.NamedTemporaryFile("w", suffix=".log") as errors:
        environment = {"SHARED_LOCK_STORAGE_TYPE": "memory", "AUTHENTICATION_DISABLED": "true",
                       "SHARED_LOCK_SERVER_ADDRESS": address, "SHARED_LOCK_PPROF_ENABLED": "true"}
        server = subprocess.Popen([program, "serve", "--port", "0"], env=environment, stderr=errors)
        try:
            port, until = None, time.monotonic() + 30
            while not port and server.poll() is None and time.monotonic() < until:
                port = re.search(r'"msg":"serving".*"port":(\d+)', Path(errors.name).read_text(errors="replace"))
                time.sleep(0.02)  # real time: another process starts
            assert port, Path(errors.name).read_text(errors="replace")
            check(address, int(port[1]))
        finally:
            server.terminate()
            code = server.wait(30)
        assert code == 0, code


if __name__ == "__main__":
    if sys.argv[1] == IN_NAMESPACE:
        main(sys.argv[2], make_address())
    elif own := own_address():
        main(sys.argv[1], own)
    else:
        os.execvp("unshare", ["unshare", "-rn", sys.executable, __file__, IN_NAMESPACE, sys.argv[1]])
