#pragma once

#include <chrono>
#include <string>

#include "cli/flags.h"
#include "sharedlock/client.h"

namespace sharedlock {

// How the commands that talk to a server find it.
struct ClientFlags {
  std::string server;
  std::string token_file;
  std::chrono::seconds connect_timeout{5};
  std::chrono::seconds poll{50};
  std::chrono::milliseconds patience{10'000};
};

// `into` must outlive the parsing.
Flag server_flag(ClientFlags& into);           // --server
Flag token_file_flag(ClientFlags& into);       // --token-file
Flag connect_timeout_flag(ClientFlags& into);  // --connect-timeout
// For commands that wait in a queue.
Flag poll_flag(ClientFlags& into);      // --poll
Flag patience_flag(ClientFlags& into);  // --patience

// Adds SHARED_LOCK_URL, SHARED_LOCK_TOKEN and SHARED_LOCK_ADMIN_TOKEN for values that were not given. The file is read
// for every request, since tokens are renewed. refused: it can't be read now.
client::Result<client::ClientOptions> client_options(const ClientFlags& flags);

}  // namespace sharedlock
