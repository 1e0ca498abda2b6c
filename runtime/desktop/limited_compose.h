#pragma once

#include <string_view>

#include "engine/base/result.h"
#include "runtime/space/space_plan.h"
#include "storage/compose/backend.h"
#include "storage/quota/quota.h"

namespace panal::desktop {

/// A backend whose writable layers are held to a limit: makes and mounts what holds them before the
/// inner backend composes, and takes it out of sight afterwards. A persistent layer keeps the kind
/// of quota it was made with. A backend that keeps elsewhere what desktops write gets the limit, if
/// it can hold to one (storage/compose/choice.h passes over those that cannot).
class LimitedCompose final : public storage::ComposeBackend {
 public:
  /// `inner` must outlive it.
  LimitedCompose(storage::ComposeBackend& inner, space::LayerRules rules)
      : inner_(inner), rules_(rules) {}

  [[nodiscard]] std::string_view name() const override { return inner_.name(); }
  [[nodiscard]] storage::BackendTraits traits() const override { return inner_.traits(); }
  [[nodiscard]] storage::BackendTraits traits_for(const storage::RootSpec& spec) const override {
    return inner_.traits_for(spec);
  }
  /// Errors: the inner backend's, and Quota::provide()'s.
  [[nodiscard]] Result<void> provision(const storage::RootSpec& spec) override;
  [[nodiscard]] Result<void> destroy(const storage::RootSpec& spec) override;
  [[nodiscard]] Result<storage::RootUsage> usage(const storage::RootSpec& spec) override {
    return inner_.usage(spec);
  }
  [[nodiscard]] Result<storage::Recovered> recover(const storage::RecoverScope& scope) override;
  /// Also what held the layer to its limit.
  [[nodiscard]] Result<void> erase(const storage::RootSpec& spec) override;

 private:
  [[nodiscard]] Result<storage::QuotaKind> kind_for(const storage::RootSpec& spec) const;

  storage::ComposeBackend& inner_;
  space::LayerRules rules_;
};

}  // namespace panal::desktop
