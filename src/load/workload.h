#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sharedlock::bench {

enum class Workload {
  grants,
  refusals,
  lock_refusals,
  keepalives,
  acquire,
  acquire_release,
  mixed,
  constant,
};

// One kind of request.
enum class Call {
  grant,         // POST /lease with an unused key
  refusal,       // POST /lease with one of the held keys
  keepalive,     // POST /keepalive with the connection's own lease
  acquire,       // lock API: an unused name
  release,       // lock API: the lock that this connection acquired last
  lock_refusal,  // lock API: acquire of the lock that another instance holds
  constant,      // GET of a path
  // Never measured; needed before the others:
  hold_key,    // takes one of the held keys
  hold_lock,   // takes the held lock
  take_lease,  // the connection's own lease
};

std::optional<Workload> workload_named(std::string_view name);
std::string_view name_of(Workload workload);
std::string_view all_workloads();  // "grants|refusals|…"

// A connection's requests, in turn and from the beginning again.
std::span<const Call> calls_of(Workload workload);

// Whether the answer says that the server did what was asked for. For a held key, "already held" is as good.
bool is_expected(Call call, int status);

struct RequestFacts {
  std::string host;  // as in the header
  std::string name;  // what all keys and locks begin with: 1 to 32 letters, digits, - and _
  std::string path;  // of `constant`
  std::uint64_t ttl_seconds = 60;
};

// Writes requests: each kind is formatted once, and afterwards only its number is filled in. Thread-safe.
class Requests {
 public:
  explicit Requests(const RequestFacts& facts);

  // `number` makes the key or the name of the lock (below 10^14); `lease` is the id for a keepalive. Replaces `out`,
  // and allocates nothing once that has held a request.
  void write(Call call, std::uint64_t number, std::string_view lease, std::string& out) const;

 private:
  struct Form {
    std::string text;
    std::size_t number_at = std::string::npos;  // npos: it has none
  };

  Form forms_[static_cast<std::size_t>(Call::take_lease) + 1];
};

}  // namespace sharedlock::bench
