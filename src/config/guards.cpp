#include "config/guards.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "config/names.h"

namespace sharedlock::config {

namespace {

struct Guard {
  std::string_view property;          // this one, and everything below it
  std::string_view instead;           // the situation in this server, and what to set
  std::string_view harmless = {};     // the value that has no effect
  std::string_view switched_by = {};  // if that is false, the rest has no effect
  bool about_files = false;
};

constexpr std::string_view kTls =
    "this server speaks plain HTTP: let a proxy that ends TLS stand in front of it, and listen for that proxy alone "
    "(shared-lock.server.address=127.0.0.1 where both are on one machine)";
constexpr std::string_view kPath =
    "the paths of this server begin at /: let a proxy in front of it pass on what is below that path, and nothing else";
constexpr std::string_view kManagement =
    "health and metrics are served where all else is (shared-lock.server.address, server.port), to everybody who can "
    "reach it: let a proxy or a firewall keep /health, /actuator, /ready and /metrics from those who may not see them";
constexpr std::string_view kCallers =
    "callers are checked by jwt.issuer, jwt.jwks and jwt.audience here, and by nothing else: set those";
constexpr std::string_view kFiles =
    "one file is read here, and no other: write all settings that count into the one that --config names";
constexpr std::string_view kParts =
    "a part of a file that counts for some profiles alone is read like all of it: leave in the file what counts";

// As of Spring Boot 3. Settings that only limit load (server.tomcat.max-connections), hide error details, or trust a
// proxy are not here: this server has limits of its own, says little, and trusts no proxy unless it is told to.
constexpr std::array kGuards = {
    Guard{.property = "server.ssl", .instead = kTls, .switched_by = "server.ssl.enabled"},
    Guard{.property = "server.servlet.context-path", .instead = kPath, .harmless = "/"},
    Guard{.property = "spring.mvc.servlet.path", .instead = kPath, .harmless = "/"},
    Guard{.property = "management.server", .instead = kManagement},
    Guard{.property = "management.endpoints.web.base-path", .instead = kManagement, .harmless = "/actuator"},
    Guard{.property = "management.endpoints.web.exposure.exclude", .instead = kManagement},
    Guard{.property = "management.endpoints.enabled-by-default", .instead = kManagement, .harmless = "true"},
    Guard{.property = "management.endpoints.access", .instead = kManagement, .harmless = "unrestricted"},
    Guard{.property = "management.endpoint.health.enabled", .instead = kManagement, .harmless = "true"},
    Guard{.property = "management.endpoint.health.access", .instead = kManagement, .harmless = "unrestricted"},
    Guard{.property = "management.endpoint.prometheus.enabled", .instead = kManagement, .harmless = "true"},
    Guard{.property = "management.endpoint.prometheus.access", .instead = kManagement, .harmless = "unrestricted"},
    Guard{.property = "spring.security", .instead = kCallers},
    Guard{.property = "spring.application.json", .instead = kFiles},
    Guard{.property = "spring.config.activate", .instead = kParts, .about_files = true},
    Guard{.property = "spring.config", .instead = kFiles, .about_files = true},
    // LockServiceCentral's choice of its store, set in every deployment on etcd.
    Guard{.property = "spring.profiles.active", .instead = kFiles, .harmless = "etcd", .about_files = true},
    Guard{.property = "spring.profiles", .instead = kFiles, .about_files = true},
};

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), lower);
  return result;
}

// The property itself, one below it, or an item of it as a list.
bool is_below(std::string_view name, std::string_view property) {
  if (!name.starts_with(property)) return false;
  auto rest = name.substr(property.size());
  return rest.empty() || rest.front() == '.' || rest.front() == '[';
}

const Guard* guard_of(std::string_view property) {
  const auto name = uniform(property);
  const auto found = std::ranges::find_if(kGuards, [&](const auto& g) { return is_below(name, uniform(g.property)); });
  return found == kGuards.end() ? nullptr : &*found;
}

// As Spring binds variables: dots become `_`; dashes are left out, or become `_` as well.
bool is_variable_of(std::string_view name, std::string_view property) {
  const auto variable = spring_form(name);
  for (const bool keep_dashes : {false, true}) {
    std::string form;
    for (const char c : property) {
      if (c == '.' || (c == '-' && keep_dashes)) form += '_';
      if (c != '.' && c != '-') form += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    if (variable == form || variable.starts_with(form + '_')) return true;
  }
  return false;
}

const Guard* guard_of_variable(std::string_view variable) {
  const auto found =
      std::ranges::find_if(kGuards, [&](const auto& guard) { return is_variable_of(variable, guard.property); });
  return found == kGuards.end() ? nullptr : &*found;
}

// One sentence for each kind, at its first setting.
class Refusals {
 public:
  void add(const Guard& guard, const std::string& shown) {
    auto same = [&](const auto& each) { return each.instead == guard.instead; };
    auto found = std::ranges::find_if(all_, same);
    if (found == all_.end()) {
      all_.push_back({guard.instead, shown, 0});
    } else {
      ++found->more;
    }
  }

  std::vector<std::string> sentences() const {
    std::vector<std::string> result;
    for (const auto& [instead, shown, more] : all_) {
      std::string others = more == 0 ? "" : " (and " + std::to_string(more) + " more of its kind)";
      result.push_back(shown + others + " would be skipped, and what it protects with it; " + std::string(instead) +
                       ", and take it out here");
    }
    return result;
  }

 private:
  struct Refusal {
    std::string_view instead;
    std::string shown;
    std::size_t more;
  };
  std::vector<Refusal> all_;
};

bool is_switched_off(const Guard& guard, const std::vector<Foreign>& given,
                     bool (*is_it)(const Foreign&, const Guard&)) {
  if (guard.switched_by.empty()) return false;
  return std::ranges::any_of(given,
                             [&](const auto& each) { return is_it(each, guard) && lower_case(each.value) == "false"; });
}

bool is_switch_property(const Foreign& given, const Guard& guard) {
  return uniform(given.name) == uniform(guard.switched_by);
}
bool is_switch_variable(const Foreign& given, const Guard& guard) {
  return is_variable_of(given.name, guard.switched_by);
}

bool changes_nothing(const Guard& guard, std::string_view value) {
  return value.empty() || lower_case(value) == guard.harmless;
}

}  // namespace

std::vector<std::string> refused_properties(const std::vector<Foreign>& properties) {
  Refusals refusals;
  for (const auto& given : properties) {
    const auto* guard = guard_of(given.name);
    if (!guard || changes_nothing(*guard, given.value)) continue;
    if (!is_switched_off(*guard, properties, is_switch_property)) refusals.add(*guard, given.shown);
  }
  return refusals.sentences();
}

std::vector<std::string> refused_variables(const std::map<std::string, std::string>& environment, bool has_file) {
  std::vector<Foreign> variables;
  for (const auto& [name, value] : environment) {
    if (guard_of_variable(name) && !is_of_a_service(name, value)) variables.push_back({name, name, value});
  }
  Refusals refusals;
  for (const auto& given : variables) {
    const auto* guard = guard_of_variable(given.name);
    if (changes_nothing(*guard, given.value) || (guard->about_files && !has_file)) continue;
    if (!is_switched_off(*guard, variables, is_switch_variable)) refusals.add(*guard, given.shown);
  }
  return refusals.sentences();
}

std::string spring_form(std::string_view variable) {
  std::string form;
  for (const char c : variable) {
    form += c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return form;
}

bool is_of_a_service(std::string_view variable, std::string_view value) {
  for (const auto* protocol : {"tcp://", "udp://", "sctp://"}) {
    if (value.starts_with(protocol)) return true;
  }
  if (variable.find("_SERVICE_HOST") != std::string_view::npos) return true;
  if (variable.find("_SERVICE_PORT") != std::string_view::npos) return true;
  const auto port = variable.find("_PORT_");
  return port != std::string_view::npos && port + 6 < variable.size() &&
         std::isdigit(static_cast<unsigned char>(variable[port + 6])) != 0;
}

bool is_yaml(std::string_view file_name) {
  const auto name = lower_case(file_name);
  return name.ends_with(".yml") || name.ends_with(".yaml");
}

}  // namespace sharedlock::config
