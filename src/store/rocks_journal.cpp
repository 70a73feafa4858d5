#include "store/rocks_journal.h"

#include <fcntl.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "store/rocks_log_check.h"

namespace sharedlock {

namespace {

// How the state is laid out: under "m/" what is about the whole, under "l/" a record per lease (key: id, big-endian),
// under "e/" one per entry. Integers are 8 bytes, big-endian.
constexpr std::string_view kFormatKey = "m/format";
constexpr std::string_view kReservedKey = "m/reserved";
constexpr std::string_view kLeasePrefix = "l/";
constexpr std::string_view kEntryPrefix = "e/";
constexpr std::int64_t kFormat = 1;

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

void append_integer(std::string& out, std::int64_t value) {
  auto bits = static_cast<std::uint64_t>(value);
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>((bits >> shift) & 0xFF);
}

std::optional<std::int64_t> take_integer(std::string_view& text) {
  if (text.size() < 8) return std::nullopt;
  std::uint64_t bits = 0;
  for (char c : text.substr(0, 8)) bits = bits << 8 | static_cast<unsigned char>(c);
  text.remove_prefix(8);
  return static_cast<std::int64_t>(bits);
}

std::string integer(std::int64_t value) {
  std::string text;
  append_integer(text, value);
  return text;
}

std::string lease_key(LeaseId id) {
  return std::string(kLeasePrefix) + integer(number_of(id));
}
std::string entry_key(std::string_view key) {
  return std::string(kEntryPrefix).append(key);
}

std::string to_record(const JournalLease& lease) {
  std::string record(1, lease.own ? 'o' : 'p');
  append_integer(record, lease.ttl.count());
  return record;
}

std::string to_record(const Entry& entry) {
  std::string record;
  record.reserve(24 + entry.value.size());
  append_integer(record, number_of(entry.lease));
  append_integer(record, number_of(entry.created));
  append_integer(record, number_of(entry.revision));
  return record += entry.value;
}

std::optional<JournalLease> read_lease(std::string_view id_text, std::string_view record) {
  auto id = take_integer(id_text);
  if (!id || !id_text.empty() || *id <= 0 || record.empty()) return std::nullopt;
  char kind = record.front();
  record.remove_prefix(1);
  auto ttl = take_integer(record);
  if (!ttl || !record.empty() || *ttl < 1 || (kind != 'o' && kind != 'p')) return std::nullopt;
  return JournalLease{LeaseId{*id}, kind == 'o', Ttl{*ttl}};
}

std::optional<Entry> read_entry(std::string_view record) {
  auto lease = take_integer(record);
  auto created = take_integer(record);
  auto revision = take_integer(record);
  if (!lease || !created || !revision || *created < 1 || *revision < *created) return std::nullopt;
  return Entry{std::string(record), LeaseId{*lease}, Revision{*created}, Revision{*revision}};
}

// A positive number that fills the whole record.
std::optional<std::int64_t> read_number(std::string_view record) {
  auto number = take_integer(record);
  return number && record.empty() && *number > 0 ? number : std::nullopt;
}

// Adds one record to the state; false when it makes no sense.
bool read_record(std::string_view key, std::string_view record, JournalState& state) {
  if (key.starts_with(kEntryPrefix) && key != kEntryPrefix) {
    auto entry = read_entry(record);
    if (!entry) return false;
    state.entries.emplace_back(key.substr(kEntryPrefix.size()), *std::move(entry));
    return true;
  }
  if (key.starts_with(kLeasePrefix)) {
    auto lease = read_lease(key.substr(kLeasePrefix.size()), record);
    if (lease) state.leases.push_back(*lease);
    return lease.has_value();
  }
  if (key == kReservedKey) {
    auto reserved = read_number(record);
    state.reserved = Revision{reserved.value_or(0)};
    return reserved.has_value();
  }
  return key == kFormatKey;
}

// After a failed write nothing is written until a restart. RocksDB waits for room on a full disk and then goes on by
// itself, whatever max_bgerror_resume_count says, unless a listener tells it not to.
class NoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// RocksDB's own log would be one more file on the disk that is full, and writing to it again after that failed ends the
// process by an assertion. What went wrong comes back as a status, which our log tells.
class NoLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

rocksdb::Options database_options() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  // The default would open "OK" with only a part of what was synced after a damaged record; a torn tail, which every
  // power cut leaves, must open all the same.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.max_bgerror_resume_count = 0;
  options.listeners.push_back(std::make_shared<NoRecovery>());
  options.info_log = std::make_shared<NoLog>();
  options.compression = rocksdb::kNoCompression;
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

class RocksJournal final : public Journal {
 public:
  RocksJournal(std::unique_ptr<rocksdb::DB> database, std::string directory)
      : database_(std::move(database)), directory_(std::move(directory)) {}

  Result<JournalState> load() override {
    auto state = read_all();
    if (!state || state->reserved > Revision{}) return state;
    if (!state->entries.empty() || !state->leases.empty()) return damaged("it has no reserved revisions");
    rocksdb::WriteBatch format;
    format.Put(slice(kFormatKey), integer(kFormat));
    if (auto written = write(format); !written) return written.error();
    return state;
  }

  Result<void> append(const JournalBatch& batch) override {
    rocksdb::WriteBatch writes;
    bool first_reservation = batch.reserved && !std::exchange(has_reserved_, true);
    if (batch.reserved) writes.Put(slice(kReservedKey), integer(number_of(*batch.reserved)));
    for (const JournalWrite& change : batch.writes) add(writes, change);
    auto written = write(writes);
    if (!written || !first_reservation) return written;
    // Out of the log: should the log ever be lost, revisions of this life are not given again.
    rocksdb::Status flushed = database_->Flush(rocksdb::FlushOptions());
    return flushed.ok() ? Result<void>() : failed(flushed);
  }

 private:
  Error damaged(std::string_view why) const {
    return {Errc::corrupt, "the data directory " + directory_ + " is damaged: " + std::string(why)};
  }

  Result<void> write(rocksdb::WriteBatch& writes) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    rocksdb::Status status = database_->Write(synced, &writes);
    return status.ok() ? Result<void>() : failed(status);
  }

  Error failed(const rocksdb::Status& status) const {
    return {Errc::unavailable, "writing to " + directory_ + " failed: " + status.ToString()};
  }

  Result<JournalState> read_all() const {
    JournalState state;
    std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator(rocksdb::ReadOptions()));
    at->SeekToFirst();
    if (at->Valid()) {
      if (auto known = check_format(); !known) return known.error();
    }
    for (; at->Valid(); at->Next()) {
      if (!read_record(view(at->key()), view(at->value()), state)) return damaged("a record can't be read");
    }
    if (!at->status().ok()) return damaged(at->status().ToString());
    return state;
  }

  // Before anything else is read: it may mean something else in another format.
  Result<void> check_format() const {
    std::string record;
    rocksdb::Status status = database_->Get(rocksdb::ReadOptions(), slice(kFormatKey), &record);
    if (status.IsNotFound()) return damaged("it has no format number");
    if (!status.ok()) return damaged(status.ToString());
    auto format = read_number(record);
    if (!format) return damaged("its format number can't be read");
    if (*format == kFormat) return {};
    return Error{Errc::corrupt, "the data directory " + directory_ + " has format " + std::to_string(*format) +
                                    ", written by another version of shared-lock; this one knows format " +
                                    std::to_string(kFormat)};
  }

  std::unique_ptr<rocksdb::DB> database_;
  std::string directory_;
  bool has_reserved_ = false;
};

// Makes the directory and those above it, and sees to it that they are still there after a power cut.
std::error_code make_directories(const std::filesystem::path& directory) {
  std::error_code failed;
  std::filesystem::path made = std::filesystem::absolute(directory, failed);
  if (failed || std::filesystem::is_directory(made, failed)) return failed;
  std::filesystem::path parent = made.parent_path();
  if (parent != made) failed = make_directories(parent);
  if (failed || (!std::filesystem::create_directory(made, failed) && failed)) return failed;
  int handle = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0 || ::fsync(handle) != 0) failed = std::error_code(errno, std::generic_category());
  if (handle >= 0) ::close(handle);
  return failed;
}

bool holds_file(const std::filesystem::path& directory, std::string_view extension) {
  std::error_code failed;
  auto is_it = [&](const std::filesystem::directory_entry& file) { return file.path().extension() == extension; };
  return std::ranges::any_of(std::filesystem::directory_iterator(directory, failed), is_it);
}

// Damage that RocksDB would not tell us of.
std::optional<std::string> find_damage(const std::filesystem::path& directory) {
  std::error_code failed;
  bool has_log = holds_file(directory, ".log");
  bool has_current = std::filesystem::exists(directory / "CURRENT", failed);
  // RocksDB takes such a directory for a new one, and removes what is there.
  if (!has_current && (has_log || holds_file(directory, ".sst"))) return "the file CURRENT is missing";
  // It takes this for one whose last writes are all in tables; but there is always a log, if an empty one.
  if (has_current && !has_log) return "its log (a file *.log) is missing";
  if (auto log = find_damaged_log(directory)) return "a record in the middle of " + *log + " can't be read";
  return std::nullopt;
}

bool is_locked(const rocksdb::Status& status) {
  std::string text = status.ToString();
  bool by_another = text.find("While lock file") != std::string::npos;
  bool by_this_process = text.find("lock hold by current process") != std::string::npos;
  return status.IsIOError() && (by_another || by_this_process);
}

// Takes RocksDB's lock on the directory for a moment. Fails also where there can't be a lock; what is wrong then is
// seen when the database is opened.
rocksdb::Status try_lock(const std::filesystem::path& directory) {
  rocksdb::FileLock* lock = nullptr;
  rocksdb::Env* env = rocksdb::Env::Default();
  rocksdb::Status status = env->LockFile((directory / "LOCK").string(), &lock);
  if (status.ok()) status = env->UnlockFile(lock);
  return status;
}

}  // namespace

Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& directory) {
  std::string name = directory.string();
  if (std::error_code failed = make_directories(directory)) {
    return Error{Errc::unavailable, "can't make the data directory " + name + ": " + failed.message()};
  }
  auto damaged = [&](const std::string& why) {
    return Error{Errc::corrupt, "the data directory " + name + " is damaged: " + why};
  };
  auto in_use = [&](const rocksdb::Status& status) {
    return Error{Errc::unavailable, "the data directory " + name + " is open in another process: " + status.ToString()};
  };
  // A log that another server is just writing to would look damaged.
  if (rocksdb::Status locked = try_lock(directory); is_locked(locked)) return in_use(locked);
  if (auto damage = find_damage(directory)) return damaged(*damage);

  rocksdb::DB* opened = nullptr;
  rocksdb::Status status = rocksdb::DB::Open(database_options(), name, &opened);
  std::unique_ptr<rocksdb::DB> database(opened);
  if (status.IsCorruption()) return damaged(status.ToString());
  if (is_locked(status)) return in_use(status);
  if (!status.ok()) return Error{Errc::unavailable, "can't open the data directory " + name + ": " + status.ToString()};
  return std::unique_ptr<Journal>(std::make_unique<RocksJournal>(std::move(database), std::move(name)));
}

}  // namespace sharedlock
