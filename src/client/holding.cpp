#include "client/holding.h"

#include <ctime>
#include <future>
#include <utility>

namespace sharedlock::client {

BootClock::time_point BootClock::now() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

const char* name_of(Errc code) {
  switch (code) {
    case Errc::held_by_another:
      return "held_by_another";
    case Errc::lost:
      return "lost";
    case Errc::unavailable:
      return "unavailable";
    case Errc::refused:
      return "refused";
    case Errc::superseded:
      return "superseded";
  }
  return "?";
}

Failure::Failure(const Error& error)
    : std::runtime_error(std::string(name_of(error.code)) + ": " + error.message), code_(error.code) {}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw Failure(error);
}

Holding::Holding(std::shared_ptr<State> state) : state_(std::move(state)) {}
Holding::Holding(Holding&& other) noexcept = default;
Holding& Holding::operator=(Holding&& other) noexcept = default;
Holding::~Holding() = default;

std::int64_t Holding::token() const {
  return state_->tokens.front();
}
const std::vector<std::int64_t>& Holding::tokens() const {
  return state_->tokens;
}
bool Holding::held() const {
  return state_->keeper->held();
}
BootClock::time_point Holding::safe_until() const {
  return state_->keeper->safe_until();
}
std::stop_token Holding::stop_token() const {
  return state_->keeper->stop_token();
}
void Holding::when_over(std::function<void(bool lost)> done) {
  state_->keeper->when_over(std::move(done));
}

Result<void> Holding::release() {
  state_->engine->refuse_own_thread();
  auto answer = std::make_shared<std::promise<Result<void>>>();
  auto released = answer->get_future();
  Keeper::end(state_->keeper, [answer](Result<void> said) { answer->set_value(std::move(said)); });
  return released.get();
}

const std::string& Lock::namespace_name() const {
  return state().namespace_name;
}
const std::vector<std::string>& Lock::names() const {
  return state().names;
}
std::int64_t Lease::id() const {
  return state().lease;
}

LockOptions::LockOptions() : namespace_name_("default"), ttl_(15), wait_(0) {}
LockOptions& LockOptions::namespace_name(std::string name) {
  namespace_name_ = std::move(name);
  return *this;
}
LockOptions& LockOptions::ttl(std::chrono::seconds span) {
  ttl_ = span;
  return *this;
}
LockOptions& LockOptions::wait(Wait longest) {
  wait_ = longest;
  return *this;
}

LeaseOptions::LeaseOptions() : ttl_(15), wait_(0) {}
LeaseOptions& LeaseOptions::value(std::string text) {
  value_ = std::move(text);
  return *this;
}
LeaseOptions& LeaseOptions::ttl(std::chrono::seconds span) {
  ttl_ = span;
  return *this;
}
LeaseOptions& LeaseOptions::wait(Wait longest) {
  wait_ = longest;
  return *this;
}

}  // namespace sharedlock::client
