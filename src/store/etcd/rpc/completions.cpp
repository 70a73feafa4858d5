#include "base/thread.h"
#include "store/etcd/rpc/completions_grpc.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>

// Inside Next(), before the tag is returned, gRPC templates compiled into our code read what the other thread wrote
// when it began the operation.
extern "C" const char* __tsan_default_suppressions() {  // NOLINT: the sanitizer's name
  return "race:grpc::internal::CallOpSet\n";
}
#endif

namespace sharedlock {

EtcdCompletions::~EtcdCompletions() {
  queue_.Shutdown();
  thread_.join();
}

void EtcdCompletions::run() {
  const NamedThread named("etcd");
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) take_back(tag).resume(ok);
}

// An operation handed to gRPC on one thread comes back on another. gRPC orders the two, but Debian's build of it is not
// instrumented, so the thread sanitizer has to be told.
void* EtcdCompletions::hand_over(Waiting<bool> waiting) {
  void* tag = waiting.release();
#if defined(__SANITIZE_THREAD__)
  __tsan_release(tag);
#endif
  return tag;
}

Waiting<bool> EtcdCompletions::take_back(void* tag) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(tag);
#endif
  return Waiting<bool>(static_cast<Waiting<bool>::Place*>(tag));
}

}  // namespace sharedlock
