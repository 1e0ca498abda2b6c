#pragma once

#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "netconfine/firewall/backend.h"

namespace panal::netconfine::testing {

/// A backend that fails when told to, around a real one.
class Faulty : public FirewallBackend {
 public:
  struct Faults {
    std::atomic<bool> load = false, cut_off = false;
    int late_loads = 0;  ///< so many loads fail once they have loaded
    std::function<void()> before_load, after_load;
  };
  Faulty(std::unique_ptr<FirewallBackend> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}
  [[nodiscard]] const char* name() const override { return real_->name(); }
  [[nodiscard]] bool bridges() const override { return real_->bridges(); }
  Result<void> load(const Ruleset& rules, const std::vector<Sender>& senders) override {
    if (faults_.load) return fail(ENOMEM, "load rules");
    if (faults_.before_load) faults_.before_load();
    auto loaded = real_->load(rules, senders);
    if (faults_.after_load) faults_.after_load();
    if (!loaded || faults_.late_loads == 0) return loaded;
    --faults_.late_loads;
    return fail(EIO, "load rules: what comes after them");
  }
  Result<void> put(std::span<const Sender> senders) override { return real_->put(senders); }
  Result<void> remove(std::span<const Addresses> senders) override {
    return real_->remove(senders);
  }
  Result<std::vector<std::string>> links() override { return real_->links(); }
  Result<std::vector<DropCounter>> drops() override { return real_->drops(); }
  Result<std::vector<Drift>> audit() override { return real_->audit(); }
  [[nodiscard]] int changes() const override { return real_->changes(); }
  Result<void> cut_off() override {
    if (faults_.cut_off) return fail(ENOMEM, "cut off");
    return real_->cut_off();
  }

 private:
  std::unique_ptr<FirewallBackend> real_;
  Faults& faults_;
};

}  // namespace panal::netconfine::testing
