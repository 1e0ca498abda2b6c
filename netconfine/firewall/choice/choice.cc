#include "netconfine/firewall/choice/choice.h"

#include <utility>

#include "engine/base/nearest.h"

namespace panal::netconfine {
namespace {

constexpr const char* kNoBridges = "bridged groups need nftables";
constexpr const char* kNames[] = {"auto", "nftables", "iptables"};

/// A backend that, once its rules stand, is the only one.
class Sole : public FirewallBackend {
 public:
  Sole(std::unique_ptr<FirewallBackend> backend, std::function<Result<void>()> clear_other)
      : backend_(std::move(backend)), clear_other_(std::move(clear_other)) {}

  [[nodiscard]] const char* name() const override { return backend_->name(); }
  [[nodiscard]] bool bridges() const override { return backend_->bridges(); }
  Result<void> load(const Ruleset& rules, const std::vector<Sender>& senders) override {
    PANAL_TRY(backend_->load(rules, senders));
    if (!clear_other_) return {};
    if (auto cleared = clear_other_(); !cleared)
      return prefixed("take out the rules of another backend", std::move(cleared.error()));
    clear_other_ = nullptr;
    return {};
  }
  Result<void> put(std::span<const Sender> senders) override { return backend_->put(senders); }
  Result<void> remove(std::span<const Addresses> senders) override {
    return backend_->remove(senders);
  }
  Result<std::vector<std::string>> links() override { return backend_->links(); }
  Result<std::vector<DropCounter>> drops() override { return backend_->drops(); }
  Result<std::vector<Drift>> audit() override { return backend_->audit(); }
  [[nodiscard]] int changes() const override { return backend_->changes(); }
  Result<void> cut_off() override { return backend_->cut_off(); }

 private:
  std::unique_ptr<FirewallBackend> backend_;
  std::function<Result<void>()> clear_other_;
};

Result<ChosenFirewall> opened(const FirewallWay& way, const FirewallWay& other, std::string why) {
  PANAL_ASSIGN(auto backend, way.open());
  return ChosenFirewall{std::make_unique<Sole>(std::move(backend), other.clear), std::move(why)};
}

}  // namespace

const char* to_string(FirewallChoice choice) { return kNames[static_cast<std::size_t>(choice)]; }

Result<FirewallChoice> parse_firewall_choice(const std::string& text) {
  for (const auto choice :
       {FirewallChoice::kAuto, FirewallChoice::kNftables, FirewallChoice::kIptables})
    if (text == to_string(choice)) return choice;
  std::string sentence = "backend \"" + text + "\": want \"auto\", \"nftables\" or \"iptables\"";
  const auto near = nearest(text, {std::begin(kNames), std::end(kNames)});
  if (!near.empty()) sentence += "; did you mean \"" + near + "\"?";
  return fail(EINVAL, std::move(sentence));
}

Result<ChosenFirewall> choose_firewall(FirewallChoice choice, const FirewallWay& nftables,
                                       const FirewallWay& iptables) {
  switch (choice) {
    case FirewallChoice::kNftables:
      return opened(nftables, iptables, "nftables, as the configuration says");
    case FirewallChoice::kIptables:
      return opened(iptables, nftables,
                    std::string("iptables, as the configuration says; ") + kNoBridges);
    case FirewallChoice::kAuto: break;
  }
  auto first = opened(nftables, iptables,
                      "nftables: the kernel has it, and its costs do not grow with the desktops");
  // Only what cannot be had leads to the second best: not being root is no reason.
  if (first || (first.error().code != EPROTONOSUPPORT && !first.error().is_unsupported()))
    return first;
  auto second = opened(iptables, nftables,
                       "iptables: " + first.error().context + "; so it is iptables; " + kNoBridges);
  if (second) return second;
  return fail(EPROTONOSUPPORT,
              "no firewall can be had: " + first.error().context + "; " + second.error().context);
}

}  // namespace panal::netconfine
