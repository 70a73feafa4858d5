#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

// What the library exports; everything else in it is hidden.
#define SHAREDLOCK_API __attribute__((visibility("default")))

namespace sharedlock::client {

// Why something was not done. Each call says which of these it may return; `unavailable` and `refused` may come from
// every call that talks to the server.
enum class Errc {
  // Another client has it, and the time to wait is over. This caller holds nothing.
  held_by_another,
  // It was held by this caller, and is no more: another may have it already. Stop using what it protects.
  lost,
  // The outcome is unknown: the server did not answer in time, or said that its storage did not. What was asked for may
  // have happened, or may still happen. Trying again is safe, and may help.
  unavailable,
  // The server, or a gateway before it, will not do it: a bad name or token, a time that is too long, not allowed. The
  // same call will be refused again until something is set right.
  refused,
  // A newer request of the same instance waits for the same, and has taken over the place in line. Happens where two
  // low-level calls share an instance; see operations.h.
  superseded,
};

// The code by its name above, such as "held_by_another": for logs. A literal, never null. Thread-safe.
SHAREDLOCK_API const char* name_of(Errc code);

// What went wrong: the code to decide by, and a text for people. The text names the holder or the server where that is
// known, and may change between versions.
struct Error {
  Errc code;
  std::string message;
};

// A value or an Error; what calls that may fail return. Check it on the next line:
//   if (!lock) return report(lock.error().message);
// `*lock` and `lock->` need a value to be there. value() throws Failure where there is none, which suits code that
// prefers exceptions. No more thread-safe than the value in it.
template <class T>
using Result = boost::system::result<T, Error>;

// An Error as an exception. Thrown by value() of a Result without one, and by the few constructors that say so; all
// else reports failure by its Result. what() is the code's name and the message.
class SHAREDLOCK_API Failure : public std::runtime_error {
 public:
  explicit Failure(const Error& error);
  Errc code() const { return code_; }

 private:
  Errc code_;
};

// Boost's Result calls this when value() finds no value; not for direct use. Throws Failure.
[[noreturn]] SHAREDLOCK_API void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace sharedlock::client
