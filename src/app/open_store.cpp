#include "app/open_store.h"

#include <filesystem>
#include <string>
#include <utility>

#include "store/embedded_store.h"
#include "store/memory_store.h"
#include "store/rocks_journal.h"

namespace sharedlock {

namespace {

Result<std::unique_ptr<LeaseStore>> open_embedded_store(const std::filesystem::path& directory, Clock& clock,
                                                        Log& log) {
  auto journal = open_rocks_journal(directory);
  if (!journal) return journal.error();
  auto store = make_embedded_store(*std::move(journal), clock, log);
  if (store) return store;
  std::string why = "can't start from the data directory " + directory.string() + ": " + store.error().message;
  return Error{store.error().code, std::move(why)};
}

}  // namespace

Result<std::unique_ptr<LeaseStore>> open_store(const config::Settings& settings, Clock& clock, Log& log) {
  switch (settings.storage_type) {
    case config::StorageType::memory:
      return make_memory_store(clock);
    case config::StorageType::embedded:
      return open_embedded_store(settings.data_dir, clock, log);
    case config::StorageType::etcd:
      break;
  }
  return Error{Errc::invalid_argument, "this version has no etcd store"};
}

}  // namespace sharedlock
