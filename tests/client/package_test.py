"""The installed client library: a stranger's program is built on it with CMake and with pkg-config, and runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "api"))
from serving import serve  # noqa: E402

PROGRAM = r"""
#include <sharedlock/client.h>
#include <sharedlock/operations.h>
#include <cstdio>
int main(int, char** arguments) {
  sharedlock::client::Client client{sharedlock::client::ClientOptions(arguments[1])};
  auto lock = client.acquire("installed");
  if (!lock) std::puts(lock.error().message.c_str());
  auto shown = sharedlock::client::Operations(client).get("default", "installed");
  std::puts(lock && lock->held() && shown && shown->held && lock->release() ? "held and released" : "no");
}
"""
CMAKE = """
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES CXX)
find_package(sharedlock 0.1 REQUIRED)
add_executable(stranger main.cpp)
target_link_libraries(stranger PRIVATE sharedlock::client)
"""


def run(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True, **more).stdout


def expect_works(program, url, prefix):
    said = run(program, url, env={**os.environ, "LD_LIBRARY_PATH": str(prefix / "lib")})
    if said != "held and released\n":
        sys.exit(f"{program}: {said}")


def main():
    program, build, compiler = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory() as scratch, tempfile.NamedTemporaryFile() as errors:
        folder = Path(scratch)
        prefix = folder / "prefix"
        run("cmake", "--install", build, "--prefix", prefix, "--component", "client")
        (folder / "main.cpp").write_text(PROGRAM)
        (folder / "CMakeLists.txt").write_text(CMAKE)
        server, port = serve(program, errors)
        try:
            url = f"http://127.0.0.1:{port}"
            run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}",
                f"-DCMAKE_CXX_COMPILER={compiler}")
            run("cmake", "--build", folder / "build")
            expect_works(folder / "build" / "stranger", url, prefix)

            flags = run("pkg-config", "--cflags", "--libs", "sharedlock",
                        env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}).split()
            run(compiler, "-std=c++20", folder / "main.cpp", "-o", folder / "by-pkg-config", *flags)
            expect_works(folder / "by-pkg-config", url, prefix)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
