#include "store/etcd/token_base.h"

#include <charconv>
#include <string>

#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/messages_grpc.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

pb::TxnRequest put_if_absent(std::int64_t value) {
  pb::TxnRequest request;
  pb::Compare& absent = *request.add_compare();
  absent.set_key(kTokenBaseKey);
  absent.set_target(pb::Compare::CREATE);
  absent.set_create_revision(0);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(kTokenBaseKey);
  put.set_value(std::to_string(value));
  return request;
}

}  // namespace

std::optional<std::int64_t> parse_token_base(std::string_view text) {
  std::int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

EtcdTokenBase::EtcdTokenBase(EtcdClient& client, std::optional<std::int64_t> wanted)
    : client_(client), wanted_(wanted), reading_(client.clock()) {}

Task<Result<void>> EtcdTokenBase::known(Deadline deadline) {
  if (known_) co_return Result<void>();
  auto work = [this, deadline] { return read(deadline); };
  auto known = co_await reading_.join(work, deadline);
  co_return known ? *std::move(known) : client_.unreachable();
}

Task<Result<void>> EtcdTokenBase::read(Deadline deadline) {
  auto found = co_await client_.range(range_of_key(kTokenBaseKey), deadline);
  if (found && found->kvs_size() == 0) {
    auto written = co_await client_.txn(put_if_absent(wanted_.value_or(0)), true, deadline);
    if (!written.result) co_return Error{Errc::unavailable, written.result.error().message};
    found = co_await client_.range(range_of_key(kTokenBaseKey), deadline);
  }
  if (!found) co_return Error{Errc::unavailable, found.error().message};
  if (found->kvs_size() == 0) co_return Error{Errc::unavailable, std::string(kTokenBaseKey) + " was deleted in etcd"};
  co_return take(found->kvs(0).value(), Revision{found->header().revision()});
}

Result<void> EtcdTokenBase::take(const std::string& text, Revision as_of) {
  auto stands = parse_token_base(text);
  if (!stands) {
    return Error{Errc::unavailable, std::string(kTokenBaseKey) + " in etcd is not a number"};
  }
  if (wanted_ && *wanted_ > *stands) {
    return Error{Errc::unavailable, "the base of fencing tokens is set to " + std::to_string(*wanted_) + ", but " +
                                        kTokenBaseKey + " in etcd says " + text +
                                        ", which is less; no tokens may fall"};
  }
  value_ = *stands;
  {
    std::scoped_lock lock(mutex_);
    text_ = text;
  }
  known_at_ = as_of;
  known_ = true;
  return {};
}

std::string EtcdTokenBase::text() const {
  std::scoped_lock lock(mutex_);
  return text_;
}

// The base was present at the revision of the read: older answers show nothing.
EtcdTokenBase::Change EtcdTokenBase::change(const std::optional<std::string>& stands, Revision as_of) {
  if (!known_) return Change::none;
  std::scoped_lock lock(mutex_);
  if (as_of <= known_at_.load()) return Change::none;
  auto number = stands ? parse_token_base(*stands) : std::nullopt;
  if (number != value()) return number && *number > value() ? Change::raised : Change::lost;
  if (*stands != text_) {
    text_ = *stands;
    known_at_ = as_of;
  }
  return Change::none;
}

}  // namespace sharedlock
