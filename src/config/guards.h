#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::config {

// Settings of Spring Boot, under which LockServiceCentral runs, that decide which clients can reach a server, or how
// safely, and that this server does not have. To skip one would open what was closed, so each stops the start.

// Something given under a name that is none of ours.
struct Foreign {
  std::string shown;  // the name with where it was given: "my.properties:3: server.ssl.key-store"
  std::string name;   // the name alone
  std::string value;  // without spaces around it
};

// What to say of those properties that may not be skipped: a sentence for each kind, which names what to set instead.
// No values are shown.
std::vector<std::string> refused_properties(const std::vector<Foreign>& properties);

// The same of environment variables (SERVER_SSL_KEY_STORE). Those that Kubernetes sets for a Service that happens to
// have such a name don't count. `has_file`: settings come from a file as well, so that which files count matters.
std::vector<std::string> refused_variables(const std::map<std::string, std::string>& environment, bool has_file);

// The form in which all spellings of a variable are equal to Spring: it takes `server_ssl_bundle` and
// `server.ssl.bundle` for SERVER_SSL_BUNDLE.
std::string spring_form(std::string_view variable);

// Set by Kubernetes for a Service: SERVER_SSL_PORT=tcp://10.0.0.1:8080, SERVER_SSL_SERVICE_HOST=10.0.0.1.
bool is_of_a_service(std::string_view variable, std::string_view value);

// True for the name of a YAML file: a reader of properties would skip its nested keys.
bool is_yaml(std::string_view file_name);

}  // namespace sharedlock::config
