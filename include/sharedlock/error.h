#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>

// What the library exports; everything else in it is hidden.
#define SHAREDLOCK_API __attribute__((visibility("default")))

namespace sharedlock::client {

// Why something was not done.
enum class Errc {
  held_by_another,  // somebody else has it, and the time to wait is over
  lost,             // it was held, and is no more: somebody else may have it
  unavailable,      // the server did not answer, or said that its store did not: the outcome is unknown
  refused,          // the server understood, and will not: bad name, bad token, not allowed
  superseded,       // a newer request of the same instance waits
};

// "held_by_another", "lost", ...
SHAREDLOCK_API const char* name_of(Errc code);

struct Error {
  Errc code;
  std::string message;  // for people
};

// A value or an Error, to be checked on the next line; value() throws Failure where there is none.
template <class T>
using Result = boost::system::result<T, Error>;

// An Error as an exception, for code that prefers exceptions.
class SHAREDLOCK_API Failure : public std::runtime_error {
 public:
  explicit Failure(const Error& error);
  Errc code() const { return code_; }

 private:
  Errc code_;
};

[[noreturn]] SHAREDLOCK_API void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace sharedlock::client
