#pragma once

#include <string>
#include <vector>

#include "crash/history.h"

namespace sharedlock::test {

// What in a history must never happen, a sentence each; empty when all is well:
//   - a lease id is given twice, or a fencing token is for one resource (two may share one: a batch has one revision);
//   - tokens of one resource do not grow in the order of its holdings;
//   - a holding that a client was told of is lost, or another one begins, before it can have ended: by its release, by
//     a new acquire of its own holder, or by its ttl, counted from the asking of its latest renewal;
//   - a holding is seen again after its acknowledged release, or after a newer one was seen;
//   - a holding is seen again after an answer said that it is over;
//   - a try is refused though nobody can have held the resource;
//   - a holding changes its owner.
// A request without an answer may have happened or not, until its server's life was over.
//
// The holdings of a resource are put in order by their tokens, which are unique. Each has a time until which it cannot
// have ended and a time from which it surely has; every answer is compared with those.
enum class LostKeepAlive {
  is_gone,      // a keepalive that is answered 204 says that the lease is over
  is_doubtful,  // or that the server can't promise it any longer, as while etcd is away: but only once its ttl has
                // passed since its last grant or renewal through that server (each client keeps to one)
};
std::vector<std::string> violations_in(const History& history, LostKeepAlive lost = LostKeepAlive::is_gone);

}  // namespace sharedlock::test
