#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sharedlock {

// Which cluster each endpoint belongs to, as far as its answers have said (R20). Ours is the one that answered first;
// while any endpoint is known to belong to another one, none may be used: another server with the same list may have
// reached that cluster first, and then one lock would have two holders. Not thread-safe.
class EtcdClusters {
 public:
  // The endpoints' names, for messages.
  explicit EtcdClusters(std::vector<std::string> endpoints);

  enum class News {
    none,
    foreign,  // the endpoint belongs to another cluster, which is news
    returned  // it belonged to another one, and now belongs to ours
  };

  // The endpoint has answered with the id of its cluster, which is not 0.
  News answered(std::size_t endpoint, std::uint64_t cluster);
  // It was asked and did not say so: earlier knowledge of it still holds. It is away if it gave no answer at all.
  void missed(std::size_t endpoint, bool away) {
    asked_[endpoint] = true;
    away_[endpoint] = away;
  }

  // Whether it has answered, or was asked in vain.
  bool asked(std::size_t endpoint) const { return asked_[endpoint]; }
  bool all_asked() const;
  bool any_answered() const { return ours_ != 0; }

  // If all endpoints that answer now belong to one cluster other than ours: one of them. Endpoints that are away don't
  // count, since a restored cluster may have fewer members than before. follow() makes that cluster ours, and forgets
  // what endpoints that are away said.
  std::optional<std::size_t> elsewhere() const;
  void follow(std::size_t endpoint);

  // Why none may be used, for people; empty: they may.
  const std::string& conflict() const { return conflict_; }

 private:
  std::string describe() const;

  std::vector<std::string> endpoints_;
  std::vector<std::uint64_t> clusters_;  // 0: unknown
  std::vector<bool> asked_;
  std::vector<bool> away_;
  std::uint64_t ours_ = 0;
  std::string conflict_;
};

}  // namespace sharedlock
