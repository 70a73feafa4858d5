#pragma once

#include <string>
#include <vector>

#include "history/history.h"

namespace sharedlock::test {

// What an answer 204 to a keepalive means.
enum class LostKeepAlive {
  is_gone,      // that the lease is over
  is_doubtful,  // or that the server can't promise it any longer, as while etcd is away: but only once its ttl has
                // passed since its last grant or renewal through that server
};

// What happened in a history and must never happen, a sentence each; empty when all is well. Only what is certain is
// reported, whatever became of requests without an answer.
//
// A client *believes* to hold a resource from the answer to its acquire until its own release or next acquire is sent,
// else for the ttl of its latest renewal counted from the sending of that one, or for what it asked of a renewal that
// was not answered, if that is less. It is reported when
//   - a client believes to hold what another one provably held by then (so two beliefs never overlap), or what is
//     provably free: it was lost, or two hold it;
//   - a holder is refused though it holds the lock (except a renewal that may be past the expiry by the clock of one
//     server, though another server would do it);
//   - a holding is seen again after its acknowledged release, after an answer said that it is over, or after a newer
//     one had provably begun (so tokens of a resource grow in the order of its holdings);
//   - a try is refused though nobody can have held the resource: neither a client that was told so, nor a try without
//     an answer that may yet happen, or may have happened and not be over. Not judged once a client has waited in a
//     queue: a queue entry refuses others, and may outlive its request;
//   - a lease id is given twice, or a fencing token is for one resource (a batch has one token for several);
//   - a token is answered to a try that was sent after this or a higher one was answered;
//   - a holding changes its owner.
//
// When a holding provably had begun: tokens are revisions of the store, the same row of numbers for all its resources.
// So all tokens up to one that was answered had been given by then.
std::vector<std::string> violations_in(const History& history, LostKeepAlive lost = LostKeepAlive::is_gone);

}  // namespace sharedlock::test
