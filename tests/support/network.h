#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "support/etcd_server.h"
#include "support/process.h"

namespace sharedlock::test {

// Takes this process, and all that it starts from now on, into a network namespace of its own that has nothing but a
// loopback. Every port is free there, and cutting connections there affects no other process. Call it before there are
// threads; further calls have no effect. Needs no root if the kernel lets users make namespaces. Throws
// std::runtime_error.
void enter_own_network();

// Machines for the members of an etcd, each in a network namespace of its own: a cable leads from us to each of them,
// and one from each to a switch between them. A cable that is cut swallows what is sent, without an error for the
// sender.
class EtcdLan {
 public:
  // After enter_own_network().
  explicit EtcdLan(std::size_t members);

  std::vector<EtcdPlace> places() const;

  void cut_from_us(std::size_t member);
  void join_to_us(std::size_t member);
  void cut_from_members(std::size_t member);
  void join_to_members(std::size_t member);

 private:
  std::unique_ptr<Process> make_namespace() const;
  void connect(std::size_t member);

  std::unique_ptr<Process> switch_;
  std::vector<std::unique_ptr<Process>> machines_;  // each holds a namespace
};

}  // namespace sharedlock::test
