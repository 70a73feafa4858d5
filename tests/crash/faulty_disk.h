#pragma once

#include <cstdint>
#include <filesystem>

#include "crash/data_directory.h"
#include "crash/disk_faults.h"
#include "support/server_process.h"

namespace sharedlock::test {

// A data directory on a disk that goes wrong on demand. The servers on it must be gone first.
class FaultyDisk {
 public:
  FaultyDisk();
  FaultyDisk(const FaultyDisk&) = delete;
  FaultyDisk& operator=(const FaultyDisk&) = delete;
  ~FaultyDisk();

  const std::filesystem::path& path() const { return data_.path(); }

  // What makes a server keep its state there.
  ProcessOptions options() const;

  void hang() { faults_->hangs = 1; }
  void release() { faults_->hangs = 0; }
  // Waits until a sync hangs; false when none comes.
  [[nodiscard]] bool hangs() const;

  void delay(std::uint32_t milliseconds) { faults_->delay_ms = milliseconds; }
  void fill() { faults_->is_full = 1; }
  void make_room() { faults_->is_full = 0; }

  // Of all syncs on this disk, the one with that number (from 1 on) fails; 0: none does.
  void fail_sync(std::uint32_t number) { faults_->fails_at = number; }
  // How many syncs have begun.
  std::uint32_t syncs() const { return faults_->begun; }

 private:
  DataDirectory data_;
  std::filesystem::path control_;
  DiskFaults* faults_;
};

}  // namespace sharedlock::test
