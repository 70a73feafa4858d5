#pragma once

#include <memory>

namespace sharedlock {

// How a transaction is carried out on etcd.
struct EtcdCommitWay {
  // What it would refuse is better found out by a look, which costs etcd no write.
  bool look_first = false;
  // What another one finds that expects the same but for its index entry is not enough: its own index entry may stand.
  bool looks_itself = false;
  // Held for as long as what was sent is still being tried.
  std::shared_ptr<const void> trace = nullptr;
};

}  // namespace sharedlock
