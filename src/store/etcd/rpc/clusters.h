#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sharedlock {

// Which cluster each endpoint belongs to, as far as its answers have said (R20). Ours is the one that answered first;
// as long as any endpoint is known to be of another one, none may be used: another server with the same list may have
// met that one first, and then one lock would have two holders. Not thread-safe.
class EtcdClusters {
 public:
  // The endpoints' names, for people.
  explicit EtcdClusters(std::vector<std::string> endpoints);

  enum class News {
    none,
    foreign,  // the endpoint belongs to another cluster, which was not known of it
    returned  // it belonged to another one, and now belongs to ours
  };

  // The endpoint has answered with the id of its cluster, which is not 0.
  News answered(std::size_t endpoint, std::uint64_t cluster);
  // It was asked and did not say so: what was known of it still stands. It is away where it said nothing at all.
  void missed(std::size_t endpoint, bool away) {
    asked_[endpoint] = true;
    away_[endpoint] = away;
  }

  // Whether it has answered, or was asked in vain.
  bool asked(std::size_t endpoint) const { return asked_[endpoint]; }
  bool all_asked() const;
  bool any_answered() const { return ours_ != 0; }

  // Where all that say anything have come to be of one cluster, which is not ours: one of them. A cluster that is
  // restored may have fewer members than before, so those that are away don't count; one that is ours does. And from
  // now on it is ours; what those said that are away is forgotten.
  std::optional<std::size_t> elsewhere() const;
  void follow(std::size_t endpoint);

  // Why none may be used, in words for people; empty: they may.
  const std::string& conflict() const { return conflict_; }

 private:
  std::string describe() const;

  std::vector<std::string> endpoints_;
  std::vector<std::uint64_t> clusters_;  // 0: not known
  std::vector<bool> asked_;
  std::vector<bool> away_;
  std::uint64_t ours_ = 0;
  std::string conflict_;
};

}  // namespace sharedlock
