#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench/faults/fault_disk.h"
#include "engine/base/result.h"
#include "storage/compose/composer.h"
#include "storage/home/home_store.h"
#include "storage/image/image_store.h"
#include "storage/transfer/keys.h"

namespace panal::bench {

/// A node's storage on a disk that fails, and what must be there whatever happens: two versions of
/// an image, a desktop with a persistent root for each of some backends (of those that have such),
/// a home.
///
/// Only the disk fails: the archive that is pulled from is elsewhere, as are the mounts.
class FaultNode {
 public:
  /// In `dir`, an empty directory on a disk. `programs`: the directory with Panal's programs.
  [[nodiscard]] static Result<std::unique_ptr<FaultNode>> make(const std::string& dir,
                                                               const std::string& programs);
  FaultNode(const FaultNode&) = delete;
  FaultNode& operator=(const FaultNode&) = delete;
  ~FaultNode();

  [[nodiscard]] FaultDisk& disk() { return disk_; }
  [[nodiscard]] storage::ImageStore store() const { return storage::ImageStore(images()); }
  [[nodiscard]] std::string images() const { return disk_.path() + "/images"; }
  /// Where trees are made that a step makes a version of; on the disk.
  [[nodiscard]] std::string incoming() const { return disk_.path() + "/incoming"; }
  [[nodiscard]] std::string trust_file() const { return disk_.path() + "/trust"; }
  [[nodiscard]] std::string archive() const { return dir_ + "/archive"; }
  /// An archive that this node publishes to, on the disk; it has version 1.
  [[nodiscard]] std::string published() const { return disk_.path() + "/published"; }
  /// Of both archives.
  [[nodiscard]] const storage::SecretKey& secret() const { return *secret_; }
  [[nodiscard]] const std::string& dir() const { return dir_; }
  /// The directory with Panal's programs.
  [[nodiscard]] const std::string& programs() const { return programs_; }
  /// Where files lie while they come over the network; on the disk.
  [[nodiscard]] std::string scratch() const { return disk_.path() + "/cache"; }
  [[nodiscard]] std::string homes_dir() const { return disk_.path() + "/homes"; }
  [[nodiscard]] storage::HomeStore homes() const { return storage::HomeStore(homes_dir()); }
  /// The one that is always there, a plain directory.
  [[nodiscard]] storage::HomeSpec home() const;
  /// Another, of another desktop, that is not there at rest: what a step makes.
  [[nodiscard]] storage::HomeSpec passing_home() const;
  /// Of the persistent desktop of this backend, or of a volatile one.
  [[nodiscard]] storage::RootSpec root(const std::string& backend, bool persistent) const;
  [[nodiscard]] static const std::vector<std::string>& backends();
  /// Why a backend cannot be had on this machine; empty: it can.
  [[nodiscard]] std::string why_not(const std::string& backend) const {
    return backend == "btrfs" ? no_btrfs_ : std::string();
  }
  /// Whether a backend has persistent roots.
  [[nodiscard]] static bool keeps(const std::string& backend) { return backend != "tmpfs"; }
  [[nodiscard]] storage::RecoverScope scope() const;
  /// A btrfs in a file beside the disk: it is neither full, nor does its power fail.
  [[nodiscard]] std::string pool() const { return dir_ + "/pool"; }
  [[nodiscard]] storage::ComposerOptions compose_options() const;
  [[nodiscard]] storage::Composer composer() const { return storage::Composer(compose_options()); }
  /// What the node believes of the archive before it has seen any list.
  [[nodiscard]] Result<void> forget_lists() const;

  /// As a node does when it starts: what killed processes left is found and ended.
  [[nodiscard]] Result<void> recover() const;
  /// Mounts of roots and homes, all of them: a power failure takes them.
  void drop_mounts() const;

  /// What is not as it must be, a sentence each: versions that were there, damage, garbage,
  /// persistent roots and homes. `more`: versions (and their sums) that may be there besides;
  /// kAnyVersion stands for all that are not named.
  [[nodiscard]] std::vector<std::string> check(
      const std::map<std::string, std::string>& more) const;
  /// Takes away all versions but those that must be there, collects, and says what is left that
  /// was not there at first.
  [[nodiscard]] std::vector<std::string> check_garbage() const;
  /// Roots can be made, and hold what they held.
  [[nodiscard]] std::vector<std::string> check_roots(const std::string& backend) const;
  /// That reading needs no space: what verify() says while the disk is full.
  [[nodiscard]] std::vector<std::string> check_readable() const;

  static constexpr const char* kImage = "icewm";
  static constexpr const char* kAnyVersion = "*";
  /// What the home and the persistent roots have a file with.
  static constexpr const char* kKept = "what a user keeps\n";
  [[nodiscard]] static storage::VersionManifest manifest(const std::string& version);
  /// The one that the archive has and the node has not.
  static constexpr const char* kPulled = "9";

 private:
  FaultNode(std::string dir, std::string programs, FaultDisk disk)
      : dir_(std::move(dir)), programs_(std::move(programs)), disk_(std::move(disk)) {}
  [[nodiscard]] Result<void> make_versions();
  [[nodiscard]] Result<void> make_published();
  [[nodiscard]] Result<void> make_desktops();
  [[nodiscard]] Result<std::set<std::string>> everything() const;

  std::string dir_;
  std::string programs_;
  FaultDisk disk_;
  std::map<std::string, std::string> versions_;  ///< that must be there, and their trees' sums
  std::map<std::string, std::string> roots_;     ///< sums of persistent roots, by backend
  std::set<std::string> everything_;             ///< names on the disk when all is at rest
  std::optional<storage::SecretKey> secret_;
  std::string no_btrfs_;  ///< why there is none
};

}  // namespace panal::bench
