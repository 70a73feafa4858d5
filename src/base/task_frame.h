#pragma once

#include <cstddef>

namespace sharedlock {

// The memory of coroutines, kept by each thread for the next ones of the same size. Base of their promises.
struct TaskFrame {
  static void* operator new(std::size_t size);
  static void operator delete(void* frame, std::size_t size) noexcept;
};

}  // namespace sharedlock
