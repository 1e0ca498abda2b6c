#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "engine/base/result.h"
#include "engine/base/tree.h"
#include "engine/base/unique_fd.h"
#include "engine/model/ksm.h"
#include "engine/profile/saved.h"

namespace panal::optimiser {

/// The text kept on disk, and back.
struct SavedKsm {
  std::string boot;  ///< the kernel's random/boot_id
  KsmSettings settings;

  [[nodiscard]] bool operator==(const SavedKsm&) const = default;
};
[[nodiscard]] std::string print_saved_ksm(const SavedKsm& saved);
/// Errors: EPROTO.
[[nodiscard]] Result<SavedKsm> parse_saved_ksm(const std::string& text);

/// Where it lies: beside the record of `panal tune`, as KSM is the machine's and not a node's.
[[nodiscard]] std::string ksm_record_file(const std::string& machine_state_dir);

/// Whether a governor that lives turns KSM now, by whatever node; nothing where we may not look.
[[nodiscard]] std::optional<bool> ksm_is_governed(const std::string& record_file);

/// What KSM was set to before a governor turned it, on disk. Whoever governs holds it until its
/// end, however that comes: a record that nobody holds was left by one that is gone, and whoever
/// finds it puts back what it says. It is written, and acted upon, under the lock of all that is
/// the machine's (profile::MachineLock).
class KsmRecord {
 public:
  /// `tree` must outlive it. `lock_file`: the machine's lock; empty: none is taken (tests).
  KsmRecord(const Tree& tree, std::string file, std::string lock_file)
      : tree_(tree), file_(std::move(file)), lock_file_(std::move(lock_file)) {}
  ~KsmRecord() { let_go(); }
  KsmRecord(const KsmRecord&) = delete;
  KsmRecord& operator=(const KsmRecord&) = delete;

  /// Makes the directory. Errors: EBUSY when another governor holds it; EACCES.
  [[nodiscard]] Result<void> hold();
  void let_go();

  /// Nothing where there is none. Errors: EPROTO when it is damaged, with what to do.
  [[nodiscard]] Result<std::optional<SavedKsm>> read() const;
  /// A boot sets KSM back by itself.
  [[nodiscard]] bool of_this_boot(const SavedKsm& saved) const { return saved.boot == boot_id(); }
  /// On disk when it returns.
  [[nodiscard]] Result<void> write(const KsmSettings& settings) const;
  [[nodiscard]] Result<void> remove() const;

  /// The machine's lock, waited for so long. Errors: EBUSY.
  [[nodiscard]] Result<std::optional<profile::MachineLock>> lock_machine(
      std::chrono::milliseconds patience) const;

 private:
  [[nodiscard]] std::string boot_id() const;

  const Tree& tree_;
  std::string file_;
  std::string lock_file_;
  UniqueFd held_;
};

}  // namespace panal::optimiser
