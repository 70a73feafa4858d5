"""The two services that this one replaces, as somebody has them: sources, or what was built of them."""

import os
import shutil
import subprocess
import urllib.request
from pathlib import Path

from processes import Failed

LOCKS, LEASES = ("locks",), ("leases",)


class Original:
    """`takes`: its API; `command` and `settings(port, etcd)`: how it is started; `answers(port)`: whether it serves;
    `cases`: files of its HTTP tests; `load`: its load script, built."""

    def __init__(self, name, takes, command, cases=(), load=None):
        self.name, self.takes, self.command, self.cases, self.load = name, takes, command, cases, load

    def settings(self, port, etcd):
        if self.takes == LOCKS:
            return {"SPRING_PROFILES_ACTIVE": "etcd", "AUTHENTICATION_DISABLED": "true", "SERVER_PORT": str(port),
                    "SERVER_ADDRESS": "127.0.0.1", "LOCKER_ETCD_ENDPOINTS": etcd}  # fmt: skip
        return {"SHARED_LOCK_STORAGE_TYPE": "etcd", "SHARED_LOCK_SERVER_PORT": str(port),
                "SHARED_LOCK_ETCD_ADDR_LIST": etcd, "SHARED_LOCK_SERVER_ADDRESS": "127.0.0.1"}  # fmt: skip

    def answers(self, port):
        path = "/v1/migration/lock/nobody" if self.takes == LOCKS else "/health"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return answer.status == 200
        except OSError:  # URLError, too
            return False


def original_at(path, folder):
    """What stands there; what has to be built is built in `folder`. Failed: nothing that can be used, and why."""
    path = Path(path)
    if not path.exists():
        raise Failed(f"{path}: there is nothing")
    path = path.resolve()
    if path.suffix == ".jar":
        return Original(path.name, LOCKS, [tool("java", path), "-jar", str(path)])
    if path.is_file() and os.access(path, os.X_OK):
        return Original(path.name, LEASES, [str(path), "serve"])
    if (path / "locker-etcd").is_dir() and (path / "pom.xml").is_file():
        return _of_java(path, folder)
    if (path / "go.mod").is_file() and (path / "main.go").is_file():
        return _of_go(path, folder)
    raise Failed(
        f"{path}: neither the sources of LockServiceCentral (pom.xml, locker-etcd), nor those of the Go service "
        "shared-lock (go.mod, main.go), nor a jar, nor a program"
    )


def tool(name, path):
    found = shutil.which(name)
    if not found:
        raise Failed(f"{path}: {name} is needed and not installed; or give the path of what was built of it elsewhere")
    return found


def _build(command, where, what):
    ended = subprocess.run(command, cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")  # fmt: skip
    if ended.returncode != 0:
        raise Failed(f"{what}: `{' '.join(map(str, command))}` failed:\n{ended.stdout[-3000:]}")


def _of_java(path, folder):
    java, maven = tool("java", path), tool("mvn", path)
    copy = folder / "lockservicecentral"
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns(".git", "target"))
    _build([maven, "-q", "-ntp", "-DskipTests", "-P", "etcd", "package"], copy, path)
    jars = [jar for jar in (copy / "api" / "target").glob("*.jar") if not jar.stem.endswith(("-sources", "-javadoc"))]
    if len(jars) != 1:
        raise Failed(f"{path}: the build made {len(jars)} programs in api/target, not one")
    return Original("LockServiceCentral", LOCKS, [java, "-jar", str(jars[0])], cases_below(path))


def cases_below(path):
    """The files of its HTTP tests, wherever its tests of the API keep them."""
    return sorted((path / "api" / "src" / "test" / "resources" / "tests").glob("**/*.json"))


def _of_go(path, folder):
    go = tool("go", path)
    program, load = folder / "original-shared-lock", folder / "original-load"
    _build([go, "build", "-o", program, "."], path, path)
    script = path / "scripts" / "load.go"
    if script.is_file():
        _build([go, "build", "-o", load, "scripts/load.go"], path, path)
    return Original("shared-lock in Go", LEASES, [str(program), "serve"], load=load if script.is_file() else None)
