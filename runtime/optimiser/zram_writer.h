#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "engine/base/log.h"
#include "engine/base/tree.h"
#include "engine/kernel/zram_writeback.h"
#include "engine/model/snapshot.h"

namespace panal::optimiser {

/// Has zram write what lies long, or does not compress, to the disk behind it: marks all as idle,
/// waits, writes what was not read meanwhile, and so on. In portions, as a write cannot be ended,
/// with rests between them; by a thread of its own.
class ZramWriter {
 public:
  struct Parts {
    const Tree& tree;   ///< must outlive it
    std::string place;  ///< of find_writeback_place(): only a device with this one behind is ours
    std::chrono::seconds after{3600};  ///< not read for so long
    std::uint64_t bytes_per_day = 0;   ///< at most, from when panald began; 0: no limit
    LoggerPtr log;
  };
  static constexpr std::uint64_t kPortion = 64 << 20;
  static constexpr std::chrono::seconds kRest{2};

  explicit ZramWriter(Parts parts) : parts_(std::move(parts)) {}
  ~ZramWriter();
  ZramWriter(const ZramWriter&) = delete;
  ZramWriter& operator=(const ZramWriter&) = delete;

  /// Starts the thread.
  void begin();
  /// What the thread does, once: says after how long the next one is due. For tests.
  [[nodiscard]] std::chrono::seconds step(MonotonicNs now_ns);

  /// Since panald began. For any thread, like no other call.
  [[nodiscard]] std::uint64_t written_bytes() const;

 private:
  void loop();
  [[nodiscard]] std::chrono::seconds write(const Dir& device, MonotonicNs now_ns);
  void complain(const char* what, const Error& error) const;

  Parts parts_;
  std::string marked_;  ///< device whose pages are marked; empty: none
  MonotonicNs marked_at_ns_ = 0;
  bool huge_first_ = true;  ///< what does not compress has not had its turn
  MonotonicNs day_began_ns_ = 0;
  std::uint64_t this_day_ = 0;  ///< bytes

  mutable std::mutex mutex_;  ///< of the next two
  std::uint64_t written_ = 0;
  bool ending_ = false;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace panal::optimiser
