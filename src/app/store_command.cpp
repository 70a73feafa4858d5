#include "app/store_command.h"

#include <cstdio>
#include <utility>

#include "app/etcd_settings.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/etcd/etcd_store.h"

namespace sharedlock {

namespace {

int failed(const Error& error) {
  std::fprintf(stderr, "shared-lock: %s\n", error.message.c_str());
  return error.code == Errc::invalid_argument ? 2 : 1;
}

}  // namespace

int accept_loss(const config::LoadedSettings& loaded) {
  if (loaded.settings.storage_type != config::StorageType::etcd) {
    std::fputs("shared-lock: only what etcd holds can be accepted, and the store is another one\n", stderr);
    return 2;
  }
  auto options = etcd_options(loaded);
  if (!options) return failed(options.error());
  SystemClock clock;
  Log log(loaded.settings.log_level);
  auto mark = accept_etcd_loss(*std::move(options), clock, log);
  if (!mark) return failed(mark.error());
  if (*mark) {
    std::printf("accepted; etcd was marked: %s\n", (*mark)->c_str());
  } else {
    std::puts("accepted; etcd was not marked");
  }
  return 0;
}

}  // namespace sharedlock
