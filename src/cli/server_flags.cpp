#include "cli/server_flags.h"

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

void declare_server(CLI::App& command, std::string& server, std::string& token_file) {
  command.add_option("--server", server, "Its URL; else SHARED_LOCK_URL, else http://127.0.0.1:8080.")
      ->type_name("URL");
  command.add_option("--token-file", token_file, "A file with the bearer token; else SHARED_LOCK_TOKEN holds it.")
      ->type_name("FILE");
}

client::Result<client::ClientOptions> server_options(const std::string& server, const std::string& token_file) {
  std::string url = server.empty() ? variable("SHARED_LOCK_URL") : server;
  client::ClientOptions options = url.empty() ? client::ClientOptions() : client::ClientOptions(url);
  options.admin_token(variable("SHARED_LOCK_ADMIN_TOKEN"));
  if (!token_file.empty()) {
    if (!token_in(token_file)) return client::Error{client::Errc::refused, "--token-file: can't read " + token_file};
    options.token([token_file] { return token_in(token_file).value_or(""); });
  } else if (std::string token = variable("SHARED_LOCK_TOKEN"); !token.empty()) {
    options.token([token] { return token; });
  }
  return options;
}

}  // namespace sharedlock
