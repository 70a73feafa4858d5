#pragma once

#include <string>
#include <string_view>

namespace sharedlock {

// Known faults, for locks, of this version of etcd ("3.4.23"), as text for a warning; empty for good versions (from
// 3.4.44, 3.5.33, 3.6.14 and 3.7 on), and for text that is not a version.
std::string faults_of_etcd(std::string_view version);

}  // namespace sharedlock
