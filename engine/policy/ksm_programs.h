#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "engine/model/ksm.h"
#include "engine/model/snapshot.h"

namespace panal::policy {

/// What was learned about one program of one image; kept in the store as it is.
struct KsmProgram {
  double profit_bytes = 0;  ///< of one process, a running mean
  std::uint32_t samples = 0;
  std::uint32_t losses = 0;  ///< judgements in a row that were against it
  bool left_out = false;
  std::uint32_t starts_left_out = 0;  ///< since it was left out or tried again
  std::uint32_t retry_after = 0;      ///< starts until it is tried again
  MonotonicNs seen_ns = 0;

  [[nodiscard]] bool operator==(const KsmProgram&) const = default;
};

/// Which programs are enlisted in KSM at their next start. A program is left out after its
/// processes lost memory (KSM's book-keeping is 64 bytes a page) kLosses times in a row, and comes
/// back only when a trial start wins more than kWin.
class KsmPrograms {
 public:
  static constexpr std::uint32_t kLosses = 3;
  /// Between these it stays as it is: a few pages more or less must not move it.
  static constexpr double kLoss = -16.0 * 1024;
  static constexpr double kWin = 64.0 * 1024;
  /// A trial costs one process's book-keeping; each that fails makes the next twice as rare.
  static constexpr std::uint32_t kFirstRetry = 50;
  static constexpr std::uint32_t kLastRetry = 3200;
  /// Names come from images, so their number is bounded; the one longest unseen goes first.
  static constexpr std::size_t kMost = 1024;
  /// Two passes must have gone by before a profit says anything.
  static constexpr std::uint64_t kPassesBeforeJudgement = 2;

  /// A process's profit, `passes` full scans after its start. Young ones are not judged.
  void observe(std::string_view program, const KsmProcess& process, std::uint64_t passes,
               MonotonicNs now_ns);

  /// Asked once per start. Unknown programs are enlisted: that is how they become known.
  [[nodiscard]] bool enlist(std::string_view program);

  [[nodiscard]] const std::map<std::string, KsmProgram, std::less<>>& all() const { return all_; }
  void restore(std::map<std::string, KsmProgram, std::less<>> all) { all_ = std::move(all); }

 private:
  std::map<std::string, KsmProgram, std::less<>> all_;
};

}  // namespace panal::policy
