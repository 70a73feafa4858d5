#include "config/loader.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/environment.h"
#include "base/json_text.h"
#include "config/checks.h"
#include "config/guards.h"
#include "config/names.h"
#include "config/options.h"
#include "config/properties_file.h"
#include "config/value.h"

namespace sharedlock::config {

namespace {

// A value for an option, and the name under which it was given.
struct Given {
  Source source;
  std::string name;
  std::string value;
};

std::string quoted(const Option& option, std::string_view value) {
  // A URL may hold a password before its @.
  if (option.secret || value.find('@') != std::string_view::npos) return "the value";
  constexpr std::size_t kLongest = 200;
  std::string text;
  append_json_string(text, value.substr(0, kLongest));
  return value.size() > kLongest ? text + "..." : text;
}

// Kubernetes sets <SERVICE>_PORT=tcp://10.0.0.1:8080 in every pod for every Service.
bool looks_injected(const Given& given) {
  return given.source == Source::environment && is_of_a_service(given.name, given.value);
}

std::size_t index_of(std::string_view property) {
  const auto found = std::ranges::find(options(), property, &Option::name);
  check_invariant(found != options().end(), "a setting is looked for that is in no row of the table");
  return static_cast<std::size_t>(found - options().begin());
}

class Loader {
 public:
  explicit Loader(const LoadInput& input) : input_(input) {}

  LoadedSettings run() {
    read_file();
    refuse_unknown_flags();
    for (const auto& option : options()) result_.origins.push_back(set(option));
    refuse_what_may_not_be_skipped();
    apply_debug();
    check_authentication();
    if (result_.settings.storage_type == StorageType::etcd) check_etcd();
    warn_of_planned_options();
    return std::move(result_);
  }

 private:
  // Sets the option from the first source that has a value for it, and returns that origin.
  Origin set(const Option& option) {
    for (const auto& given : {given_as_flag(option), given_in_environment(option), given_in_file(option)}) {
      if (given.empty()) continue;
      bool all_parsed = true;
      for (const auto& one : given) all_parsed = parse(option, one) && all_parsed;
      if (all_parsed) refuse_contradiction(option, given);
      return {given.front().source, given.front().name};
    }
    return {};
  }

  void warn_of_planned_options() {
    for (std::size_t i = 0; i < options().size(); ++i) {
      if (!options()[i].planned || result_.origins[i].source == Source::defaults) continue;
      result_.warnings.push_back(result_.origins[i].name + " is set, but has no effect in this version yet");
    }
  }

  bool parse(const Option& option, const Given& given) {
    bool may_be_meant = option.secret;  // a password may hold anything
    if (given.source == Source::file && !may_be_meant && given.value.find("${") != std::string::npos) {
      result_.errors.push_back(given.name + ": ${...} is not replaced here; write the value itself, or set " +
                               option.environment.front());
      return false;
    }
    const auto wrong = assign(option, given.value, result_.settings);
    if (!wrong) return true;
    auto message = given.name + ": " + quoted(option, given.value) + " " + *wrong;
    if (looks_injected(given)) {
      message +=
          ". Kubernetes sets such variables for each Service (service links): put `enableServiceLinks: false` into the "
          "pod's spec, or rename the Service";
    }
    result_.errors.push_back(std::move(message));
    return false;
  }

  // Equivalent values ("10s" and "10") do not contradict each other.
  void refuse_contradiction(const Option& option, const std::vector<Given>& given) {
    const auto meaning = [&option](const Given& one) {
      Settings scratch;
      assign(option, one.value, scratch);
      return value_text(option, scratch);
    };
    const auto& first = given.front();
    for (const auto& other : given) {
      if (meaning(other) == meaning(first)) continue;
      auto message =
          first.name + " and " + other.name + " are two names of one setting, but are set to different values";
      if (!option.secret) message += " (" + quoted(option, first.value) + " and " + quoted(option, other.value) + ")";
      result_.errors.push_back(message + ": set only one of them");
    }
  }

  std::vector<Given> given_as_flag(const Option& option) const {
    std::vector<Given> given;
    add(given, Source::flag, input_.flags, std::string(option.flag), "--");
    return given;
  }

  std::vector<Given> given_in_environment(const Option& option) const {
    std::vector<Given> given;
    for (const auto& name : option.environment) add(given, Source::environment, input_.environment, name, "");
    return given;
  }

  std::vector<Given> given_in_file(const Option& option) const {
    const auto found = in_file_.find(&option);
    return found == in_file_.end() ? std::vector<Given>{} : found->second;
  }

  static void add(std::vector<Given>& given, Source source, const std::map<std::string, std::string>& values,
                  const std::string& name, std::string_view shown_before) {
    const auto found = values.find(name);
    if (found == values.end()) return;
    auto value = trimmed(found->second);
    if (!value.empty()) given.push_back({source, std::string(shown_before) + name, std::move(value)});
  }

  std::string at(std::size_t line) const { return input_.file->name + ":" + std::to_string(line) + ": "; }

  void read_file() {
    if (!input_.file) return;
    const auto properties = parse_properties(input_.file->text);
    for (const auto& error : properties.errors) result_.errors.push_back(at(error.line) + error.message);
    std::map<std::string, const Property*> last;  // of equal keys, the last wins
    for (const auto& property : properties.entries) last[property.key] = &property;
    std::vector<Foreign> foreign;
    for (const auto& property : properties.entries) {
      if (last[property.key] != &property || keep(property)) continue;
      foreign.push_back({at(property.line) + property.key, property.key, trimmed(property.value)});
    }
    if (is_yaml(input_.file->name)) {
      result_.errors.push_back(input_.file->name +
                               ": YAML is not read here: write the settings as key=value into a properties file");
    }
    auto refused = refused_properties(foreign);
    std::ranges::move(refused, std::back_inserter(result_.errors));
    warn_of_foreign_keys(foreign);
  }

  // For the environment; after the options, since an address of ours from there or from the flags counts. One from the
  // file does not: Spring gives variables precedence.
  void refuse_what_may_not_be_skipped() {
    auto refused = refused_variables(input_.environment, input_.file.has_value());
    std::ranges::move(refused, std::back_inserter(result_.errors));
    const auto& own = result_.origin_of("shared-lock.server.address");
    if (own.source == Source::flag || own.source == Source::environment) return;
    for (const auto& [name, value] : input_.environment) {
      const auto address = trimmed(value);
      bool is_skipped = spring_form(name) == "SERVER_ADDRESS" && !address.empty();
      if (!is_skipped || address == result_.settings.server_address) continue;
      result_.errors.push_back(
          name +
          " is not read here, since the name is too common, and without it this server would listen elsewhere: "
          "set SHARED_LOCK_SERVER_ADDRESS");
    }
  }

  // False when the property does not concern us.
  bool keep(const Property& property) {
    const auto* option = find_by_property(property.key);
    if (!option && !has_our_prefix(property.key)) return false;
    auto name = at(property.line) + property.key;
    auto value = trimmed(property.value);
    if (!option) {
      result_.errors.push_back(name + ": there is no such setting; did you mean " +
                               std::string(nearest_property(property.key)) + "?");
    } else if (!value.empty()) {
      in_file_[option].push_back({Source::file, std::move(name), std::move(value)});
    }
    return true;
  }

  void warn_of_foreign_keys(const std::vector<Foreign>& foreign) {
    if (foreign.empty()) return;
    auto warning = input_.file->name + ": not ours and ignored: ";
    for (const auto& each : foreign) warning += (&each == foreign.data() ? "" : ", ") + each.name;
    result_.warnings.push_back(std::move(warning));
  }

  void refuse_unknown_flags() {
    for (const auto& [flag, value] : input_.flags) {
      if (!find_by_flag(flag)) result_.errors.push_back("--" + flag + ": there is no such flag");
    }
  }

  void apply_debug() {
    auto& log_origin = result_.origins[index_of("shared-lock.log")];
    if (!result_.settings.debug || log_origin.source != Source::defaults) return;
    result_.settings.log_level = LogLevel::debug;
    log_origin = result_.origin_of("shared-lock.debug");
  }

  void check_authentication() {
    const auto& settings = result_.settings;
    const bool has_keys = !settings.jwt_issuer.empty() || !settings.jwt_jwks.empty();
    if (has_keys && settings.authentication_disabled) {
      result_.warnings.push_back(result_.origin_of("authentication.disabled").name +
                                 " has no effect, since jwt.issuer or jwt.jwks is set: tokens are asked for");
    }
    if (settings.jwt_issuer.empty() || !settings.jwt_jwks.empty()) return;
    const auto wrong = must_be_url(settings.jwt_issuer);
    if (wrong.empty()) return;
    std::string message = result_.origin_of("jwt.issuer").name + ": ";
    append_json_string(message, settings.jwt_issuer);
    result_.errors.push_back(message + " " + std::string(wrong) +
                             ", since keys are discovered there; or set jwt.jwks as well");
  }

  void check_etcd() {
    const auto& settings = result_.settings;
    if (!settings.etcd_username.empty() && settings.etcd_password.empty()) {
      result_.errors.push_back(
          result_.origin_of("locker.etcd.auth.username").name +
          " is set, but locker.etcd.auth.password is not: etcd lets no user in without a password");
    }
    if (settings.etcd_username.empty() && !settings.etcd_password.empty()) {
      warn_of_no_effect("locker.etcd.auth.password", "locker.etcd.auth.username is not set");
    }
    if (uses_etcd_tls(settings)) return;
    for (const auto* path : {"caCertPath", "clientCertPath", "clientKeyPath"}) {
      warn_of_no_effect(std::string("locker.etcd.tls.") + path,
                        "locker.etcd.tls.enabled is not true, and no endpoint is https://");
    }
  }

  // Where the option was set, if at all.
  void warn_of_no_effect(std::string_view property, std::string_view why) {
    const auto& origin = result_.origin_of(property);
    if (origin.source == Source::defaults) return;
    result_.warnings.push_back(origin.name + " has no effect: " + std::string(why));
  }

  const LoadInput& input_;
  std::map<const Option*, std::vector<Given>> in_file_;
  LoadedSettings result_;
};

}  // namespace

const Origin& LoadedSettings::origin_of(std::string_view property) const {
  return origins[index_of(property)];
}

LoadedSettings load(const LoadInput& input) {
  return Loader(input).run();
}

}  // namespace sharedlock::config
