#include "app/open_store.h"

#include <filesystem>
#include <string>
#include <utility>

#include "app/etcd_settings.h"
#include "base/check.h"
#include "store/embedded/embedded_store.h"
#include "store/embedded/rocks_journal.h"
#include "store/etcd/etcd_store.h"
#include "store/memory/memory_store.h"
#include "store/table/first_revision.h"

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

Result<std::unique_ptr<LeaseStore>> open_etcd_store(const config::LoadedSettings& loaded, Clock& clock, Log& log,
                                                    EtcdLossHandler when_lost) {
  auto options = etcd_options(loaded);
  if (!options) return options.error();
  return make_etcd_store(*std::move(options), clock, log, std::move(when_lost));
}

}  // namespace

Result<std::unique_ptr<LeaseStore>> open_store(const config::LoadedSettings& loaded, Clock& clock, Log& log,
                                               EtcdLossHandler when_lost) {
  const config::Settings& settings = loaded.settings;
  switch (settings.storage_type) {
    case config::StorageType::memory:
      if (Revision first = first_revision(clock); first > kLastFirstRevision) return revisions_too_high(first);
      return make_memory_store(clock);
    case config::StorageType::embedded:
      return open_embedded_store(settings.data_dir, clock, log);
    case config::StorageType::etcd:
      return open_etcd_store(loaded, clock, log, std::move(when_lost));
  }
  end_for_broken("there is a storage type that open_store() does not know");
}

}  // namespace sharedlock
