#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/async_event.h"
#include "base/task.h"
#include "client/addresses.h"

namespace sharedlock::client {

// Looks up the addresses of one host, by getaddrinfo(3), which can't be cancelled: so each lookup has a thread of its
// own, which continues when no request waits for it any more, and may outlive this object. Its answer is kept. Use it
// only on its executor.
class Lookup {
 public:
  using Resolver = std::function<Addresses::Answer(const std::string& host, Family family)>;

  // A host that is an address needs no lookup.
  Lookup(Executor executor, std::string host, Resolver resolver = by_system());
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup();

  // Begins the lookups that are needed; new answers are not looked up again.
  void ask();
  Addresses::View look() const { return addresses_.look(BootClock::now()); }
  void connected(Family family) { addresses_.connected(family); }

  // Raised whenever a lookup has ended, until it is unregistered.
  void tell(AsyncEvent& signal) { told_.insert(&signal); }
  void tell_no_more(AsyncEvent& signal) { told_.erase(&signal); }

  static Resolver by_system();

 private:
  class Way;

  void begin(Family family);
  void end(Family family, Addresses::Answer answer);

  const Executor executor_;
  const std::string host_;
  const Resolver resolver_;
  bool is_address_ = false;
  Addresses addresses_;
  std::set<AsyncEvent*> told_;
  std::shared_ptr<Way> way_;  // from the threads to this
};

}  // namespace sharedlock::client
