#pragma once

#include "base/result.h"

// The known outcome of a write meant for etcd, and what follows from it for a batch of them. An
// `unknown_may_still_happen` must not be taken for anything else (R6): such a write can take a lock for nobody, long
// after its release. Pure.
namespace sharedlock {

enum class WriteFate {
  not_sent,                  // nothing of it reached etcd
  refused,                   // etcd answered, and did nothing
  done,                      // etcd carried it out; the answer says which of its branches was taken
  unknown_may_still_happen,  // an attempt had no answer: it may have been done, and may yet be done at any time
  unknown_but_over,          // likewise, but it can't be done any more: a read of etcd now tells whether it was
};

constexpr bool is_unknown(WriteFate fate) {
  return fate == WriteFate::unknown_may_still_happen || fate == WriteFate::unknown_but_over;
}

// How one call to etcd ended, with all its attempts.
struct WriteCall {
  enum class Reply {
    none,     // no usable answer
    error,    // etcd's own error, about this very request
    carried,  // the transaction was carried out
  };

  Reply reply = Reply::none;
  bool unanswered = false;  // an attempt had no answer, or one that leaves open whether it was done
};

// According to the call alone.
WriteFate fate_of(WriteCall call);

// Of a write that was tried before: one try that may still be carried out outweighs all others.
WriteFate both(WriteFate before, WriteFate last);

// If nothing has ensured that unanswered attempts are over.
WriteFate perhaps_not_over(WriteFate fate);

// The error for the caller of a write with that fate: `unavailable`, it may still be done; `unanswered`, it is over.
// Errors that say that nothing was done (lease_not_found, ...) stay, unless another try may have done it.
Error with_fate(Error error, WriteFate fate);

// The tries of one write, or of one batch, within epochs (EtcdEpoch): from the result of each call it decides the next
// step, and the fate of all of them. Not thread-safe.
class WriteTries {
 public:
  enum class Next {
    tell,           // callers get the last call's answer, and fate()
    next_epoch,     // the epoch was over before the call, so it did nothing: send it again in the next one
    end_epoch,      // it may still be carried out: end it by ending the epoch, then tell
    each_alone,     // one write may have spoilt the batch: send each again, alone
    without_epoch,  // no epoch can be begun: send it again as it is
  };

  // `before`: the result of its earlier tries.
  explicit WriteTries(WriteFate before) : before_(before) {}

  // It was sent in an epoch; `epoch_was_over`: according to the answer. Returns tell, next_epoch or end_epoch.
  Next called(WriteCall call, bool epoch_was_over);

  // After end_epoch. False: the epoch could not be ended in time.
  void epoch_ended(bool ended);

  // etcd has forgotten something (R32): no answer is believed, so anything done, or possibly done, may still happen.
  void disbelieve();

  WriteFate fate() const { return both(before_, last_); }

  // When all calls have ended. `lacks_space`: etcd's quota is used up (R18). `repeatable`: sending it twice does not
  // apply it twice.
  Next after_batch(bool lacks_space) const;
  Next after_one(bool lacks_space, bool repeatable) const;

 private:
  WriteFate before_;
  WriteFate last_ = WriteFate::not_sent;
  WriteCall::Reply reply_ = WriteCall::Reply::none;  // to the last call; none if that call is disregarded
};

}  // namespace sharedlock
