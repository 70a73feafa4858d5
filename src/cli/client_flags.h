#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "sharedlock/client.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's
class App;
}

namespace sharedlock {

// How the commands that speak to a server find it.
struct ClientFlags {
  std::string server;
  std::string token_file;
  std::chrono::seconds connect_timeout{5};
  std::chrono::seconds poll{50};
  std::chrono::milliseconds patience{10'000};
};

// --server, --token-file, --connect-timeout. `into` must outlive the parsing.
void declare_client(CLI::App& command, ClientFlags& into);
// Of commands that wait in line: --poll, --patience.
void declare_waiting(CLI::App& command, ClientFlags& into);

// With SHARED_LOCK_URL, SHARED_LOCK_TOKEN and SHARED_LOCK_ADMIN_TOKEN for what was not given. The file is read for
// every request: tokens are renewed. refused: it can't be read now.
client::Result<client::ClientOptions> client_options(const ClientFlags& flags);

}  // namespace sharedlock
