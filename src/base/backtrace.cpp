#include "base/backtrace.h"

#include <unwind.h>

namespace sharedlock {

namespace {

_Unwind_Reason_Code add_frame(_Unwind_Context* context, void* backtrace) {
  int before_instruction = 0;
  std::uintptr_t address = _Unwind_GetIPInfo(context, &before_instruction);
  if (address == 0) return _URC_END_OF_STACK;
  // A return address points behind its call, and possibly behind the function.
  static_cast<Backtrace*>(backtrace)->add(before_instruction != 0 ? address : address - 1);
  return static_cast<Backtrace*>(backtrace)->size() == Backtrace::kMost ? _URC_END_OF_STACK : _URC_NO_REASON;
}

}  // namespace

Backtrace Backtrace::here() {
  Backtrace backtrace;
  _Unwind_Backtrace(&add_frame, &backtrace);
  return backtrace;
}

}  // namespace sharedlock
