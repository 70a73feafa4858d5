#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "lock/decided.h"
#include "store/lease_store.h"

namespace sharedlock {

// One request that changes a lock, or a set of locks together: from what was decided and what the store answered it
// says what comes next. The service looks, decides and commits accordingly. Pure: no clock, no store, no thread.
class CommitAttempt {
 public:
  // How it begins: with a look; with the guess that nothing stands there; or with what we wrote there last, if we know
  // it.
  enum class First { look, guess, recall };

  enum class Next {
    look,           // at what stands there now, then decide
    decide,         // on what is known to stand there now
    ask_end,        // of the leases that decisions depend on, then decide again
    commit,         // what was decided
    check_promise,  // it has happened: done if the locks live for as long as it promises, else fail
    done,           // what was decided is the answer
    fail,           // with failure(), or the error that has just come
  };

  // A commit that loses its race is repeated `retries` times. `guesses`: the first decision rests on no look, and to
  // lose the race with it costs no retry.
  CommitAttempt(int retries, bool guesses) : guesses_(guesses), retries_left_(retries), spared_(retries + 1) {}

  // Whether no race was lost yet after such a beginning.
  bool guesses() const { return guesses_; }

  // What was decided about each lock. `first`: what stands under the first one, as it was seen last. Answers ask_end,
  // commit, done or fail.
  Next decided(std::span<const Decided> all, const std::optional<Entry>& first) const;

  // The lease that was asked about has ended, so what was decided on stands there no more. Answers look or fail.
  Next lease_had_ended();

  // The commit got a Conflict, and the next decision goes by that.
  void lost_race();

  // The commit got an error. Answers look, where it may have happened: that look must be durable. Else fail.
  Next commit_failed(Error why);

  // That look has found `stand`. `may_happen_at`: while the first lock has this revision the commit may happen even
  // later, unless its error rules that out; kAbsent: at any time, since a lock that is held will be free; nothing: at
  // no time. Answers check_promise or decide.
  Next looked(std::span<const Decided> tried, std::span<const std::optional<Entry>> stand,
              std::optional<Revision> may_happen_at);

  // What to answer where the request can't go on: once a commit had no answer, that one's error, which leaves the
  // outcome unknown.
  Error failure(Error otherwise = ran_out_of_retries()) const { return unanswered_.value_or(std::move(otherwise)); }

 private:
  bool may_happen_later(const std::optional<Entry>& first) const;

  bool guesses_;
  int retries_left_;
  int spared_;                           // unanswered tries lost no race: so many cost no retry
  std::optional<Error> unanswered_;      // why the last try that may have happened had no answer
  std::vector<Revision> may_happen_at_;  // of unanswered tries, see looked()
  std::optional<Revision> added_to_;     // by an unanswered try, which may be part of what stands there now
};

}  // namespace sharedlock
