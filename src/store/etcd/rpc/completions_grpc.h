#pragma once

#include <grpcpp/completion_queue.h>

#include <thread>
#include <utility>

#include "base/waiting.h"

namespace sharedlock {

// gRPC's completion queue and the thread that empties it: makes gRPC operations awaitable in a coroutine. Thread-safe.
// Every operation must have ended before it is destroyed.
class EtcdCompletions {
 public:
  EtcdCompletions() : thread_([this] { run(); }) {}
  EtcdCompletions(const EtcdCompletions&) = delete;
  EtcdCompletions& operator=(const EtcdCompletions&) = delete;
  ~EtcdCompletions();

  grpc::CompletionQueue& queue() { return queue_; }

  // To be awaited at once: begins an operation by `start(tag)` and waits for its end; the result is gRPC's `ok`.
  // Everything that `start` refers to must live until then.
  template <class Start>
  auto completed(Start start) {
    auto begin = [start = std::move(start)](Waiting<bool> waiting) mutable { start(hand_over(std::move(waiting))); };
    return wait_on<bool>(std::move(begin));
  }

 private:
  static void* hand_over(Waiting<bool> waiting);
  static Waiting<bool> take_back(void* tag);
  void run();

  grpc::CompletionQueue queue_;
  std::thread thread_;
};

}  // namespace sharedlock
