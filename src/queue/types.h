#pragma once

#include <chrono>
#include <cstddef>
#include <functional>

namespace sharedlock {

// The most that one request may wait for together.
inline constexpr std::size_t kMostInSet = 32;

// The longest that a request may wait in a queue.
inline constexpr std::chrono::seconds kLongestWait{3600};

// The longest that a queue entry may be kept while its client is away (R37).
inline constexpr std::chrono::seconds kLongestKeptPlace{10};
// And the longest once its turn has come.
inline constexpr std::chrono::seconds kAwayAtHead{1};

// How a wait ended without a grant or a refusal.
enum class WaitEnd {
  superseded,    // the same holder asked again, and that request counts
  draining,      // the server shuts down
  store_lost,    // the store serves nothing for now
  disconnected,  // the client no longer waits for the answer
};

// Registers a callback for when the waiting client disconnects. It is called on the executor of the request's
// coroutine, maybe at once.
using WhenDisconnected = std::function<void(std::function<void()> told)>;

}  // namespace sharedlock
