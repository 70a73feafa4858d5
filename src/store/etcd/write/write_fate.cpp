#include "store/etcd/write/write_fate.h"

namespace sharedlock {

WriteFate fate_of(WriteCall call) {
  if (call.unanswered) return WriteFate::unknown_may_still_happen;
  switch (call.reply) {
    case WriteCall::Reply::none:
      return WriteFate::not_sent;
    case WriteCall::Reply::error:
      return WriteFate::refused;
    case WriteCall::Reply::carried:
      return WriteFate::done;
  }
  return WriteFate::unknown_may_still_happen;
}

WriteFate both(WriteFate before, WriteFate last) {
  for (WriteFate unknown : {WriteFate::unknown_may_still_happen, WriteFate::unknown_but_over}) {
    if (before == unknown || last == unknown) return unknown;
  }
  return last;
}

WriteFate perhaps_not_over(WriteFate fate) {
  return is_unknown(fate) ? WriteFate::unknown_may_still_happen : fate;
}

Error with_fate(Error error, WriteFate fate) {
  bool may_still_happen = fate == WriteFate::unknown_may_still_happen;
  if (is_unknown(fate) || outcome_unknown(error.code)) {
    error.code = may_still_happen ? Errc::unavailable : Errc::unanswered;
  }
  return error;
}

WriteTries::Next WriteTries::called(WriteCall call, bool epoch_was_over) {
  before_ = fate();
  if (epoch_was_over) {
    // Nor can any attempt of it be carried out later.
    last_ = call.unanswered ? WriteFate::unknown_but_over : WriteFate::refused;
    reply_ = WriteCall::Reply::none;
    return Next::next_epoch;
  }
  last_ = fate_of(call);
  reply_ = call.reply;
  return last_ == WriteFate::unknown_may_still_happen ? Next::end_epoch : Next::tell;
}

// The end of another epoch proves nothing about earlier requests.
void WriteTries::epoch_ended(bool ended) {
  if (ended && last_ == WriteFate::unknown_may_still_happen) last_ = WriteFate::unknown_but_over;
}

void WriteTries::disbelieve() {
  bool perhaps_done = last_ == WriteFate::done || is_unknown(fate());
  if (perhaps_done) last_ = WriteFate::unknown_may_still_happen;
  reply_ = WriteCall::Reply::none;
}

WriteTries::Next WriteTries::after_batch(bool lacks_space) const {
  bool carried = reply_ == WriteCall::Reply::carried;
  // One request with an ended lease fails the whole batch; and without space no epoch can be begun.
  bool spoilt = !carried && (reply_ == WriteCall::Reply::error || lacks_space);
  return spoilt ? Next::each_alone : Next::tell;
}

WriteTries::Next WriteTries::after_one(bool lacks_space, bool repeatable) const {
  bool no_epoch = reply_ == WriteCall::Reply::none && lacks_space;
  bool may_be_sent = repeatable || !is_unknown(fate());
  return no_epoch && may_be_sent ? Next::without_epoch : Next::tell;
}

}  // namespace sharedlock
