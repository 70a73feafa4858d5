#pragma once

#include "base/result.h"

// What became of a write that was meant for etcd, and what follows from that for a batch of them. Nothing may take an
// `unknown_may_still_happen` for anything else (R6): such a write takes a lock for nobody, long after its release.
// Pure.
namespace sharedlock {

enum class WriteFate {
  not_sent,                  // nothing of it reached etcd
  refused,                   // etcd answered, and did nothing
  done,                      // etcd carried it out; which of its branches was taken, the answer says
  unknown_may_still_happen,  // an attempt had no answer: it may have been done, and may yet be done at any time
  unknown_but_over,          // likewise, but it can't be done any more: what stands in etcd now tells whether it was
};

constexpr bool is_unknown(WriteFate fate) {
  return fate == WriteFate::unknown_may_still_happen || fate == WriteFate::unknown_but_over;
}

// How one call to etcd ended, with all its attempts.
struct WriteCall {
  enum class Reply {
    none,     // no answer of use
    error,    // etcd's own error, about this very request
    carried,  // the transaction was carried out
  };

  Reply reply = Reply::none;
  bool unanswered = false;  // an attempt had no answer, or one that leaves open whether it was done
};

// As far as the call alone tells.
WriteFate fate_of(WriteCall call);

// Of a write that was tried before: one try that may still be carried out outweighs all others.
WriteFate both(WriteFate before, WriteFate last);

// Where nobody has seen to it that what had no answer is over.
WriteFate perhaps_not_over(WriteFate fate);

// What the caller of a write with that fate is told: `unavailable`, it may yet be done; `unanswered`, it is over. What
// says that nothing was done (lease_not_found, ...) stays as it is, unless another try may have done it.
Error with_fate(Error error, WriteFate fate);

// The tries of one write, or of one batch, within epochs (EtcdEpoch): from what each call came to it says what to do
// next, and what the fate of all of them is. Not thread-safe.
class WriteTries {
 public:
  enum class Next {
    tell,           // callers are told what the last call said, and fate()
    next_epoch,     // the epoch was over before the call, so it did nothing: to be sent again in the next one
    end_epoch,      // what was sent may still be carried out: to be ended by ending the epoch, then told
    each_alone,     // one write may have spoilt the batch: each of it is to be sent again, alone
    without_epoch,  // no epoch can be begun: to be sent again as it is
  };

  // `before`: what its earlier tries came to.
  explicit WriteTries(WriteFate before) : before_(before) {}

  // It was sent in an epoch; `epoch_was_over`: as the answer shows. Returns tell, next_epoch or end_epoch.
  Next called(WriteCall call, bool epoch_was_over);

  // After end_epoch. False: that could not be had in time.
  void epoch_ended(bool ended);

  // etcd has forgotten something (R32): no answer is believed, so what was done, or may have been, may still happen.
  void disbelieve();

  WriteFate fate() const { return both(before_, last_); }

  // When all is called and ended. `lacks_space`: etcd's quota is used up (R18). `repeatable`: sending it twice does
  // nothing twice.
  Next after_batch(bool lacks_space) const;
  Next after_one(bool lacks_space, bool repeatable) const;

 private:
  WriteFate before_;
  WriteFate last_ = WriteFate::not_sent;
  WriteCall::Reply reply_ = WriteCall::Reply::none;  // to the last call, unless it is as if it had not been made
};

}  // namespace sharedlock
