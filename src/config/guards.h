#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sharedlock::config {

// Settings of Spring Boot, under which LockServiceCentral runs, that decide which clients can reach a server, or how
// securely, and that this server does not have. Ignoring one would open what was closed, so each stops the start.

// A value given under a name that is not ours.
struct Foreign {
  std::string shown;  // the name and its origin: "my.properties:3: server.ssl.key-store"
  std::string name;   // the name alone
  std::string value;  // without surrounding spaces
};

// Errors for those properties that must not be ignored: a sentence for each kind, which names what to set instead. No
// values are shown.
std::vector<std::string> refused_properties(const std::vector<Foreign>& properties);

// The same for environment variables (SERVER_SSL_KEY_STORE). Those that Kubernetes sets for a Service that happens to
// have such a name don't count. `has_file`: settings also come from a file, so settings about which files are read
// matter.
std::vector<std::string> refused_variables(const std::map<std::string, std::string>& environment, bool has_file);

// The form in which all spellings of a variable are equal to Spring: it accepts `server_ssl_bundle` and
// `server.ssl.bundle` for SERVER_SSL_BUNDLE.
std::string spring_form(std::string_view variable);

// Set by Kubernetes for a Service: SERVER_SSL_PORT=tcp://10.0.0.1:8080, SERVER_SSL_SERVICE_HOST=10.0.0.1.
bool is_of_a_service(std::string_view variable, std::string_view value);

// True for the name of a YAML file: a properties reader would skip its nested keys.
bool is_yaml(std::string_view file_name);

}  // namespace sharedlock::config
