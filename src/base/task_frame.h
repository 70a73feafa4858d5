#pragma once

#include <cstddef>

namespace sharedlock {

// The memory of coroutines, kept by each thread for the next ones of the same size. Base of their promises.
struct TaskFrame {
  static void* operator new(std::size_t size);
  static void operator delete(void* frame, std::size_t size) noexcept;
};

// Takes the elements of a vector from the same memory: for vectors of a few elements that live about as long as a
// request. Thread-safe as std::allocator is.
template <class T>
struct TaskFrameAllocator {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
  using value_type = T;

  TaskFrameAllocator() = default;
  template <class U>
  TaskFrameAllocator(const TaskFrameAllocator<U>& /*other*/) noexcept {}

  T* allocate(std::size_t count) { return static_cast<T*>(TaskFrame::operator new(count * sizeof(T))); }
  void deallocate(T* elements, std::size_t count) noexcept { TaskFrame::operator delete(elements, count * sizeof(T)); }

  bool operator==(const TaskFrameAllocator&) const = default;
};

}  // namespace sharedlock
