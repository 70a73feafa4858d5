#include "cli/held_around.h"

#include <sstream>

#include "base/environment.h"

namespace sharedlock {

namespace {

std::string id_of(const std::string& namespace_name, const std::string& name) {
  return namespace_name + '/' + name;
}

}  // namespace

std::string held_under(const std::string& namespace_name, const std::string& name) {
  return environment_value(kHeldVariable) + ' ' + id_of(namespace_name, name);
}

std::string held_around(const std::string& namespace_name, const std::string& name) {
  std::istringstream held(environment_value(kHeldVariable));
  for (std::string id; held >> id;) {
    if (id == id_of(namespace_name, name))
      return ": the `shared-lock run` around this one holds it; on the same server this waits for itself";
  }
  return "";
}

}  // namespace sharedlock
