#pragma once

#include <string>

#include "sharedlock/client.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
}

namespace sharedlock {

// --server and --token-file, which all commands have that speak to a server.
void declare_server(CLI::App& command, std::string& server, std::string& token_file);

// With SHARED_LOCK_URL and SHARED_LOCK_TOKEN for what was not given. The file is read for every request: tokens are
// renewed. refused: it can't be read now.
client::Result<client::ClientOptions> server_options(const std::string& server, const std::string& token_file);

}  // namespace sharedlock
