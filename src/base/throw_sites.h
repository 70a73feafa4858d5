#pragma once

#include <exception>

#include "base/backtrace.h"

namespace sharedlock {

// Where exceptions were thrown. A coroutine catches every exception thrown in it and rethrows it where it is awaited,
// so the stack at the final catch says nothing about its origin.
//
// A program linked with throw_hook.cpp records each throw; in others no site is known. Kept per thread, for the last
// few exceptions: exceptions don't change threads before they are looked up here. Thread-safe.
void note_throw(void* exception) noexcept;

// The stack of the throw; nullptr when it is unknown. Valid until the calling thread throws again.
const Backtrace* thrown_at(const std::exception_ptr& exception) noexcept;

}  // namespace sharedlock
