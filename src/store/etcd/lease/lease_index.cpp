#include "store/etcd/lease/lease_index.h"

#include <charconv>

namespace sharedlock {

std::string lease_index_key(LeaseId id) {
  return std::string(kLeaseIndexPrefix) + std::to_string(number_of(id));
}

std::string to_text(const LeaseIndex& index) {
  return std::to_string(index.ttl.count()) + ' ' + index.key;
}

std::optional<LeaseIndex> parse_lease_index(std::string_view text) {
  Ttl::rep ttl = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, ttl);
  bool is_ttl = error == std::errc() && ttl >= 1 && rest != end && *rest == ' ';
  if (!is_ttl || rest + 1 == end) return std::nullopt;
  return LeaseIndex{Ttl{ttl}, std::string(rest + 1, end)};
}

bool is_true_of(const Entry& index, const std::optional<Entry>& entry) {
  return entry && entry->revision == index.revision;
}

}  // namespace sharedlock
