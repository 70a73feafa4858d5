#pragma once

#include <string>
#include <string_view>

namespace sharedlock {

// What is known to be wrong, for locks, with this version of etcd ("3.4.23"), as words for a warning; empty for good
// ones (from 3.4.44, 3.5.33, 3.6.14 and 3.7 on), and for what can't be read as a version.
std::string faults_of_etcd(std::string_view version);

}  // namespace sharedlock
