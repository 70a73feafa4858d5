#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "lease/lease_service.h"

namespace sharedlock {

// The lease object of POST /lease. Labels and timestamp are read only for the log.
struct LeaseBody {
  std::string key;
  std::string value;
  std::string labels;     // a JSON object, or empty
  std::string timestamp;  // RFC 3339, or empty
};

inline constexpr std::size_t kLongestLeaseKey = 1024;  // bytes

// Reads the body as Go's decoder does: member names match without regard to case, null counts as absent, unknown
// members are ignored, the last one of a name counts. invalid_argument says what is wrong and where.
Result<LeaseBody> parse_lease_body(std::string_view body);

// Reads an x-lease-ttl header: a positive Go duration up to `largest`. Less than a second counts as one, fractions are
// rounded up. invalid_argument with a text that shows a valid one.
Result<Ttl> parse_lease_ttl(std::string_view text, std::chrono::nanoseconds largest);

inline constexpr std::chrono::hours kLongestLeaseWait{1};

// Reads an x-lease-wait header: a Go duration from 0 to kLongestLeaseWait. invalid_argument as above.
Result<std::chrono::nanoseconds> parse_lease_wait(std::string_view text);

// Reads an x-lease-keep-place header: the same, or a bare number of seconds, from 0 to kLongestKeptPlace.
Result<std::chrono::nanoseconds> parse_lease_keep_place(std::string_view text);

// Reads an x-lease-id header: a decimal number of at least kSmallestChosenLeaseId.
Result<LeaseId> parse_chosen_lease_id(std::string_view text);

// The key in the query of GET and DELETE /lease, decoded; invalid_argument if there is no valid one.
Result<std::string> parse_lease_query(std::string_view query);

// The answer to GET /lease.
std::string to_json(const std::string& key, const HeldLease& lease);

// Reads the body of POST /keepalive: a decimal lease id, with white space around it. Any int64 parses.
Result<LeaseId> parse_lease_id(std::string_view body);

}  // namespace sharedlock
