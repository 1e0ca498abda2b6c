#include "netconfine/uplink/keeper.h"

#include <utility>

namespace panal::netconfine {

Result<void> UplinkKeeper::keep() {
  if (made_) {
    auto drifts = uplink_.audit();
    // It may be anything by now. up() is for when an audit has seen what is wrong: it would open
    // what the next audit, failing again, would have to cut.
    if (!drifts) return cut(std::move(drifts.error()));
    for (const Drift& drift : *drifts)
      log_->warning("uplink_drift", {{"where", drift.where}, {"what", drift.what}});
    if (drifts->empty()) return {};
  }
  auto made = uplink_.up();
  made_ = made.has_value();
  if (made) return {};
  return cut(std::move(made.error()));
}

Result<void> UplinkKeeper::cut(Error why) {
  if (const auto cut = uplink_.cut_off(); !cut)
    log_->error("uplink_cut_off", {{"why", cut.error().message()}});
  return tl::make_unexpected(std::move(why));
}

}  // namespace panal::netconfine
