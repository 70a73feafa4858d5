#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sharedlock {

// Why an operation did not do what was asked. With every code but the first three, nothing was changed.
enum class Errc {
  unavailable,        // the store did not answer, or answered that it can't: the outcome is unknown
  deadline_exceeded,  // no answer before the deadline: the outcome is unknown
  unanswered,         // likewise, but it can't happen any more: a read of the store now tells whether it did
  lease_not_found,    // there is no such lease, or none that this call may touch
  lease_in_use,       // the lease id that was asked for already holds an entry
  invalid_argument,   // the call itself makes no sense (an empty key, one key changed twice, ...)
  overloaded,         // too much is under way already; try again later
  corrupt,            // what is stored can't be understood; it was left unchanged
};

// "unavailable", "lease_not_found", ...: for logs.
std::string_view name_of(Errc code);

// True for the codes that leave open whether the change happened.
constexpr bool outcome_unknown(Errc code) {
  return code == Errc::unavailable || code == Errc::deadline_exceeded || code == Errc::unanswered;
}

// True if the change may still happen later.
constexpr bool may_happen_yet(Errc code) {
  return outcome_unknown(code) && code != Errc::unanswered;
}

// An expected failure: a code to act on and a sentence for people, which names what was being done and to what.
struct Error {
  Errc code;
  std::string message;
};

// Thrown by Result::value() when there is none. Our code checks first; this is for tests and for broken invariants.
class BadResultAccess : public std::logic_error {
 public:
  explicit BadResultAccess(const Error& error);
};
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

// A value or an Error; check it on the next line.
template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace sharedlock
