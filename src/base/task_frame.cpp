#include "base/task_frame.h"

#include <array>
#include <cstddef>
#include <new>
#include <utility>

namespace sharedlock {

namespace {

// Sanitizers see what touches a frame that is gone only if its memory is.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kKeeps = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif
#else
constexpr bool kKeeps = true;
#endif

constexpr std::size_t kStep = 16;  // bytes; as malloc() does, frames are rounded up to it
constexpr std::size_t kSizes = 128;
constexpr std::size_t kMostKept = std::size_t{256} * 1024;  // bytes of each thread

struct Kept {
  Kept* next;
};

struct KeptFrames {
  std::array<Kept*, kSizes> sizes;  // the first of each
  std::size_t bytes;
  bool watched;  // the end of the thread will free them
  bool closed;   // it has
};

constinit thread_local KeptFrames kept{};

// Apart from `kept`, which so needs no check of whether it exists.
struct Closer {
  Closer() { kept.watched = true; }
  Closer(const Closer&) = delete;
  Closer& operator=(const Closer&) = delete;
  ~Closer() {
    kept.closed = true;
    for (Kept*& first : kept.sizes) {
      while (first != nullptr) ::operator delete(std::exchange(first, first->next));
    }
  }
};

void watch_end_of_thread() {
  static thread_local const Closer closer;
}

std::size_t class_of(std::size_t size) {
  return (size - 1) / kStep;
}

}  // namespace

// Not inlined: g++ 12 would take an inlined half of this pair for one that does not match the other.
[[gnu::noinline]] void* TaskFrame::operator new(std::size_t size) {
  const std::size_t at = class_of(size);
  const std::size_t bytes = (at + 1) * kStep;
  if (!kKeeps || at >= kSizes || kept.sizes[at] == nullptr) return ::operator new(bytes);
  Kept* frame = kept.sizes[at];
  kept.sizes[at] = frame->next;
  kept.bytes -= bytes;
  return frame;
}

[[gnu::noinline]] void TaskFrame::operator delete(void* frame, std::size_t size) noexcept {
  const std::size_t at = class_of(size);
  const std::size_t bytes = (at + 1) * kStep;
  if (kKeeps && at < kSizes && !kept.closed && kept.bytes + bytes <= kMostKept) {
    if (!kept.watched) watch_end_of_thread();
    kept.sizes[at] = new (frame) Kept{kept.sizes[at]};
    kept.bytes += bytes;
    return;
  }
  ::operator delete(frame);
}

}  // namespace sharedlock
