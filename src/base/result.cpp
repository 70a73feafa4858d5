#include "base/result.h"

namespace sharedlock {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::unavailable:
      return "unavailable";
    case Errc::deadline_exceeded:
      return "deadline_exceeded";
    case Errc::unanswered:
      return "unanswered";
    case Errc::lease_not_found:
      return "lease_not_found";
    case Errc::lease_in_use:
      return "lease_in_use";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::overloaded:
      return "overloaded";
    case Errc::corrupt:
      return "corrupt";
  }
  return "?";
}

BadResultAccess::BadResultAccess(const Error& error)
    : std::logic_error(std::string(name_of(error.code)) + ": " + error.message) {}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw BadResultAccess(error);
}

}  // namespace sharedlock
