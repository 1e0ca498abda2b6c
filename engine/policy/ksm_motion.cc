#include "engine/policy/ksm_motion.h"

namespace panal::policy {

bool KsmMotion::moves(const Snapshot& host) {
  if (!host.ksm || !host.ksm_settings || host.ksm_settings->run != KsmRun::kRunning) {
    since_ns_ = 0;  // turned on again it has its time to begin
    return false;
  }
  const std::uint64_t scanned = host.ksm->pages_scanned_total;
  if (scanned == 0) return true;
  if (since_ns_ == 0 || scanned != scanned_) {
    scanned_ = scanned;
    since_ns_ = host.at_ns;
  }
  return host.at_ns - since_ns_ < kStandsAfter;
}

}  // namespace panal::policy
