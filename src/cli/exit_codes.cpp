#include "cli/exit_codes.h"

namespace sharedlock {

int exit_code_of(client::Errc code) {
  switch (code) {
    case client::Errc::held_by_another:
    case client::Errc::superseded:
      return kExitNotAcquired;
    case client::Errc::lost:
      return kExitLost;
    case client::Errc::unavailable:
      return kExitUnavailable;
    case client::Errc::refused:
      return kExitRefused;
  }
  return kExitSoftware;
}

}  // namespace sharedlock
