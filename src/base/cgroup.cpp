#include "base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace sharedlock {

namespace {

using Limit = std::optional<std::uint64_t>;

Limit smaller(Limit a, Limit b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// The smallest limit of `group` and its ancestors, up to `root`. Inside a container the group's path may be the host's,
// with only the root mounted: what can't be read is skipped.
Limit smallest_upwards(const std::filesystem::path& root, std::filesystem::path group, CgroupLimit::Read read) {
  Limit limit = read(root);
  for (; !group.empty(); group = group.parent_path()) limit = smaller(limit, read(root / group));
  return limit;
}

bool lists(std::string_view controllers, std::string_view controller) {
  std::string wanted = ',' + std::string(controller) + ',';
  return (',' + std::string(controllers) + ',').find(wanted) != std::string::npos;
}

}  // namespace

CgroupFiles own_cgroups() {
  std::ifstream file("/proc/self/cgroup");
  std::stringstream membership;
  membership << file.rdbuf();
  return {"/sys/fs/cgroup", membership.str()};
}

std::optional<std::uint64_t> smallest_limit(const CgroupLimit& wanted, const CgroupFiles& files) {
  Limit limit;
  std::istringstream lines(files.membership);
  for (std::string line; std::getline(lines, line);) {  // "0::/path" or "4:cpu,cpuacct:/path"
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    const auto group = std::filesystem::path(line.substr(second + 1)).relative_path();
    if (controllers.empty()) {
      limit = smaller(limit, smallest_upwards(files.mount, group, wanted.version2));
    } else if (lists(controllers, wanted.controller)) {
      limit = smaller(limit, smallest_upwards(files.mount / controllers, group, wanted.version1));
      limit = smaller(limit, smallest_upwards(files.mount / wanted.controller, group, wanted.version1));
    }
  }
  return limit;
}

}  // namespace sharedlock
