#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "engine/model/ksm.h"

namespace panal::test {

/// A small model of ksmd to hold scanning laws against each other. It is no measurement: the times
/// a page takes are assumed, and contents are dealt by lot. What it has of the real one: round
/// robin passes; a page merges at once with a stable page, else only if it did not change since
/// the last pass and another like it was seen in this one; smart scan; a desktop that starts in
/// the middle of a pass is first visited in the next; writes break merged pages.
class KsmModel {
 public:
  static constexpr std::uint64_t kPagesPerBlock = 64;  ///< neighbours share their fate
  static constexpr double kVisitSeconds = 1e-6;        ///< checksum and two trees
  static constexpr double kMergedVisitSeconds = 3e-7;
  static constexpr double kSkipSeconds = 2e-8;
  static constexpr double kMergeSeconds = 2e-6;
  static constexpr double kSettleSeconds = 8;  ///< pages change all the time after a start

  explicit KsmModel(std::uint64_t pages_per_desktop, double share_in_common = 0.30)
      : blocks_per_desktop_(pages_per_desktop / kPagesPerBlock), common_(share_in_common) {}

  void start_desktop();
  /// The one that lives longest.
  void stop_desktop();
  /// So many of all pages are written anew now, spread evenly.
  void rewrite(double share);
  /// Lets ksmd run for a while.
  void run(double duration_seconds, const KsmSettings& settings);

  [[nodiscard]] KsmCounters counters() const;
  [[nodiscard]] std::uint64_t cow_pages() const { return cow_pages_; }
  [[nodiscard]] std::uint64_t starts() const { return starts_; }
  [[nodiscard]] std::size_t alive() const { return desktops_.size(); }
  [[nodiscard]] std::uint64_t pages() const {
    return desktops_.size() * blocks_per_desktop_ * kPagesPerBlock;
  }
  [[nodiscard]] double now_seconds() const { return now_; }

 private:
  enum class Kind : std::uint8_t { kZero, kCommon, kOwn, kVolatile };
  struct Block {
    Kind kind = Kind::kOwn;
    std::uint64_t content = 0;
    std::uint64_t checksum = 0;  ///< of the last visit
    bool visited = false;
    bool merged = false;
    bool zero = false;
    std::uint8_t age = 0;
    std::uint8_t skips = 0;
  };
  struct Desktop {
    std::uint64_t number = 0;
    double born = 0;
    std::vector<Block> blocks;
  };

  [[nodiscard]] std::uint64_t random();
  [[nodiscard]] double chance();
  [[nodiscard]] std::uint64_t content(const Desktop& desktop, std::size_t index) const;
  [[nodiscard]] static bool skip(Block& block);
  double visit(std::size_t desktop, std::size_t index);
  void merge(Block& block, std::uint64_t what);
  void unmerge(Block& block);
  void next_pass();

  std::uint64_t blocks_per_desktop_;
  double common_;
  std::uint64_t seed_ = 1;
  double now_ = 0;
  double sleep_left_ = 0;
  double batch_left_ = 0;
  double cpu_seconds_ = 0;
  std::uint64_t cow_pages_ = 0;
  std::uint64_t starts_ = 0;
  std::uint64_t scanned_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t full_scans_ = 0;
  std::uint64_t visited_blocks_ = 0;
  std::uint64_t zero_blocks_ = 0;
  std::uint64_t sharing_blocks_ = 0;
  std::vector<Desktop> desktops_;
  std::size_t pass_desktops_ = 0;  ///< those of this pass
  std::size_t at_desktop_ = 0;
  std::size_t at_block_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> stable_;  ///< content -> blocks
  struct Place {
    std::size_t desktop;
    std::size_t block;
  };
  std::unordered_map<std::uint64_t, Place> unstable_;  ///< of this pass
};

}  // namespace panal::test
