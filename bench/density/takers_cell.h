#pragma once

#include <optional>
#include <string>

#include "bench/density/takers_evaluation.h"
#include "bench/density/takers_subject.h"
#include "engine/base/tree.h"
#include "engine/kernel/ksm.h"

namespace panal::bench {

/// The machine's side of the bench: swap on a zram of its own, and ksmd. Wants the lock on
/// machine-wide settings; its end takes zram down, has KSM unmerge, and puts its settings back.
class TakersBench {
 public:
  /// `tree` and `subject` must outlive it. Errors: ENODEV without zram, ENOENT without KSM.
  [[nodiscard]] static Result<TakersBench> make(const Tree& tree, const TakersSubject& subject);
  TakersBench(TakersBench&& other) noexcept;
  TakersBench& operator=(TakersBench&&) = delete;
  ~TakersBench();

  /// One cell from a machine in which all is in memory and nothing merged: merged or not, taken
  /// until it gives no more, merged if that comes second, then all of it read again.
  /// Errors: EINVAL for an unknown way; ETIMEDOUT when ksmd does not get through.
  [[nodiscard]] Result<TakersCell> run(const std::string& way, TakersOrder order) const;

 private:
  TakersBench(const Tree& tree, const TakersSubject& subject, unsigned device)
      : tree_(tree), subject_(subject), device_(device) {}
  [[nodiscard]] Result<void> bring_back() const;
  [[nodiscard]] Result<void> merge(TakersCell& cell) const;
  [[nodiscard]] Result<void> take(TakersCell& cell) const;
  [[nodiscard]] Result<void> touch(TakersCell& cell) const;
  [[nodiscard]] Result<double> cost() const;
  [[nodiscard]] Result<double> zram_bytes() const;
  [[nodiscard]] Result<double> refaulted_pages() const;

  const Tree& tree_;
  const TakersSubject& subject_;
  std::optional<unsigned> device_;  ///< none: moved from
  std::optional<kernel::Ksmd> ksmd_;
  KsmSettings former_;
};

}  // namespace panal::bench
