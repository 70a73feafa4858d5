#include "cli/client_flags.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <optional>

namespace sharedlock {

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// Its first line.
std::optional<std::string> token_in(const std::string& file_name) {
  std::ifstream file(file_name);
  std::string token;
  if (!std::getline(file, token)) return std::nullopt;
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  return token;
}

}  // namespace

void declare_client(CLI::App& command, ClientFlags& into) {
  command.add_option("--server", into.server, "Its URL; else SHARED_LOCK_URL, else http://127.0.0.1:8080.")
      ->type_name("URL");
  command.add_option("--token-file", into.token_file, "A file with the bearer token; else SHARED_LOCK_TOKEN holds it.")
      ->type_name("FILE");
}

client::Result<client::ClientOptions> client_options(const ClientFlags& flags) {
  std::string url = flags.server.empty() ? variable("SHARED_LOCK_URL") : flags.server;
  client::ClientOptions options = url.empty() ? client::ClientOptions() : client::ClientOptions(url);
  options.admin_token(variable("SHARED_LOCK_ADMIN_TOKEN"));
  if (std::string file = flags.token_file; !file.empty()) {
    if (!token_in(file)) return client::Error{client::Errc::refused, "--token-file: can't read " + file};
    options.token([file] { return token_in(file).value_or(""); });
  } else if (std::string token = variable("SHARED_LOCK_TOKEN"); !token.empty()) {
    options.token([token] { return token; });
  }
  return options;
}

}  // namespace sharedlock
