#include "cli/held_around.h"

#include <sstream>

#include "base/environment.h"

namespace sharedlock {

namespace {

std::string id_of(const std::string& space, const std::string& name) {
  return space + '/' + name;
}

}  // namespace

std::string held_under(const std::string& space, const std::string& name) {
  return environment_value(kHeldVariable) + ' ' + id_of(space, name);
}

std::string held_around(const std::string& space, const std::string& name) {
  std::istringstream held(environment_value(kHeldVariable));
  for (std::string id; held >> id;) {
    if (id == id_of(space, name))
      return ": the `shared-lock run` around this one holds it; on the same server this waits for itself";
  }
  return "";
}

}  // namespace sharedlock
