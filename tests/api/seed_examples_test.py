#!/usr/bin/env python3
"""Runs the examples from the documentation of the two services that this one replaces against a real server: the curl
commands and the properties file exactly as written there, but for the port, which the kernel picks here.

Usage: seed_examples_test.py PROGRAM [ARGUMENTS OF UNITTEST…]
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = ""

CREATE_LEASE = """
     curl -X POST http://localhost:8080/lease \\
          -H "Content-Type: application/json" \\
          -H "x-lease-ttl: 60s" \\
          -d '{"key": "value"}'
"""

KEEP_ALIVE = """
     curl -X POST http://localhost:8080/keepalive \\
          -H "Content-Type: application/json" \\
          -d "12345"
"""

HEALTH_CHECK = """
     curl -X GET http://localhost:8080/health
"""

EXAMPLE_USAGE = """
   curl -X POST http://localhost:8080/lease \\
        -H "Content-Type: application/json" \\
        -H "x-lease-ttl: 60s" \\
        -d '{"key": "value"}'
"""

EXAMPLE_CONFIGURATION = """# etcd endpoints (comma-separated for cluster)
locker.etcd.endpoints=http://etcd-1:2379,http://etcd-2:2379,http://etcd-3:2379

# Key prefix
locker.etcd.keyPrefix=myapp/locks/

# Timeouts
locker.etcd.requestTimeoutMs=10000
locker.etcd.maxRetries=5

# TLS (optional)
locker.etcd.tls.enabled=true
locker.etcd.tls.caCertPath=/etc/ssl/etcd/ca.pem
locker.etcd.tls.clientCertPath=/etc/ssl/etcd/client.pem
locker.etcd.tls.clientKeyPath=/etc/ssl/etcd/client-key.pem

# Authentication (optional)
locker.etcd.auth.username=lockservice
locker.etcd.auth.password=secret
"""

# What the commands as written leave out: curl's own file of settings makes it print the status after the body.
CURL_SETTINGS = 'silent\nshow-error\nmax-time = 20\nnoproxy = "*"\nwrite-out = "\\n%{http_code}"\n'


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def sanitizer_options():
    return {name: value for name, value in os.environ.items() if re.match("(ASAN|LSAN|UBSAN|TSAN)_", name)}


class Server:
    """`shared-lock serve` with a memory store, serving on `port`."""

    def __init__(self, *arguments):
        environment = {"SHARED_LOCK_STORAGE_TYPE": "mock", "AUTHENTICATION_DISABLED": "true", **sanitizer_options()}
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--port", "0", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if '"msg":"serving"' in line:
                self.port = json.loads(line)["port"]
                return
        raise AssertionError(f"the server does not serve: {''.join(lines)}")

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=30)
        finally:
            self.process.kill()
        return self.process.wait()


class SeedExamples(unittest.TestCase):
    def setUp(self):
        self.assertIsNotNone(shutil.which("curl"), "curl is not installed")
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / ".curlrc").write_text(CURL_SETTINGS)

    def serve(self, *arguments):
        server = Server(*arguments)
        self.addCleanup(lambda: self.assertEqual(server.stop(), 0))
        self.port = server.port
        return server

    def run_example(self, command):
        """Runs it in a shell; returns the status and the body."""
        self.assertIn(":8080/", command)
        ended = subprocess.run(
            ["sh", "-c", command.replace(":8080/", f":{self.port}/")],
            env={"PATH": os.environ["PATH"], "CURL_HOME": str(self.folder), "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""), command)
        body, _, status = ended.stdout.rpartition("\n")
        return int(status), body

    def test_create_lease_is_201_and_then_202(self):
        self.serve()
        status, body = self.run_example(CREATE_LEASE)
        self.assertEqual(status, 201, "Created: Lease successfully created")
        self.assertRegex(body, r"\A[1-9][0-9]*\Z")
        self.assertEqual(self.run_example(CREATE_LEASE), (202, ""), "Accepted: already present")

    def test_example_usage_is_201(self):
        self.serve()
        self.assertEqual(self.run_example(EXAMPLE_USAGE)[0], 201)
        self.assertEqual(self.run_example(CREATE_LEASE)[0], 202, "the same key")

    def test_keep_alive_of_an_unknown_lease_is_204(self):
        self.serve()
        self.assertEqual(self.run_example(KEEP_ALIVE), (204, ""), "No Content: failed to prolong lease")

    def test_keep_alive_of_a_lease_is_200(self):
        self.serve()
        lease_id = self.run_example(CREATE_LEASE)[1]
        self.assertEqual(self.run_example(KEEP_ALIVE.replace("12345", lease_id)), (200, ""))

    def test_keep_alive_of_no_lease_id_is_500(self):
        self.serve()
        self.assertEqual(self.run_example(KEEP_ALIVE.replace("12345", "lease"))[0], 500, "failed to parse lease ID")

    def test_create_lease_with_an_invalid_body_is_400(self):
        self.serve()
        status, body = self.run_example(CREATE_LEASE.replace('{"key": "value"}', "{key: value}"))
        self.assertEqual(status, 400, "Bad Request: invalid request body")
        self.assertTrue(body.startswith("Failed to unmarshal request body"), body)

    def test_health_check_is_200(self):
        self.serve()
        self.assertEqual(self.run_example(HEALTH_CHECK)[0], 200)

    def test_example_configuration_serves(self):
        properties = self.folder / "application.properties"
        properties.write_text(EXAMPLE_CONFIGURATION)
        self.serve("--config", str(properties))
        self.assertEqual(self.run_example(HEALTH_CHECK)[0], 200)
        self.assertEqual(self.run_example(CREATE_LEASE)[0], 201)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
