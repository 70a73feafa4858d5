#include "store/embedded/rocks_journal.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdarg>
#include <cstdint>
#include <string_view>
#include <utility>

#include "store/embedded/directory_lock.h"
#include "store/embedded/rocks_directory.h"
#include "store/embedded/rocks_log_check.h"
#include "store/embedded/rocks_records.h"

namespace sharedlock {

namespace {

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// RocksDB's message, which may have several lines.
std::string words_of(const rocksdb::Status& status) {
  std::string words = status.ToString();
  std::ranges::replace(words, '\n', ' ');
  return words;
}

// After a failed write nothing is written until a restart. RocksDB waits for room on a full disk and then resumes by
// itself, whatever max_bgerror_resume_count says, unless a listener tells it not to.
class NoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// RocksDB's own log would be one more file on the full disk, and writing to it again after a failure ends the process
// by an assertion. Errors come back as a status, which our log reports.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options database_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  // The default would open "OK" with only part of the synced data after a damaged record; a torn tail, which every
  // power cut leaves, must still open.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.max_bgerror_resume_count = 0;
  options.listeners.push_back(std::make_shared<NoRecovery>());
  options.info_log = std::make_shared<NoLog>();
  options.compression = rocksdb::kNoCompression;
  // Nothing reads the memtable until a flush sorts it: keeping it sorted took most of a write's time.
  options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  options.allow_concurrent_memtable_write = false;
  options.write_buffer_size = 32 << 20;
  options.max_write_buffer_number = 4;
  return options;
}

void add(rocksdb::WriteBatch& writes, const JournalWrite& change) {
  if (auto* put = std::get_if<KeyedEntry>(&change)) {
    writes.Put(entry_key(put->first), to_record(put->second));
  } else if (auto* erase = std::get_if<EraseEntry>(&change)) {
    writes.Delete(entry_key(erase->key));
  } else if (auto* lease = std::get_if<JournalLease>(&change)) {
    writes.Put(lease_key(lease->id), to_record(*lease));
  } else {
    writes.Delete(lease_key(std::get<EndLease>(change).id));
  }
}

Error damaged(const std::string& directory, const std::string& why) {
  return {Errc::corrupt, "the data directory " + directory + " is damaged: " + why};
}

// Before anything else is read: in another format it may mean something else.
Result<void> check_format(rocksdb::DB& database, const std::string& directory) {
  std::string record;
  rocksdb::Status status = database.Get(rocksdb::ReadOptions(), slice(kFormatKey), &record);
  if (status.IsNotFound()) return damaged(directory, "it has no format number");
  if (!status.ok()) return damaged(directory, words_of(status));
  auto format = read_number(record);
  if (!format) return damaged(directory, "its format number can't be read");
  if (*format == kFormat) return {};
  return Error{Errc::corrupt, "the data directory " + directory + " has format " + std::to_string(*format) +
                                  ", written by another version of shared-lock; this one knows format " +
                                  std::to_string(kFormat)};
}

Result<JournalState> read_all(rocksdb::DB& database, const std::string& directory) {
  JournalState state;
  std::unique_ptr<rocksdb::Iterator> at(database.NewIterator(rocksdb::ReadOptions()));
  at->SeekToFirst();
  if (at->Valid()) {
    if (auto known = check_format(database, directory); !known) return known.error();
  }
  for (; at->Valid(); at->Next()) {
    if (!read_record(view(at->key()), view(at->value()), state)) return damaged(directory, "a record can't be read");
  }
  if (!at->status().ok()) return damaged(directory, words_of(at->status()));
  bool reserved = state.reserved > Revision{};
  if (!reserved && !(state.entries.empty() && state.leases.empty())) {
    return damaged(directory, "it has no reserved revisions");
  }
  return state;
}

class RocksJournal final : public Journal {
 public:
  RocksJournal(std::unique_ptr<DirectoryLock> lock, std::unique_ptr<rocksdb::DB> database, std::string directory,
               JournalState state)
      : lock_(std::move(lock)),
        database_(std::move(database)),
        directory_(std::move(directory)),
        state_(std::move(state)) {}

  Result<JournalState> load() override {
    JournalState state = std::exchange(state_, {});
    if (state.reserved > Revision{}) return state;
    rocksdb::WriteBatch format;
    format.Put(slice(kFormatKey), integer(kFormat));
    if (auto written = write(format); !written) return written.error();
    return state;
  }

  Result<void> append(const JournalGroup& group) override {
    rocksdb::WriteBatch writes;
    bool reserves = false;
    for (const JournalBatch& batch : group) {
      reserves |= batch.reserved.has_value();
      if (batch.reserved) writes.Put(slice(kReservedKey), integer(number_of(*batch.reserved)));
      for (const JournalWrite& change : batch.writes) add(writes, change);
    }
    bool first_reservation = reserves && !std::exchange(has_reserved_, true);
    auto written = write(writes);
    if (!written || !first_reservation) return written;
    // Flushed out of the log: should the log ever be lost, revisions of this run are not issued again.
    rocksdb::Status flushed = database_->Flush(rocksdb::FlushOptions());
    return flushed.ok() ? Result<void>() : failed(flushed);
  }

 private:
  Result<void> write(rocksdb::WriteBatch& writes) {
    writes.PutLogData(slice(kEndOfBatch));
    rocksdb::WriteOptions synced;
    synced.sync = true;
    rocksdb::Status status = database_->Write(synced, &writes);
    return status.ok() ? Result<void>() : failed(status);
  }

  Error failed(const rocksdb::Status& status) const {
    return {Errc::unavailable, "writing to " + directory_ + " failed: " + words_of(status)};
  }

  std::unique_ptr<DirectoryLock> lock_;  // until the database is closed
  std::unique_ptr<rocksdb::DB> database_;
  std::string directory_;
  JournalState state_;  // until it is loaded
  bool has_reserved_ = false;
};

bool is_locked(const rocksdb::Status& status) {
  std::string text = words_of(status);
  bool by_another = text.find("While lock file") != std::string::npos;
  bool by_this_process = text.find("lock hold by current process") != std::string::npos;
  return status.IsIOError() && (by_another || by_this_process);
}

// Takes RocksDB's lock on the directory for a moment. Also fails where locking is impossible; opening the database then
// shows the cause.
rocksdb::Status try_lock(const std::filesystem::path& directory) {
  rocksdb::FileLock* lock = nullptr;
  rocksdb::Env* env = rocksdb::Env::Default();
  rocksdb::Status status = env->LockFile((directory / "LOCK").string(), &lock);
  if (status.ok()) status = env->UnlockFile(lock);
  return status;
}

Error in_use(const std::string& directory, const std::string& why) {
  return {Errc::unavailable, "the data directory " + directory + " is open in another process: " + why};
}

Error not_opened(const std::string& directory, const rocksdb::Status& status) {
  if (status.IsCorruption()) return damaged(directory, words_of(status));
  if (is_locked(status)) return in_use(directory, words_of(status));
  return {Errc::unavailable, "can't open the data directory " + directory + ": " + words_of(status)};
}

// The state, and the last write in it.
struct Seen {
  JournalState state;
  rocksdb::SequenceNumber writes = 0;
};

// Reads everything without changing anything: opening for writing rewrites the files, whatever they are. The price: the
// log is read twice.
Result<Seen> look(const std::string& directory) {
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::OpenForReadOnly(database_options(), directory, &opened);
  std::unique_ptr<rocksdb::DB> database(opened);
  if (!status.ok()) return not_opened(directory, status);
  auto state = read_all(*database, directory);
  if (!state) return state.error();
  return Seen{*std::move(state), database->GetLatestSequenceNumber()};
}

Result<std::unique_ptr<Journal>> open_seen(std::unique_ptr<DirectoryLock> lock, const std::string& directory,
                                           Seen seen) {
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(database_options(), directory, &opened);
  std::unique_ptr<rocksdb::DB> database(opened);
  if (!status.ok()) return not_opened(directory, status);
  // Without locks on directories, another process had it open between the two calls.
  if (database->GetLatestSequenceNumber() != seen.writes) {
    auto state = read_all(*database, directory);
    if (!state) return state.error();
    seen.state = *std::move(state);
  }
  return std::unique_ptr<Journal>(
      std::make_unique<RocksJournal>(std::move(lock), std::move(database), directory, std::move(seen.state)));
}

}  // namespace

Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& directory) {
  std::string name = directory.string();
  if (std::error_code failed = make_directories(directory)) {
    return Error{Errc::unavailable, "can't make the data directory " + name + ": " + failed.message()};
  }
  auto lock = std::make_unique<DirectoryLock>(directory);
  if (lock->is_taken_by_another()) return in_use(name, "it is locked");
  // A log that another program is writing at this moment would look damaged.
  if (rocksdb::Status locked = try_lock(directory); is_locked(locked)) return in_use(name, words_of(locked));
  if (auto checked = check_directory(directory); !checked) return checked.error();
  if (!holds_journal(directory)) return open_seen(std::move(lock), name, {});
  auto seen = look(name);
  if (!seen) return seen.error();
  return open_seen(std::move(lock), name, *std::move(seen));
}

}  // namespace sharedlock
