"""What the container files say, held against the program: no container engine is needed, and none is asked."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "api"), str(ROOT / "script")]
sys.dont_write_bytecode = True
import dockerfile  # noqa: E402
from serving import serve  # noqa: E402

PROGRAM = sys.argv.pop(1)


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def package_of(library):
    """dpkg knows the files of /usr/lib as they were named before /lib became a link to it, or after."""
    path = str(Path(library).resolve())
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise FileNotFoundError(library)


class Image(unittest.TestCase):
    def setUp(self):
        self.built, self.final = [stage.steps for stage in dockerfile.stages((ROOT / "Dockerfile").read_text())]

    def text_of(self, name):
        return " ".join(step.text for step in self.final if step.name == name)

    def test_both_files_are_the_same(self):
        self.assertEqual((ROOT / "Dockerfile").read_text(), (ROOT / "deployment" / "Dockerfile").read_text())
        self.assertEqual(os.readlink(ROOT / "Dockerfile"), "deployment/Dockerfile")

    def test_lockers_are_the_storage_types(self):
        check = next(step.text for step in self.final if step.name == "RUN" and "case" in step.text)
        lockers = re.search(r"in (\S+)\) ;;", check)[1].split("|")
        self.assertEqual(lockers, ["memory", "embedded", "etcd"])
        for locker in lockers + ["postgres"]:
            ended = subprocess.run(["sh", "-c", check], env={"LOCKER": locker}, capture_output=True)
            self.assertEqual(ended.returncode, 0 if locker in lockers else 1, locker)
        self.assertIn("SHARED_LOCK_STORAGE_TYPE=$LOCKER", self.text_of("ENV"))

    def test_all_shared_libraries_are_installed(self):
        installed = set(re.search(r"install --yes --no-install-recommends(.*?)&&", self.text_of("RUN"))[1].split())
        asked, wanted = list(installed), set(installed)
        while asked:
            depends = output("apt-cache", "depends", "--installed", "--no-recommends", "--no-suggests", asked.pop())
            new = set(re.findall(r"Depends: ([\w.+-]+)", depends)) - wanted
            wanted |= new
            asked += new
        libraries = re.findall(r"=> (/\S+)", output("ldd", PROGRAM))
        for library in libraries:
            self.assertIn(package_of(library), wanted, library)
        self.assertGreater(len(libraries), 10)

    def test_build_packages_come_from_the_list(self):
        command = next(step.text for step in self.built if step.name == "RUN" and "script/packages" in step.text)
        listing = re.search(r"(sed .*?)\| DEBIAN", command)[1]
        packages = subprocess.run(["sh", "-c", listing], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        self.assertIn("cmake", packages.split())
        self.assertNotIn("etcd-server", packages.split())

    def test_every_copied_file_exists(self):
        for step in self.built:
            if step.name == "COPY":
                self.assertTrue((ROOT / step.text.split()[0]).exists(), step.text)
        self.assertIn("/usr/bin/shared-lock", self.text_of("COPY"))
        self.assertIn("build", (ROOT / ".dockerignore").read_text().split())

    def test_runs_as_nobody_and_serves(self):
        self.assertEqual(self.text_of("USER"), "nobody")
        self.assertEqual(self.text_of("ENTRYPOINT"), '["/usr/bin/shared-lock"]')
        self.assertEqual(self.text_of("CMD"), '["serve"]')

    def test_health_check(self):
        health = re.search(r'CMD \["/usr/bin/shared-lock", "(\w+)"\]', self.text_of("HEALTHCHECK"))[1]
        with tempfile.NamedTemporaryFile() as errors:
            server, port = serve(PROGRAM, errors)
            ask = [PROGRAM, health, "--port", str(port), "--address", "127.0.0.1"]
            self.assertEqual(subprocess.run(ask).returncode, 0)
            server.kill()
            server.wait()
            self.assertEqual(subprocess.run(ask, capture_output=True).returncode, 1)


class Reading(unittest.TestCase):
    """What script/image-test carries out."""

    def test_steps(self):
        first, last = dockerfile.stages("# x\nFROM a AS one\nRUN b \\\n# y\n && c\nFROM d\nCOPY --from=one /e /f\n")
        self.assertEqual((first.name, first.image, last.name, last.image), ("one", "a", "", "d"))
        self.assertEqual(first.steps[0].text.split(), ["b", "&&", "c"])
        self.assertEqual((last.steps[0].flags, last.steps[0].text), ({"from": "one"}, "/e /f"))

    def test_values(self):
        self.assertEqual(dockerfile.pairs('A=$X B="${Y} z"', {"X": "1", "Y": "2"}), {"A": "1", "B": "2 z"})
        self.assertEqual(dockerfile.command('["a", "b c"]'), ["a", "b c"])
        self.assertEqual(dockerfile.command("a b"), ["/bin/sh", "-c", "a b"])

    def test_an_unknown_instruction_is_an_error(self):
        for text in ("STOPSIGNAL 9", "COPY --chown=a b c", "RUN --mount=type=cache a", "RUN <<END", "FRO a"):
            with self.assertRaises(dockerfile.Unknown, msg=text):
                dockerfile.stages("FROM a\n" + text)
        for text in ("ARG A=b\nFROM a", "FROM --platform=b a", "FROM a b c"):
            with self.assertRaises(dockerfile.Unknown, msg=text):
                dockerfile.stages(text)
        for text in ("A b", "A=${B:-c}", "A=$(b)"):
            with self.assertRaises(dockerfile.Unknown, msg=text):
                dockerfile.pairs(text, {})


class Manifest(unittest.TestCase):
    def setUp(self):
        documents = list(yaml.safe_load_all((ROOT / "deployment" / "kubernetes-example.yaml").read_text()))
        self.kinds = {document["kind"]: document for document in documents}
        self.pod = self.kinds["Deployment"]["spec"]["template"]["spec"]
        self.container = self.pod["containers"][0]
        self.environment = {entry["name"]: entry["value"] for entry in self.container["env"]}

    def test_settings_are_settings(self):
        known = output(PROGRAM, "config", "--markdown")
        for name in self.environment:
            self.assertIn(f"`{name}`", known)

    def test_the_program_starts_with_them(self):
        settings = {**self.environment, "SHARED_LOCK_STORAGE_TYPE": "memory", "SHARED_LOCK_ETCD_TLS": "false"}
        for name in [name for name in settings if name.endswith("_PATH")]:
            del settings[name]  # on this machine there are none
        with tempfile.NamedTemporaryFile() as errors:
            server, port = serve(PROGRAM, errors, **settings)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                path = self.container[probe]["httpGet"]["path"]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    self.assertEqual(answer.status, 200, path)
            server.kill()
            server.wait()

    def test_certificates_come_from_the_secret(self):
        mount = self.container["volumeMounts"][0]
        for name in ("CA_CERT", "CLIENT_CERT", "CLIENT_KEY"):
            self.assertTrue(self.environment[f"SHARED_LOCK_{name}_PATH"].startswith(mount["mountPath"] + "/"))
        self.assertEqual(self.pod["volumes"][0]["name"], mount["name"])

    def test_names_agree(self):
        labels = self.kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(self.kinds["Service"]["spec"]["selector"], labels)
        self.assertFalse(self.pod["enableServiceLinks"])
        # As docs/security.md counts it.
        memory = int(self.container["resources"]["limits"]["memory"].removesuffix("Mi")) * 1024
        connections = int(self.environment["SHARED_LOCK_MAX_CONNECTIONS"])
        self.assertLessEqual(connections * 16 + memory // 8 + 64 * 1024, memory)
        delay, shutdown = (int(self.environment[f"SHARED_LOCK_SERVER_{name}"].rstrip("s"))
                           for name in ("DRAIN_DELAY", "SHUTDOWN_TIMEOUT"))
        self.assertGreater(self.pod["terminationGracePeriodSeconds"], delay + shutdown)

    def test_the_cron_job_is_a_command_that_runs(self):
        job = yaml.safe_load((ROOT / "example" / "cronjob.yaml").read_text())
        command = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"]
        with tempfile.NamedTemporaryFile() as errors:
            server, port = serve(PROGRAM, errors)
            ended = subprocess.run([PROGRAM, *command[1:-1], shutil.which("true")],
                                   env={"SHARED_LOCK_URL": f"http://127.0.0.1:{port}"})
            server.kill()
            server.wait()
        self.assertEqual(ended.returncode, 0)


if __name__ == "__main__":
    unittest.main()
