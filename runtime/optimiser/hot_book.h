#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/model/ids.h"
#include "runtime/optimiser/hot_memory.h"

namespace panal::optimiser {

/// The hot memory of each desktop, in memory and in a file each, so that a new panald knows it.
/// For any thread.
class HotBook {
 public:
  /// `directory` is made when the first file is; empty: nothing is kept on disk. `tree` must
  /// outlive it.
  HotBook(const Tree& tree, std::string directory)
      : tree_(tree), directory_(std::move(directory)) {}

  /// Reads what a former panald kept. Damaged files, and those of processes that are no more, are
  /// removed. Reads every file: for a worker. Errors: EACCES, EIO.
  [[nodiscard]] Result<void> load();
  /// Null: nothing is known.
  [[nodiscard]] std::shared_ptr<const HotMemory> find(DesktopId id) const;
  /// Replaces what was known. It is known also when the file cannot be written.
  /// Errors: ENOSPC and others of the file.
  [[nodiscard]] Result<void> keep(DesktopId id, HotMemory hot);
  void forget(DesktopId id);

 private:
  [[nodiscard]] std::string file_of(DesktopId id) const;
  [[nodiscard]] std::string boot_id() const;
  [[nodiscard]] bool lives(const HotMemory& hot) const;

  const Tree& tree_;
  const std::string directory_;
  mutable std::mutex mutex_;
  std::map<DesktopId, std::shared_ptr<const HotMemory>> known_;
};

}  // namespace panal::optimiser
