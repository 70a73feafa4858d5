#pragma once

#include <exception>

#include "base/backtrace.h"

namespace sharedlock {

// Where exceptions were thrown. A coroutine catches whatever is thrown in it and throws it again where it is awaited,
// so where it is caught in the end the stack says nothing about where it came from.
//
// A program that is linked with throw_hook.cpp notes each throw; in others no exception has a known place. Per thread,
// for the last few exceptions: exceptions don't change threads before they are looked at here. Thread-safe.
void note_throw(void* exception) noexcept;

// The stack of the throw; nullptr when it is not known. Valid until the calling thread throws again.
const Backtrace* thrown_at(const std::exception_ptr& exception) noexcept;

}  // namespace sharedlock
