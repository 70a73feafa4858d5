// One instance only, with the client library.
//   with_library NAME      NAME: what it calls itself in what it prints
#include <sharedlock/client.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace std::chrono_literals;
namespace client = sharedlock::client;

int main(int count, char** arguments) {
  const char* name = count > 1 ? arguments[1] : "me";
  const char* url = std::getenv("SHARED_LOCK_URL");
  client::Client server(client::ClientOptions(url ? url : "http://127.0.0.1:8080"));
  for (;;) {
    auto lock = server.acquire("single-instance", client::LockOptions().ttl(5s).wait(client::kForEver));
    if (!lock) {
      std::fprintf(stderr, "%s: %s\n", name, lock.error().message.c_str());
      std::this_thread::sleep_for(1s);
      continue;
    }
    while (lock->held()) {
      std::printf("%s works with token %lld\n", name, static_cast<long long>(lock->token()));
      std::fflush(stdout);
      std::this_thread::sleep_for(200ms);
    }
    std::fprintf(stderr, "%s has lost the lock\n", name);
  }
}
