#include "store/etcd/rpc/clusters.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace sharedlock {

namespace {

// As etcdctl writes it.
std::string hex(std::uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%llx", static_cast<unsigned long long>(id));
  return text;
}

}  // namespace

EtcdClusters::EtcdClusters(std::vector<std::string> endpoints)
    : endpoints_(std::move(endpoints)),
      clusters_(endpoints_.size()),
      asked_(endpoints_.size()),
      away_(endpoints_.size()) {}

EtcdClusters::News EtcdClusters::answered(std::size_t endpoint, std::uint64_t cluster) {
  asked_[endpoint] = true;
  away_[endpoint] = false;
  if (ours_ == 0) ours_ = cluster;
  std::uint64_t before = std::exchange(clusters_[endpoint], cluster);
  if (before == cluster) return News::none;
  conflict_ = describe();
  if (cluster != ours_) return News::foreign;
  return before == 0 ? News::none : News::returned;
}

bool EtcdClusters::all_asked() const {
  return std::ranges::all_of(asked_, [](bool asked) { return asked; });
}

std::optional<std::size_t> EtcdClusters::elsewhere() const {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    if (away_[i]) continue;
    bool other = clusters_[i] != 0 && clusters_[i] != ours_;
    if (!other || (found && clusters_[*found] != clusters_[i])) return std::nullopt;
    found = i;
  }
  return found;
}

void EtcdClusters::follow(std::size_t endpoint) {
  ours_ = clusters_[endpoint];
  for (std::size_t i = 0; i < clusters_.size(); ++i) {
    if (away_[i] && clusters_[i] != ours_) clusters_[i] = 0;
  }
  conflict_ = describe();
}

std::string EtcdClusters::describe() const {
  std::string others;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    if (clusters_[i] != 0 && clusters_[i] != ours_) others += " and " + hex(clusters_[i]) + " at " + endpoints_[i];
  }
  if (others.empty()) return others;
  return "the endpoints of etcd belong to two clusters: " + hex(ours_) + ", with which this server began," + others;
}

}  // namespace sharedlock
