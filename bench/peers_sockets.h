#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "peers_client.h"

namespace sharedlock::bench {

constexpr std::chrono::milliseconds kPollInterval{10};  // from a refusal to the next try

inline int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

inline sockaddr_in address(const std::string& where) {
  std::size_t colon = where.find(':');
  sockaddr_in found{};
  found.sin_family = AF_INET;
  found.sin_port = htons(static_cast<std::uint16_t>(std::atoi(where.c_str() + colon + 1)));
  if (::inet_pton(AF_INET, where.substr(0, colon).c_str(), &found.sin_addr) != 1) {
    throw std::runtime_error("not an address: " + where);
  }
  return found;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(number_); }
  int operator*() const { return number_; }

 private:
  int number_;
};

class Socket : public Descriptor {
 public:
  explicit Socket(const sockaddr_in& where) : Descriptor(checked(::socket(AF_INET, SOCK_STREAM, 0), "socket")) {
    checked(::connect(**this, reinterpret_cast<const sockaddr*>(&where), sizeof where), "connect");
    int yes = 1;
    checked(::setsockopt(**this, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
  }

  void send(std::string_view text) {
    // Requests are small, and none is sent before the answer to the one before it.
    ssize_t sent = ::send(**this, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) throw std::runtime_error("the server takes no request");
  }

  // What has come, appended to `text`; waits for it where nothing has.
  void receive(std::string& text) {
    std::array<char, 4096> buffer;
    ssize_t got = ::recv(**this, buffer.data(), buffer.size(), 0);
    if (got <= 0) throw std::runtime_error("the server closed the connection");
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
};

// A client on a socket of its own. A refusal ends no wait: another try follows when its other descriptor says so.
class SocketClient : public Client {
 public:
  explicit SocketClient(const sockaddr_in& where) : socket_(where) {}

  void acquire() final { begin(acquire_); }
  void wait() final {
    waiting_ = true;
    begin(wait_);
  }
  void release() final { begin(release_); }

  int socket() const { return *socket_; }
  virtual int retry_descriptor() const { return -1; }

  // The socket has something to read. True when what was begun is over.
  bool answered() {
    socket_.receive(answer_);
    std::optional<bool> granted = read(answer_);
    if (!granted) return false;
    if (!*granted && !waiting_) throw std::runtime_error("unexpected answer: " + answer_);
    answer_.clear();
    under_way_ = false;
    if (*granted) {
      waiting_ = false;
      return true;
    }
    if (woken_) {
      begin(wait_);
    } else {
      refused();
    }
    return false;
  }

  // The other descriptor has something to read.
  void wake() {
    std::array<char, 4096> dropped;
    ssize_t got = ::read(retry_descriptor(), dropped.data(), dropped.size());
    if (got <= 0) throw std::runtime_error("nothing to wake for");
    if (!waiting_) return;
    if (under_way_) {
      woken_ = true;
    } else {
      begin(wait_);
    }
  }

 protected:
  // Whether what was asked for was granted; nothing while the answer is not complete.
  virtual std::optional<bool> read(std::string_view answer) = 0;
  virtual void refused() {}

  Socket socket_;
  std::string acquire_, wait_, release_;

 private:
  void begin(const std::string& request) {
    under_way_ = true;
    woken_ = false;
    socket_.send(request);
  }

  std::string answer_;
  bool waiting_ = false;
  bool under_way_ = false;  // a request
  bool woken_ = false;      // while it was
};

class SocketEvents final : public Events {
 public:
  explicit SocketEvents(const std::vector<SocketClient*>& clients) : epoll_(checked(::epoll_create1(0), "epoll")) {
    sources_.reserve(2 * clients.size());
    for (SocketClient* client : clients) {
      watch({client, false}, client->socket());
      if (client->retry_descriptor() >= 0) watch({client, true}, client->retry_descriptor());
    }
  }

  Client* next(std::chrono::steady_clock::time_point until) override {
    for (;;) {
      while (seen_ < came_) {
        auto* source = static_cast<Source*>(events_[seen_++].data.ptr);
        if (source->wakes) {
          source->client->wake();
        } else if (source->client->answered()) {
          return source->client;
        }
      }
      auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
      if (left <= 0) return nullptr;
      seen_ = 0;
      came_ = static_cast<std::size_t>(checked(
          ::epoll_wait(*epoll_, events_.data(), static_cast<int>(events_.size()), static_cast<int>(left)), "epoll"));
    }
  }

 private:
  struct Source {
    SocketClient* client;
    bool wakes;
  };

  void watch(Source source, int descriptor) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &sources_.emplace_back(source);
    checked(::epoll_ctl(*epoll_, EPOLL_CTL_ADD, descriptor, &event), "epoll");
  }

  Descriptor epoll_;
  std::vector<Source> sources_;
  std::array<epoll_event, 64> events_{};
  std::size_t seen_ = 0, came_ = 0;
};

// --- HTTP ------------------------------------------------------------------------------------------------------------

inline std::string post(const std::string& path, const std::string& body, const std::string& headers = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct HttpAnswer {
  int status;
  std::string_view body;  // of a chunked one with its chunks
};

// Nothing while it is not complete.
inline std::optional<HttpAnswer> read_http(std::string_view text) {
  std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return {};
  std::string head(text.substr(0, end + 2));
  for (char& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  HttpAnswer answer{std::atoi(head.c_str() + sizeof "http/1.1"), text.substr(end + 4)};
  constexpr std::string_view kLength = "\r\ncontent-length:";
  if (std::size_t at = head.find(kLength); at != std::string::npos) {
    if (answer.body.size() < std::strtoull(head.c_str() + at + kLength.size(), nullptr, 10)) return {};
  } else if (head.find("\r\ntransfer-encoding: chunked\r\n") != std::string::npos) {
    if (!answer.body.ends_with("0\r\n\r\n")) return {};
  }
  return answer;
}

class LockClient final : public SocketClient {
 public:
  LockClient(const sockaddr_in& where, const std::string& lock, const std::string& instance, bool polls)
      : SocketClient(where) {
    const std::string path = "/v1/bench/lock/" + lock;
    const std::string holder = R"({"instanceId":")" + instance + '"';
    const std::string duration = R"(,"leaseDuration":)" + std::to_string(kTtl);
    acquire_ = post(path + "/acquire", holder + duration + '}');
    wait_ = polls ? acquire_ : post(path + "/acquire", holder + duration + R"(,"wait":30})");
    release_ = post(path + "/release", holder + '}');
    if (polls) timer_.emplace(checked(::timerfd_create(CLOCK_MONOTONIC, 0), "timerfd"));
  }

  int retry_descriptor() const override { return timer_ ? **timer_ : -1; }

 private:
  std::optional<bool> read(std::string_view text) override {
    auto answer = read_http(text);
    if (!answer) return {};
    return answer->status == 200;
  }

  void refused() override {
    if (!timer_) throw std::runtime_error("a wait ended without the lock");
    itimerspec when{};
    when.it_value.tv_nsec = std::chrono::nanoseconds(kPollInterval).count();
    checked(::timerfd_settime(**timer_, 0, &when, nullptr), "timerfd");
  }

  std::optional<Descriptor> timer_;
};

class LeaseClient : public SocketClient {
 public:
  LeaseClient(const sockaddr_in& where, const std::string& key) : SocketClient(where) {
    acquire_ = lease(key);
    wait_ = lease(key, "x-lease-wait: 30s\r\n");
  }

 protected:
  static std::string lease(const std::string& key, const std::string& headers = "") {
    return post("/lease", R"({"key":")" + key + R"(","value":"bench"})",
                "x-lease-ttl: " + std::to_string(kTtl) + "s\r\n" + headers);
  }

 private:
  std::optional<bool> read(std::string_view text) override {
    auto answer = read_http(text);
    if (!answer) return {};
    if (answer->status == 201) taken(std::string(answer->body));
    return answer->status == 201 || answer->status == 200;
  }
  void refused() override { throw std::runtime_error("a wait ended without the lease"); }
  virtual void taken(const std::string& id) { release_ = post("/release", id); }
};

class LeaseGrantClient final : public LeaseClient {
 public:
  LeaseGrantClient(const sockaddr_in& where, const std::string& key) : LeaseClient(where, key + "-0"), key_(key) {}
  bool can_release() const override { return false; }

 private:
  void taken(const std::string&) override { acquire_ = lease(key_ + '-' + std::to_string(++number_)); }

  std::string key_;
  std::uint64_t number_ = 0;
};

// --- Redis -----------------------------------------------------------------------------------------------------------

inline std::string command(std::initializer_list<std::string_view> words) {
  std::string text = '*' + std::to_string(words.size()) + "\r\n";
  for (std::string_view word : words)
    text.append("$" + std::to_string(word.size()) + "\r\n").append(word).append("\r\n");
  return text;
}

class RedisClient final : public SocketClient {
 public:
  // Where it `waits`, releases tell everybody.
  RedisClient(const sockaddr_in& where, const std::string& lock, const std::string& token, bool waits)
      : SocketClient(where) {
    std::string script = "if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end ";
    if (waits) script += "redis.call('publish', KEYS[1], 'free') ";
    script += "return redis.call('del', KEYS[1])";
    const std::string loaded = ask(socket_, command({"SCRIPT", "LOAD", script}));
    const std::string sha = loaded.substr(loaded.find('\n') + 1, 40);
    acquire_ = wait_ = command({"SET", lock, token, "NX", "PX", std::to_string(1000 * kTtl)});
    release_ = command({"EVALSHA", sha, "1", lock, token});
    if (waits) ask(messages_.emplace(where), command({"SUBSCRIBE", lock}));
  }

  int retry_descriptor() const override { return messages_ ? **messages_ : -1; }

 private:
  static std::string ask(Socket& socket, const std::string& request) {
    socket.send(request);
    std::string answer;
    socket.receive(answer);  // small, so it comes in one piece
    if (answer.starts_with('-')) throw std::runtime_error(answer);
    return answer;
  }

  std::optional<bool> read(std::string_view text) override {
    if (!text.ends_with("\r\n")) return {};
    return text == "+OK\r\n" || text == ":1\r\n";
  }

  std::optional<Socket> messages_;
};

}  // namespace sharedlock::bench
