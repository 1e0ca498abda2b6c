#include "bench/density/effects.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/density/desktop_cost.h"
#include "bench/density/effect_settings.h"
#include "bench/density/effect_sums.h"
#include "bench/density/load.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/units.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr const char* kShipped = "shipped";
/// As in the density scenario.
constexpr double kQuietCores = 0.002;

Result<std::vector<EffectSetting>> chosen_settings(const EffectsOptions& options) {
  std::vector<EffectSetting> all = effect_settings(options.image);
  if (options.settings.empty()) return all;
  std::vector<EffectSetting> out;
  for (const std::string& name : options.settings) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const EffectSetting& one) { return one.name == name; });
    if (found == all.end()) {
      std::string known;
      for (const EffectSetting& one : all) known += " " + one.name;
      return fail(EINVAL,
                  fmt::format("{} has no setting {}; it has{}", options.image, name, known));
    }
    out.push_back(*found);
  }
  return out;
}

/// One lot of desktops, held. `setting`: how they differ from the shipped ones; nullptr: not.
Result<EffectCost> hold_arm(BenchNode& node, const EffectsOptions& options,
                            const EffectSetting* setting) {
  PANAL_TRY(node.use_image(options.image));
  PANAL_ASSIGN(const auto accounts, node.make_desktops(options.image, options.count));
  if (setting != nullptr)
    for (const Account& account : accounts) PANAL_TRY(node.plant(account, setting->undone));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(const auto sampler, Sampler::make(node, *load));
  PANAL_ASSIGN(const auto tree, Tree::open_system());

  std::vector<std::string> words = {"desktop", "start", "--no-wait"};
  for (const Account& account : accounts) words.push_back(account.desktop);
  PANAL_TRY(node.panal(words));
  const seconds patience(60 + 6 * accounts.size());
  PANAL_TRY(node.wait_for(
      accounts, "them to run", [](const LiveDesktop& one) { return one.agent; }, patience));
  for (const Account& account : accounts) PANAL_TRY(load->connect(account));
  const auto attached = [](const LiveDesktop& one) { return one.session == "connected"; };
  PANAL_TRY(node.wait_for(accounts, "them to be attached", attached, patience));
  PANAL_TRY(sampler.settle(accounts.size(), kQuietCores, seconds(options.settle_seconds)));
  std::this_thread::sleep_for(seconds(options.rest_seconds));

  PANAL_ASSIGN(const Sample first, sampler.sample());
  PANAL_ASSIGN(const DesktopUse before, use_of(tree, load->root(), node, accounts));
  std::this_thread::sleep_for(seconds(std::max(1U, options.hold_seconds)));
  PANAL_ASSIGN(const Sample last, sampler.sample());
  PANAL_ASSIGN(const DesktopUse after, use_of(tree, load->root(), node, accounts));
  // One that died would look cheap.
  PANAL_TRY(node.wait_for(accounts, "them to be attached still", attached, seconds(5)));
  load->disconnect_all();

  const auto each = static_cast<double>(accounts.size());
  EffectCost cost;
  cost.own_mib = after.own_bytes / kMib / each;
  cost.charged_mib = after.charged_bytes / kMib / each;
  cost.cpu_ppm = (after.cpu_ns - before.cpu_ns) / 1e3 / (last.seconds - first.seconds) / each;
  cost.written_kib = (after.written_bytes - before.written_bytes) / 1024 / each;
  cost.start_cpu_ms = before.cpu_ns / 1e6 / each;
  cost.start_written_kib = before.written_bytes / 1024 / each;
  return cost;
}

Result<EffectCost> run_arm(const EffectsOptions& options, const EffectSetting* setting) {
  PANAL_ASSIGN(auto node,
               BenchNode::up({.guest = setting == nullptr ? std::string() : setting->guest}));
  auto cost = hold_arm(node, options, setting);
  const auto down = node.down();
  if (!cost) return cost;
  if (!down) return prefixed("afterwards", down.error());
  return cost;
}

json as_json(const EffectCost& cost) {
  json out = json::object();
  for (const EffectMeasure& measure : effect_measures()) out[measure.name] = cost.*measure.value;
  return out;
}

}  // namespace

Result<json> run_effects(const EffectsOptions& options) {
  PANAL_ASSIGN(const auto settings, chosen_settings(options));
  std::map<std::string, std::vector<EffectCost>> arms;
  for (unsigned round = 1; round <= std::max(1U, options.rounds); ++round) {
    std::vector<const EffectSetting*> order = {nullptr};
    for (const EffectSetting& setting : settings) order.push_back(&setting);
    // What drifts with time must not be taken for an effect.
    if (round % 2 == 0) std::reverse(order.begin(), order.end());
    for (const EffectSetting* setting : order) {
      const std::string name = setting == nullptr ? kShipped : setting->name;
      PANAL_ASSIGN(const EffectCost cost, run_arm(options, setting));
      say("round {} of {}: {}: {}", round, options.rounds, name, as_json(cost).dump());
      arms[name].push_back(cost);
    }
  }

  json out = {{"image", options.image},
              {"count", options.count},
              {"rounds", options.rounds},
              {"settle_seconds", options.settle_seconds},
              {"rest_seconds", options.rest_seconds},
              {"hold_seconds", options.hold_seconds},
              {"arms", json::object()},
              {"effects", json::object()}};
  for (const auto& [name, costs] : arms)
    for (const EffectCost& cost : costs) out["arms"][name].push_back(as_json(cost));
  for (const EffectSetting& setting : settings) {
    json one = {{"what", setting.what}, {"of", setting.of_recipe() ? "recipe" : "profile"}};
    const auto& shipped = arms[kShipped];
    const auto& other = arms[setting.name];
    for (const EffectMeasure& measure : effect_measures()) {
      PANAL_ASSIGN(const EffectSaving saved, setting.of_recipe()
                                                 ? effect_saving(other, shipped, measure.value)
                                                 : effect_saving(shipped, other, measure.value));
      one[measure.name] = {{"median", saved.median}, {"least", saved.least}, {"most", saved.most}};
    }
    out["effects"][setting.name] = std::move(one);
  }
  return out;
}

}  // namespace panal::bench
