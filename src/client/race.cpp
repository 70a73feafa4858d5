#include "client/race.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace sharedlock::client {

namespace {

constexpr std::chrono::milliseconds kBesideAfter{250};

std::string text_of(const Addresses::Address& address) {
  return address.is_v6() ? '[' + address.to_string() + ']' : address.to_string();
}

// The attempts of one race. They end later than the race does: so they are shared.
class Attempts : public std::enable_shared_from_this<Attempts> {
 public:
  Attempts(Executor executor, AsyncEvent& ended) : executor_(executor), ended_(&ended) {}

  // Not after the race is over.
  void begin(const Tcp::endpoint& place) {
    auto socket = std::make_shared<PlainSocket>(executor_);
    sockets_.push_back(socket);
    ++pending_;
    socket->async_connect(
        place, [self = shared_from_this(), socket](boost::system::error_code failed) { self->end(socket, failed); });
  }
  // Nothing is reported any more.
  void over() {
    boost::system::error_code ignored;
    ended_ = nullptr;
    for (auto& socket : std::exchange(sockets_, {})) socket->close(ignored);
  }

  std::size_t pending() const { return pending_; }
  PlainSocket* winner() { return winner_.get(); }
  const boost::system::error_code& failed() const { return failed_; }

 private:
  void end(const std::shared_ptr<PlainSocket>& socket, boost::system::error_code failed) {
    --pending_;
    if (!ended_) return;
    if (failed) failed_ = failed;
    if (!failed && !winner_) {
      winner_ = socket;
      std::erase(sockets_, socket);
    }
    ended_->raise();
  }

  const Executor executor_;
  AsyncEvent* ended_;
  std::vector<std::shared_ptr<PlainSocket>> sockets_;
  std::shared_ptr<PlainSocket> winner_;
  std::size_t pending_ = 0;
  boost::system::error_code failed_;  // the last one
};

// One race: registers for lookups while it lasts, and ends its attempts, whichever way it is left.
class Course {
 public:
  Course(Connection& connection, Lookup& lookup)
      : attempts(std::make_shared<Attempts>(connection.lowest().get_executor(), connection.progress)),
        connection_(connection),
        lookup_(lookup) {
    lookup_.tell(connection_.progress);
  }
  Course(const Course&) = delete;
  Course& operator=(const Course&) = delete;
  ~Course() {
    lookup_.tell_no_more(connection_.progress);
    attempts->over();
  }

  // Begins with an untried address, if it is time. Returns until when only signals can require action.
  TimePoint go_on(const Addresses::View& view, std::uint16_t port, Progress& progress) {
    TimePoint now = BootClock::now();
    auto untried = std::ranges::find_if(
        view.usable, [this](const auto& address) { return std::ranges::find(tried_, address) == tried_.end(); });
    bool none = untried == view.usable.end();
    if (!none && (attempts->pending() == 0 || now >= beside_at_)) {
      progress.step = Progress::Step::connect;
      progress.tried.append(progress.tried.empty() ? "" : ", ").append(text_of(*untried));
      tried_.push_back(*untried);
      attempts->begin(Tcp::endpoint(*untried, port));
      beside_at_ = now + kBesideAfter;
      return beside_at_;
    }
    TimePoint until = none ? TimePoint::max() : beside_at_;
    return std::min(until, view.again_at.value_or(TimePoint::max()));
  }
  bool has_failed(const Addresses::View& view) const {
    return attempts->pending() == 0 && !view.open && !view.again_at && tried_.size() >= view.usable.size();
  }
  std::string why(const Addresses::View& view, const Progress& progress) const {
    if (tried_.empty()) return "looking up its name: " + view.error;
    return "connecting to " + progress.tried + ": " + attempts->failed().message();
  }

  const std::shared_ptr<Attempts> attempts;

 private:
  Connection& connection_;
  Lookup& lookup_;
  std::vector<Addresses::Address> tried_;
  TimePoint beside_at_;
};

}  // namespace

Task<std::string> race(Connection* connection, Lookup* lookup, std::uint16_t port, Progress* progress) {
  Course course(*connection, *lookup);
  lookup->ask();
  for (;;) {
    if (connection->aborted()) co_return "it was given up";
    if (PlainSocket* winner = course.attempts->winner()) {
      boost::system::error_code gone;
      bool is_v6 = winner->remote_endpoint(gone).address().is_v6();
      lookup->connected(is_v6 ? Family::v6 : Family::v4);
      connection->lowest() = std::move(*winner);
      co_return std::string();
    }
    auto view = lookup->look();
    if (course.has_failed(view)) co_return course.why(view, *progress);
    TimePoint until = course.go_on(view, port, *progress);
    auto left = std::chrono::ceil<std::chrono::milliseconds>(until - BootClock::now());
    auto longest = std::clamp<std::chrono::milliseconds>(left, std::chrono::milliseconds(0), std::chrono::hours(1));
    co_await connection->progress.wait(longest);
  }
}

}  // namespace sharedlock::client
