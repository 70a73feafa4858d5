#include "store/etcd/lease/keepalive.h"

#include <boost/asio/post.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "base/async_event.h"
#include "base/waiting.h"
#include "store/etcd/lease/keepalive_slots.h"
#include "store/etcd/rpc/error_class.h"
#include "store/etcd/rpc/stream_grpc.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

// Renewing a lease that has just expired delays the others behind it on its stream, so there are several streams.
constexpr std::size_t kLanes = 4;
// How long a stream may leave a request unanswered, unless answers are known to be slow.
constexpr std::chrono::nanoseconds kLongestAnswer = std::chrono::seconds(1);
// How often deadlines are checked; how long a lane rests after a failed stream.
constexpr std::chrono::milliseconds kTick{50};

constexpr int kDeadlineExceeded = 4;  // gRPC's code

using Answer = Result<EtcdKeepalive::Renewal>;
using Stream = EtcdStream<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>;

}  // namespace

// A succession of streams, and the requests on them. Everything in it runs on one executor.
class EtcdKeepalive::Lane {
 public:
  Lane(EtcdConnections& connections, Executor executor, TaskGroup& tasks)
      : connections_(connections), executor_(executor), tasks_(tasks), wake_(executor), watchdog_(executor) {}

  void begin() {
    tasks_.spawn(executor_, run());
    tasks_.spawn(executor_, watch_deadlines());
  }

  void ask(LeaseId id, Waiting<Answer> waiting, Deadline deadline) {
    if (stopping_) return waiting.resume(Error{Errc::unavailable, "the server ends"});
    slots_.ask(id, std::move(waiting), deadline);
    wake_.raise();
    watchdog_.raise();
  }

  void distrust() {
    if (!stream_) return;
    distrusted_ = true;
    stream_->cancel();
  }

  void stop() {
    stopping_ = true;
    if (stream_) stream_->cancel();
    wake_.raise();
    watchdog_.raise();
  }

 private:
  Task<void> run() {
    while (!stopping_) {
      if (slots_.has_unsent()) {
        co_await serve();
        slots_.stream_ended();
        if (slots_.has_waiters() && !stopping_) co_await rest();
      } else {
        co_await wake_.wait();
      }
    }
    for (auto& waiting : slots_.take_late(BootTime::max())) {
      waiting.resume(Error{Errc::unavailable, "the server ends"});
    }
  }

  Task<void> rest() {
    AsyncEvent over(executor_);
    co_await over.wait(kTick);
  }

  // One stream, from its beginning to its end.
  Task<void> serve() {
    Deadline soon{connections_.clock().boot_now() + kLongestAnswer};
    auto used = co_await connections_.use(soon);
    if (!used || stopping_) co_return;
    EtcdMember& member = **used;
    auto generation = connections_.token_generation();
    stream_ = std::make_shared<Stream>(connections_);
    started_at_ = connections_.clock().boot_now();
    auto call = member.lease.PrepareAsyncLeaseKeepAlive(&stream_->context, &connections_.completions().queue());
    bool started = co_await stream_->start(std::move(call));
    if (started) {
      reading_ = true;
      tasks_.spawn(executor_, read_answers(&member));
      co_await send_requests();
    }
    auto failure = co_await stream_->finish();
    stream_.reset();
    if (std::exchange(silent_, false)) {
      failure = EtcdFailure{kDeadlineExceeded, {}};
      be_patient(2 * longest_answer_);
    }
    bool distrusted = std::exchange(distrusted_, false);
    if (distrusted) failure = EtcdFailure{kUnusableAnswer, "it does not know what the others know"};
    if (classify_etcd_error(failure.code, failure.message).next == EtcdErrorClass::Next::renew_token) {
      connections_.renew_token(generation);
    } else if (distrusted || slots_.has_waiters()) {
      connections_.failed(member, failure, kLongestAnswer);
    }
  }

  Task<void> send_requests() {
    while (reading_ && !stopping_) {
      auto id = slots_.send_next(connections_.clock().boot_now());
      if (!id) {
        co_await wake_.wait();
        continue;
      }
      pb::LeaseKeepAliveRequest request;
      request.set_id(number_of(*id));
      bool sent = co_await stream_->write(std::move(request));
      if (!sent) break;
    }
    stream_->cancel();
    while (reading_) co_await wake_.wait();
  }

  void be_patient(std::chrono::nanoseconds span) {
    std::chrono::nanoseconds most = connections_.options().request_timeout / 2;
    longest_answer_ = std::max(kLongestAnswer, std::min(span, most));
  }

  Task<void> read_answers(EtcdMember* member) {
    while (true) {
      pb::LeaseKeepAliveResponse response;
      bool read = co_await stream_->read(&response);
      if (!read || !connections_.is_ours(*member, response.header())) break;
      auto answered = slots_.answered(LeaseId{response.id()});
      if (!answered) continue;
      connections_.worked(*member);
      be_patient(2 * (connections_.clock().boot_now() - answered->sent));
      Renewal renewal{Ttl(std::max<std::int64_t>(response.ttl(), 0)), answered->sent, response.header().raft_term()};
      for (auto& waiting : answered->waiters) waiting.resume(renewal);
    }
    reading_ = false;
    wake_.raise();
  }

  // Ends the waits that have reached their deadlines, and a stream that leaves a request unanswered.
  Task<void> watch_deadlines() {
    while (!stopping_) {
      co_await watchdog_.wait(slots_.has_waiters() ? kTick : std::chrono::hours(24));
      BootTime now = connections_.clock().boot_now();
      for (auto& waiting : slots_.take_late(now)) {
        waiting.resume(connections_.unreachable(Errc::deadline_exceeded));
      }
      auto oldest = slots_.oldest_sent();
      bool silent = oldest ? *oldest + longest_answer_ <= now : !reading_ && started_at_ + longest_answer_ <= now;
      if (!stream_ || !silent) continue;
      silent_ = true;
      stream_->cancel();
    }
  }

  EtcdConnections& connections_;
  Executor executor_;
  TaskGroup& tasks_;
  KeepaliveSlots<Waiting<Answer>> slots_;
  AsyncEvent wake_;      // for run()
  AsyncEvent watchdog_;  // for watch_deadlines()
  std::shared_ptr<Stream> stream_;
  BootTime started_at_;
  std::chrono::nanoseconds longest_answer_ = kLongestAnswer;
  bool reading_ = false;
  bool silent_ = false;  // the stream was given up because it left a request unanswered
  bool distrusted_ = false;
  bool stopping_ = false;
};

EtcdKeepalive::EtcdKeepalive(EtcdConnections& connections, Executor executor, TaskGroup& tasks)
    : connections_(connections), executor_(executor) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    lanes_.push_back(std::make_unique<Lane>(connections, executor, tasks));
    lanes_.back()->begin();
  }
}

EtcdKeepalive::~EtcdKeepalive() = default;

Task<Result<EtcdKeepalive::Renewal>> EtcdKeepalive::renew(LeaseId id, Deadline deadline) {
  Lane* lane = lane_of(id);
  deadline.at = std::min(deadline.at, connections_.clock().boot_now() + connections_.options().request_timeout);
  auto ask = [this, lane, id, deadline](Waiting<Answer> waiting) {
    auto on_lane = [lane, id, deadline, waiting = std::move(waiting)]() mutable {
      lane->ask(id, std::move(waiting), deadline);
    };
    asio::post(executor_, std::move(on_lane));
  };
  co_return co_await wait_on<Answer>(ask);
}

void EtcdKeepalive::distrust(LeaseId id) {
  asio::post(executor_, [lane = lane_of(id)] { lane->distrust(); });
}

EtcdKeepalive::Lane* EtcdKeepalive::lane_of(LeaseId id) const {
  return lanes_[std::hash<std::int64_t>()(number_of(id)) % kLanes].get();
}

void EtcdKeepalive::stop() {
  for (auto& lane : lanes_) {
    asio::post(executor_, [one = lane.get()] { one->stop(); });
  }
}

}  // namespace sharedlock
