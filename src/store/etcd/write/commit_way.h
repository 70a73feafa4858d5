#pragma once

#include <memory>

namespace sharedlock {

// How to carry out a transaction on etcd.
struct EtcdCommitWay {
  // Read first: refusing a transaction then costs etcd no write.
  bool look_first = false;
  // The findings of a transaction with the same expectations but another index entry are not enough: its own index
  // entry may stand.
  bool looks_itself = false;
  // Held while anything sent is still being tried.
  std::shared_ptr<const void> trace = nullptr;
};

}  // namespace sharedlock
