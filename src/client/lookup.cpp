#include "client/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace sharedlock::client {

namespace {

namespace ip = boost::asio::ip;

ip::address address_of(const sockaddr* socket_address) {
  if (socket_address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(socket_address);
    return ip::address_v4(ntohl(v4->sin_addr.s_addr));
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(socket_address);
  ip::address_v6::bytes_type bytes;
  std::copy(std::begin(v6->sin6_addr.s6_addr), std::end(v6->sin6_addr.s6_addr), bytes.begin());
  return ip::address_v6(bytes, v6->sin6_scope_id);
}

Addresses::Answer ask_system(const std::string& host, Family family) {
  addrinfo hints{};
  hints.ai_family = family == Family::v6 ? AF_INET6 : AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  Addresses::Answer answer;
  if (failed != 0) {
    answer.error = failed == EAI_SYSTEM ? std::generic_category().message(errno) : ::gai_strerror(failed);
    answer.temporary = failed == EAI_AGAIN || failed == EAI_FAIL || failed == EAI_SYSTEM || failed == EAI_MEMORY;
    return answer;
  }
  for (const addrinfo* one = found; one; one = one->ai_next) answer.addresses.push_back(address_of(one->ai_addr));
  ::freeaddrinfo(found);
  return answer;
}

}  // namespace

// Held by the threads: the Lookup behind it may be gone when they are done.
class Lookup::Way {
 public:
  explicit Way(Lookup* lookup) : lookup_(lookup) {}

  void close() {
    std::scoped_lock lock(mutex_);
    lookup_ = nullptr;
  }
  // From a thread. The posted handler runs before the object is gone, or never.
  static void deliver(const std::shared_ptr<Way>& way, Family family, Addresses::Answer answer) {
    std::scoped_lock lock(way->mutex_);
    if (!way->lookup_) return;
    boost::asio::post(way->lookup_->executor_, [way, family, answer = std::move(answer)] {
      if (Lookup* lookup = way->lookup_) lookup->end(family, answer);
    });
  }

 private:
  std::mutex mutex_;
  Lookup* lookup_;  // set to null on its executor, or when that no longer runs
};

Lookup::Lookup(Executor executor, std::string host, Resolver resolver)
    : executor_(executor), host_(std::move(host)), resolver_(std::move(resolver)), way_(std::make_shared<Way>(this)) {
  boost::system::error_code is_a_name;
  auto address = ip::make_address(host_, is_a_name);
  is_address_ = !is_a_name;
  if (is_address_) addresses_.answered(address.is_v6() ? Family::v6 : Family::v4, BootClock::now(), {{address}});
}

Lookup::~Lookup() {
  way_->close();
}

Lookup::Resolver Lookup::by_system() {
  return ask_system;
}

void Lookup::ask() {
  if (is_address_) return;
  for (Family family : kFamilies) {
    if (addresses_.wants(family, BootClock::now())) begin(family);
  }
}

void Lookup::begin(Family family) {
  addresses_.asked(family, BootClock::now());
  try {
    std::thread([way = way_, resolver = resolver_, host = host_, family] {
      Way::deliver(way, family, resolver(host, family));
    }).detach();
  } catch (const std::system_error& none_left) {
    Addresses::Answer answer{.addresses = {}, .error = none_left.what(), .temporary = true};
    end(family, std::move(answer));
  }
}

void Lookup::end(Family family, Addresses::Answer answer) {
  addresses_.answered(family, BootClock::now(), std::move(answer));
  for (AsyncEvent* signal : told_) signal->raise();
}

}  // namespace sharedlock::client
