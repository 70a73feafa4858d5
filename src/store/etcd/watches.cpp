#include "store/etcd/watches.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>
#include <vector>

#include "base/async_event.h"
#include "store/etcd/rpc/client.h"
#include "store/etcd/rpc/error_class.h"
#include "store/etcd/rpc/messages_grpc.h"
#include "store/etcd/rpc/stream_grpc.h"
#include "store/etcd/token_base.h"
#include "store/watch_hub.h"

namespace sharedlock {

namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::seconds kSignOfLife{1};   // how often one is requested
constexpr std::chrono::seconds kDeaf{3};         // after so long without one, a stream is given up
constexpr std::chrono::milliseconds kRest{100};  // between two streams
constexpr std::chrono::milliseconds kRestAfterRefusal{2000};
// etcd before 3.4.25 and 3.5.8 may report its revision on a stream before it has sent the changes that it is behind
// with, which it does every 100 ms.
constexpr std::chrono::milliseconds kCatchingUp{300};
constexpr std::int64_t kPage = 10'000;  // entries per read of a snapshot

using Stream = EtcdStream<pb::WatchRequest, pb::WatchResponse>;

template <class T>
Task<void> keep_result(Task<T> task, std::optional<T>* result) {
  result->emplace(co_await std::move(task));
}

// Runs a task to its end on the calling thread, which must not be an I/O thread.
template <class T>
T run_here(Task<T> task) {
  asio::io_context context(1);
  std::optional<T> result;
  std::exception_ptr escaped;
  spawn(context.get_executor(), keep_result(std::move(task), &result),
        [&](std::exception_ptr exception) { escaped = exception; });
  context.run();
  if (escaped) std::rethrow_exception(escaped);
  return *std::move(result);
}

// The changes of one answer, in batches by revision; nothing when etcd no longer has the previous value of an entry.
std::optional<std::vector<ChangeBatch>> to_batches(pb::WatchResponse& response) {
  std::vector<ChangeBatch> batches;
  for (pb::Event& event : *response.mutable_events()) {
    Revision revision{event.kv().mod_revision()};
    if (batches.empty() || batches.back().revision != revision) batches.push_back({revision, {}});
    Change change{.key = event.kv().key(), .now = std::nullopt, .previous = std::nullopt};
    bool put = event.type() == pb::Event::PUT;
    bool had_previous = !put || event.kv().create_revision() != event.kv().mod_revision();
    if (had_previous && !event.has_prev_kv()) return std::nullopt;
    if (had_previous && (!put || event.prev_kv().lease() != event.kv().lease())) {
      change.previous = to_entry(*event.mutable_prev_kv());
    }
    if (put) change.now = to_entry(*event.mutable_kv());
    batches.back().changes.push_back(std::move(change));
  }
  return batches;
}

}  // namespace

// The watch of one prefix: its coroutines run on one executor; its hub calls the watchers on a separate thread.
class EtcdWatches::PrefixWatch {
 public:
  PrefixWatch(std::string prefix, EtcdWatches& all)
      : prefix_(std::move(prefix)),
        connections_(all.connections_),
        client_(all.client_),
        executor_(all.executor_),
        tasks_(all.tasks_),
        heard_(connections_.clock().boot_now()),
        wake_(executor_),
        tick_(executor_),
        hub_(Revision{0}, [this](const std::string&) { return take_snapshot(); }) {}

  void begin() { tasks_.spawn(executor_, run()); }

  Subscription subscribe(std::optional<Revision> after, WatchHandler handler, WatchHub::Snapshots snapshots) {
    return hub_.subscribe(prefix_, after, std::move(handler), snapshots);
  }

  BootTime heard() const { return heard_; }
  bool is_current() const { return connections_.clock().boot_now() - current_at_.load() <= kDeaf; }

  // On the executor.
  void stop() {
    stopping_ = true;
    streaming_ = false;
    if (stream_) stream_->cancel();
    wake_.raise();
    tick_.raise();
  }

 private:
  Task<void> run() {
    hub_.live(false);
    while (!stopping_) {
      if (!told_) co_await begin_history();
      if (told_ && !stopping_) co_await follow();
      streaming_ = false;
      doubt();
      if (!stopping_) co_await wake_.wait(std::exchange(rest_, kRest));
    }
  }

  // Every change from here on is delivered; earlier ones are in the snapshots, which are taken later.
  Task<void> begin_history() {
    Deadline soon{connections_.clock().boot_now() + kDeaf};
    pb::RangeRequest request = range_of_prefix(prefix_);
    request.set_limit(1);
    request.set_keys_only(true);
    auto found = co_await client_.range(std::move(request), soon);
    if (!found) co_return;
    told_ = Revision{found->header().revision()};
    hub_.publish(*told_, {});
  }

  // One stream, from its beginning to its end.
  Task<void> follow() {
    Deadline soon{connections_.clock().boot_now() + kSignOfLife};
    auto used = co_await connections_.use(soon);
    if (!used || stopping_) co_return;
    EtcdMember& member = **used;
    auto generation = connections_.token_generation();
    stream_ = std::make_shared<Stream>(connections_);
    created_ = false;
    to_reach_.reset();
    heard_ = connections_.clock().boot_now();
    ticking_ = true;
    reading_ = true;
    auto call = member.watch.PrepareAsyncWatch(&stream_->context, &connections_.completions().queue());
    tasks_.spawn(executor_, ask_for_signs_of_life());
    bool going = co_await stream_->start(std::move(call));
    if (going) going = co_await stream_->write(creation());
    while (going) {
      pb::WatchResponse response;
      going = co_await stream_->read(&response);
      if (going) going = connections_.is_ours(member, response.header()) && take(response);
    }
    stream_->cancel();
    reading_ = false;
    tick_.raise();
    while (ticking_) co_await wake_.wait();
    auto failure = co_await stream_->finish();
    stream_.reset();
    ended(member, failure, generation);
  }

  void ended(EtcdMember& member, const EtcdFailure& failure, std::uint64_t generation) {
    bool deaf = std::exchange(deaf_, false);
    if (stopping_ || failure.code == 0 || (failure.code == grpc_code::kCancelled && !deaf)) return;
    if (classify_etcd_error(failure.code, failure.message).next == EtcdErrorClass::Next::renew_token) {
      connections_.renew_token(generation);
    } else {
      connections_.failed(member, failure, kSignOfLife);
    }
  }

  pb::WatchRequest creation() const {
    pb::WatchRequest request;
    pb::WatchCreateRequest& create = *request.mutable_create_request();
    pb::RangeRequest range = range_of_prefix(prefix_);
    create.set_key(range.key());
    create.set_range_end(range.range_end());
    create.set_start_revision(number_of(*told_) + 1);
    create.set_progress_notify(true);
    create.set_prev_kv(true);
    return request;
  }

  // False: the stream is no longer usable.
  bool take(pb::WatchResponse& response) {
    BootTime now = connections_.clock().boot_now();
    heard_ = now;
    if (response.canceled()) {
      if (response.compact_revision() > 0) {
        told_.reset();
      } else {
        refused(response.cancel_reason());
      }
      return false;
    }
    if (response.created()) {
      created_ = true;
      streaming_ = true;
      hub_.look_again();
      tick_.raise();
    } else if (response.events_size() > 0) {
      return publish(response);
    } else if (to_reach_ && now - to_reach_->asked >= kCatchingUp) {
      reached(Revision{response.header().revision()});
      hub_.look_again();
    }
    return true;
  }

  // etcd before 3.5 reports an expired token as a lack of permission, so try a new one; seldom, since each costs it
  // much.
  void refused(const std::string& reason) {
    connections_.renew_token(connections_.token_generation());
    connections_.log().write(LogLevel::warn, "etcd refuses a watch", {{"prefix", prefix_}, {"error", reason}});
    rest_ = kRestAfterRefusal;
  }

  bool publish(pb::WatchResponse& response) {
    auto batches = to_batches(response);
    if (!batches) {
      told_.reset();
      return false;
    }
    for (ChangeBatch& batch : *batches) {
      told_ = batch.revision;
      hub_.publish(batch.revision, std::move(batch.changes));
    }
    reached(*told_);
    return true;
  }

  // Everything up to here was delivered. It is live when that is as far as the cluster was a short time ago: a member
  // that is cut off from the others, or behind them, creates streams and shows signs of life too.
  void reached(Revision revision) {
    if (!to_reach_ || revision < to_reach_->revision) return;
    current_at_ = to_reach_->asked;
    to_reach_.reset();
    if (!std::exchange(live_, true)) hub_.live(true);
  }

  void doubt() {
    current_at_ = BootTime{};
    if (std::exchange(live_, false)) hub_.live(false);
  }
  void doubt_what_is_old() {
    if (connections_.clock().boot_now() - current_at_.load() > kDeaf) doubt();
  }

  // How far the cluster is: by a linearizable read, since only a majority knows.
  Task<void> learn_revision() {
    BootTime now = connections_.clock().boot_now();
    Deadline soon{now + kSignOfLife};
    pb::RangeRequest request = range_of_key(kTokenBaseKey);
    request.set_count_only(true);
    auto found = co_await client_.range(std::move(request), soon);
    if (found) to_reach_ = ToReach{Revision{found->header().revision()}, now};
  }

  Task<void> ask_for_signs_of_life() {
    auto stream = stream_;
    while (!stopping_) {
      co_await tick_.wait(kSignOfLife);
      if (stopping_ || !reading_) break;
      doubt_what_is_old();
      deaf_ = connections_.clock().boot_now() - heard_.load() > kDeaf;
      if (deaf_) break;
      if (!created_) continue;
      co_await learn_revision();
      co_await tick_.wait(kCatchingUp);
      if (stopping_ || !reading_) break;
      doubt_what_is_old();
      pb::WatchRequest request;
      request.mutable_progress_request();
      bool written = co_await stream->write(std::move(request));
      if (!written) break;
    }
    stream->cancel();
    ticking_ = false;
    wake_.raise();
  }

  // On the hub's thread.
  std::optional<Snapshot> take_snapshot() {
    if (!streaming_) return std::nullopt;
    return run_here(read_all());
  }

  // Page by page, all as of one revision.
  Task<std::optional<Snapshot>> read_all() {
    Snapshot snapshot{};
    Deadline deadline{connections_.clock().boot_now() + connections_.options().request_timeout};
    while (true) {
      pb::RangeRequest request =
          range_of_prefix(prefix_, snapshot.entries.empty() ? std::string() : snapshot.entries.back().first);
      request.set_limit(kPage);
      request.set_revision(number_of(snapshot.as_of));
      auto page = co_await client_.range(std::move(request), deadline);
      if (!page || !streaming_) co_return std::nullopt;
      if (snapshot.as_of == kAbsent) snapshot.as_of = Revision{page->header().revision()};
      for (pb::KeyValue& kv : *page->mutable_kvs()) snapshot.entries.emplace_back(kv.key(), to_entry(kv));
      if (!page->more()) co_return snapshot;
    }
  }

  struct ToReach {
    Revision revision;
    BootTime asked;
  };

  const std::string prefix_;
  EtcdConnections& connections_;
  EtcdClient& client_;
  Executor executor_;
  TaskGroup& tasks_;
  std::atomic<bool> streaming_ = false;  // changes arrive, so a snapshot taken now will be continued
  std::atomic<BootTime> heard_;          // the last sign of life
  std::optional<Revision> told_;         // everything up to here was published
  bool created_ = false;                 // whether the stream is
  std::optional<ToReach> to_reach_;      // what the stream must deliver, to be live
  std::atomic<BootTime> current_at_{};   // everything up to then has been delivered
  bool live_ = false;
  std::chrono::milliseconds rest_ = kRest;  // before the next stream
  bool reading_ = false;
  bool ticking_ = false;
  bool deaf_ = false;  // the stream was given up because it showed no sign of life
  bool stopping_ = false;
  std::shared_ptr<Stream> stream_;
  AsyncEvent wake_;  // for run()
  AsyncEvent tick_;  // for ask_for_signs_of_life()
  WatchHub hub_;
};

EtcdWatches::EtcdWatches(EtcdConnections& connections, EtcdClient& client, Executor executor, TaskGroup& tasks)
    : connections_(connections), client_(client), executor_(executor), tasks_(tasks) {}

EtcdWatches::~EtcdWatches() = default;

Subscription EtcdWatches::subscribe(std::string prefix, std::optional<Revision> after, WatchHandler handler,
                                    WatchHub::Snapshots snapshots) {
  std::scoped_lock lock(mutex_);
  auto& watch = watches_[prefix];
  if (!watch) {
    watch = std::make_unique<PrefixWatch>(prefix, *this);
    watch->begin();
  }
  return watch->subscribe(after, std::move(handler), snapshots);
}

bool EtcdWatches::is_current(const std::string& prefix) const {
  std::scoped_lock lock(mutex_);
  auto watch = watches_.find(prefix);
  return watch != watches_.end() && watch->second->is_current();
}

bool EtcdWatches::all_heard_within(std::chrono::nanoseconds span) const {
  std::scoped_lock lock(mutex_);
  BootTime now = connections_.clock().boot_now();
  return std::ranges::all_of(watches_, [&](const auto& watch) { return now - watch.second->heard() <= span; });
}

void EtcdWatches::stop() {
  std::scoped_lock lock(mutex_);
  for (auto& [prefix, watch] : watches_) {
    asio::post(executor_, [one = watch.get()] { one->stop(); });
  }
}

}  // namespace sharedlock
