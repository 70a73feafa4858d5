#pragma once

#include <ostream>

#include "base/result.h"
#include "store/lease_store.h"

// How GoogleTest shows the store's types when an expectation fails.
namespace sharedlock {

inline void PrintTo(Errc code, std::ostream* out) {
  *out << name_of(code);
}
inline void PrintTo(Revision revision, std::ostream* out) {
  *out << "revision " << number_of(revision);
}
inline void PrintTo(LeaseId id, std::ostream* out) {
  *out << "lease " << number_of(id);
}
inline void PrintTo(const Entry& entry, std::ostream* out) {
  *out << "{\"" << entry.value << "\" under lease " << number_of(entry.lease) << ", created "
       << number_of(entry.created) << ", revision " << number_of(entry.revision) << "}";
}

}  // namespace sharedlock
