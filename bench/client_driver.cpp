// What script/bench measures the client library with:
//   client_driver PORT pairs N     takes a lock and gives it back N times, by the library; prints seconds, CPU seconds
//   client_driver PORT bare N      the same by a client that knows nothing but the bytes of these two requests
//   client_driver PORT hold N S    holds N locks for S seconds, which renew themselves; prints the CPU seconds of those
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sharedlock/client.h"
#include "sharedlock/operations.h"

namespace {

namespace client = sharedlock::client;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kTtl{15};

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

// Calls it that many times, after some warm-up calls, and prints the cost of one call.
template <class Call>
void measure(int times, Call call) {
  for (int i = 0; i < times / 10; ++i) call();
  auto begun = steady_clock::now();
  double cpu = cpu_seconds();
  for (int i = 0; i < times; ++i) call();
  std::chrono::duration<double> took = steady_clock::now() - begun;
  std::printf("{\"seconds\":%.9f,\"cpu\":%.9f}\n", took.count() / times, (cpu_seconds() - cpu) / times);
}

class BareClient {
 public:
  explicit BareClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_port = htons(port);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&there), sizeof there) != 0)
      throw std::runtime_error("no server");
  }
  BareClient(const BareClient&) = delete;
  BareClient& operator=(const BareClient&) = delete;
  ~BareClient() { ::close(socket_); }

  void post(std::string_view path, std::string_view body) {
    std::string request = "POST ";
    request.append(path).append(" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ");
    request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
      throw std::runtime_error("can't send");
    }
    char answer[4096];
    ssize_t got = ::recv(socket_, answer, sizeof answer, 0);  // small answers arrive in one piece
    if (got < 12 || std::memcmp(answer + 9, "200", 3) != 0) throw std::runtime_error("refused");
  }

 private:
  int socket_;
};

void bare(std::uint16_t port, int times) {
  BareClient server(port);
  measure(times, [&] {
    std::string holder = "\"instanceId\":\"" + client::random_instance() + '"';
    server.post("/v1/default/lock/bench-client/acquire", '{' + holder + ",\"leaseDuration\":15}");
    server.post("/v1/default/lock/bench-client/release", '{' + holder + '}');
  });
}

void pairs(client::Client& server, int times) {
  measure(times, [&] {
    auto lock = server.acquire("bench-client", client::LockOptions().ttl(kTtl));
    lock.value().release().value();
  });
}

void hold(client::Client& server, int count, int time) {
  std::vector<client::Lock> locks;
  for (int i = 0; i < count; ++i) {
    locks.push_back(server.acquire("bench-held-" + std::to_string(i), client::LockOptions().ttl(kTtl)).value());
  }
  double cpu = cpu_seconds();
  std::this_thread::sleep_for(seconds(time));
  cpu = cpu_seconds() - cpu;
  for (const client::Lock& lock : locks) {
    if (!lock.held()) throw std::runtime_error("one was lost");
  }
  std::printf("{\"cpu\":%.6f}\n", cpu / time);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view what = argc > 2 ? argv[2] : "";
  bool holds = what == "hold" && argc == 5;
  if (!holds && !((what == "pairs" || what == "bare") && argc == 4)) {
    std::fputs("usage: client_driver PORT pairs|bare N, client_driver PORT hold N SECONDS\n", stderr);
    return 64;
  }
  try {
    auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
    int count = std::atoi(argv[3]);
    client::Client server(client::ClientOptions("http://127.0.0.1:" + std::to_string(port)));
    if (what == "bare") bare(port, count);
    if (what == "pairs") pairs(server, count);
    if (holds) hold(server, count, std::atoi(argv[4]));
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "client_driver: %s\n", failed.what());
    return 1;
  }
}
