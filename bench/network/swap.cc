#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/backends/spread.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/network/flow.h"
#include "bench/network/full_policies.h"
#include "bench/network/network.h"
#include "bench/network/node.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// A packet a millisecond and flow: some hundredths of what a core passes on, so that whatever is
/// lost is lost by the rules.
constexpr std::chrono::milliseconds kPace{1};
constexpr std::chrono::seconds kLast{5};

using Flows = std::vector<std::unique_ptr<Flow>>;

Result<Flows> flows_of(const MeasuredNode& node) {
  Flows flows;
  const auto add = [&](Result<Flow> flow) -> Result<void> {
    if (!flow) return tl::make_unexpected(flow.error());
    flows.push_back(std::make_unique<Flow>(std::move(*flow)));
    return {};
  };
  const auto& me = node.sender_addresses();
  const std::string me4 = netconfine::to_string(me.ipv4), me6 = netconfine::to_string(me.ipv6);
  PANAL_TRY(
      add(Flow::open("out", node.sender(), me4, node.outside(), "10.1.0.53", kDnsPort, true)));
  PANAL_TRY(
      add(Flow::open("out6", node.sender(), me6, node.outside(), "fd00:1::53", kDnsPort, true)));
  for (std::size_t i = 0; i < 2; ++i) PANAL_TRY(add(flows[i]->replies(flows[i]->name() + " back")));
  PANAL_TRY(add(
      Flow::open("denied", node.sender(), me4, node.outside(), "10.1.0.53", kNobodysPort, false)));
  PANAL_TRY(add(Flow::open("denied6", node.sender(), me6, node.outside(), "fd00:1::53",
                           kNobodysPort, false)));
  if (!node.mate().valid()) return flows;
  const auto& mate = node.mate_addresses();
  constexpr std::uint16_t kPort = 7001;
  PANAL_TRY(add(Flow::open("mate", node.sender(), me4, node.mate(),
                           netconfine::to_string(mate.ipv4), kPort, true)));
  PANAL_TRY(add(Flow::open("mate6", node.sender(), me6, node.mate(),
                           netconfine::to_string(mate.ipv6), kPort, true)));
  return flows;
}

/// Sends on all flows at a pace and takes what arrives, on two threads, until it is stopped.
class FlowLoad {
 public:
  explicit FlowLoad(Flows& flows)
      : flows_(flows),
        sender_([this] { run([](Flow& flow) { return flow.send(); }, sending_); }),
        taker_([this] { run([](Flow& flow) { return flow.take(); }, taking_); }) {}
  ~FlowLoad() { (void)stop(); }

  /// What is on its way then has time to arrive.
  Result<void> stop() {
    sending_ = false;
    if (sender_.joinable()) sender_.join();
    const auto all_here = [this] {
      for (const auto& flow : flows_)
        if (flow->allowed() && flow->arrived() < flow->sent()) return false;
      return true;
    };
    taking_ = false;
    if (taker_.joinable()) taker_.join();
    const auto begin = Clock::now();
    do {
      for (const auto& flow : flows_)
        if (auto taken = flow->take(); !taken) keep(taken.error());
      if (all_here()) break;
      std::this_thread::sleep_for(kPace);
    } while (Clock::now() - begin < kLast);
    const std::lock_guard lock(mutex_);
    return failed_.context.empty() ? Result<void>{} : tl::make_unexpected(failed_);
  }

 private:
  void run(const std::function<Result<void>(Flow&)>& work, const std::atomic<bool>& wanted) {
    auto next = Clock::now();
    while (wanted) {
      for (const auto& flow : flows_)
        if (auto done = work(*flow); !done) keep(done.error());
      next += kPace;
      std::this_thread::sleep_until(next);
    }
  }
  void keep(const Error& error) {
    const std::lock_guard lock(mutex_);
    if (failed_.context.empty()) failed_ = error;
  }

  Flows& flows_;
  std::atomic<bool> sending_ = true, taking_ = true;
  std::mutex mutex_;
  Error failed_;
  std::thread sender_, taker_;  // last: they use all of the above
};

Result<json> swap_one(const NetworkOptions& options, const std::string& arm) {
  PANAL_ASSIGN(const auto node, MeasuredNode::make(arm, options.sizes.back()));
  PANAL_ASSIGN(const auto first, full_rules(false));
  PANAL_ASSIGN(const auto second, full_rules(true));
  PANAL_ASSIGN(auto flows, flows_of(*node));
  std::vector<double> took;
  {
    FlowLoad load(flows);
    for (unsigned i = 0; i < options.swaps; ++i) {
      const bool other = i % 2 == 0;
      const auto& rules = other ? second : first;
      const auto begin = Clock::now();
      PANAL_TRY(node->network()->set_rules(rules, full_holders(rules, node->desktops(), other)));
      took.push_back(seconds_since(begin) * 1000);
    }
    PANAL_TRY(load.stop());
  }
  json out = {{"desktops", node->desktops()},
              {"swaps", options.swaps},
              {"swap_ms", to_json(spread_of(std::move(took)))},
              {"flows", json::object()}};
  std::uint64_t sent = 0, lost = 0, leaked = 0;
  for (const auto& flow : flows) {
    out["flows"][flow->name()] = {{"sent", flow->sent()}, {"arrived", flow->arrived()}};
    if (flow->sent() == 0) return fail(EIO, flow->name() + ": nothing was sent");
    if (!flow->allowed()) {
      leaked += flow->arrived();
      continue;
    }
    sent += flow->sent();
    lost += flow->sent() - flow->arrived();
  }
  out["sent"] = sent;
  out["lost"] = lost;
  out["leaked"] = leaked;
  return out;
}

}  // namespace

Result<json> network_swap(const NetworkOptions& options, const std::vector<std::string>& arms) {
  json result = json::object();
  for (const auto& arm : arms) {
    if (!is_ours(arm)) continue;
    say("{}", arm);
    auto measured = swap_one(options, arm);
    if (!measured && measured.error().code == EPROTONOSUPPORT) {
      result[arm] = {{"skipped", measured.error().message()}};
      continue;
    }
    if (!measured) return prefixed(arm, measured.error());
    result[arm] = std::move(*measured);
  }
  return result;
}

}  // namespace panal::bench
