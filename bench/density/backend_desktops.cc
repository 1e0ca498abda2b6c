#include "bench/density/backend_desktops.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "bench/backends/backends.h"
#include "bench/density/bench_node.h"
#include "bench/density/host_watch.h"
#include "bench/density/load.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/units.h"
#include "storage/compose/choice.h"

namespace panal::bench {
namespace {

using nlohmann::json;
using std::chrono::seconds;

/// As in the density scenario.
constexpr double kAtRestCores = 0.002;
/// A copy of an image of XFCE takes some five seconds, a union in user space makes all slower.
constexpr unsigned kSecondsADesktop = 30;

/// What [compose] of a node says for the arm.
std::string compose_of(const std::string& arm, const std::string& lvm_pool) {
  std::string out = fmt::format("backend = \"{}\"\n", arm);
  if (arm == "btrfs") out += "btrfs_loop_size = \"16 GiB\"\n";
  if (arm == "lvm") out += fmt::format("lvm_pool = \"{}\"\n", lvm_pool);
  return out;
}

/// Why this arm has no desktops; "": it has.
Result<std::string> reason_against(const std::string& arm, const storage::ComposeFacts& facts) {
  // Their roots are shared, or not, as those are.
  if (arm == "overlay-layers") return std::string("as overlay");
  if (arm == "copy-reflink")
    return std::string("as copy: blocks that are shared, pages that are not");
  return storage::why_not(arm, facts);
}

double daemons_pss(const Tree& tree) {
  double sum = 0;
  const auto entries = tree.proc.list();
  if (!entries) return 0;
  for (const std::string& entry : *entries) {
    const auto process = tree.proc.open_dir(entry);
    const auto name = process ? process->read("comm") : Result<std::string>(fail(ENOENT, entry));
    // comm ends after 15 bytes, and a thread of it is the same memory.
    if (!name || (!name->starts_with("fuse-overlayfs") && !name->starts_with("unionfs"))) continue;
    if (const auto pss = pss_bytes(tree, std::atoi(entry.c_str()))) sum += *pss;
  }
  return sum;
}

Result<json> hold_desktops(BenchNode& node, const BackendDesktopsOptions& options) {
  PANAL_ASSIGN(const Tree tree, Tree::open_system());
  PANAL_TRY(node.use_image(options.image));
  PANAL_ASSIGN(const auto accounts, node.make_desktops(options.image, options.count));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(const auto sampler, Sampler::make(node, *load));
  PANAL_ASSIGN(const auto host, HostWatch::make(node, *load));

  const auto begin = Clock::now();
  std::vector<std::string> words = {"desktop", "start", "--no-wait"};
  for (const Account& account : accounts) words.push_back(account.desktop);
  PANAL_TRY(node.panal(words));
  const seconds patience(60 + kSecondsADesktop * accounts.size());
  PANAL_TRY(node.wait_for(
      accounts, "them to run", [](const LiveDesktop& one) { return one.agent; }, patience));
  for (const Account& account : accounts) PANAL_TRY(load->connect(account));
  const auto attached = [](const LiveDesktop& one) { return one.session == "connected"; };
  PANAL_TRY(node.wait_for(accounts, "them to be attached", attached, patience));
  json out = {{"desktops", accounts.size()}, {"connected_seconds", seconds_since(begin)}};
  PANAL_ASSIGN(out["settled"],
               sampler.settle(accounts.size(), kAtRestCores, seconds(options.settle_seconds)));
  PANAL_ASSIGN(const DesktopsMemory memory, host.walk_desktops());
  out.update(describe(memory));
  out["daemons_pss_mib"] = daemons_pss(tree) / kMib;
  // One that died would look cheap.
  PANAL_TRY(node.wait_for(accounts, "them to be attached still", attached, seconds(5)));
  load->disconnect_all();
  return out;
}

Result<json> run_backend(const std::string& arm, const BackendDesktopsOptions& options) {
  PANAL_ASSIGN(auto node, BenchNode::up({.compose = compose_of(arm, options.lvm_pool)}));
  auto held = hold_desktops(node, options);
  const auto down = node.down();
  if (!held) return held;
  if (!down) return prefixed("afterwards", down.error());
  return held;
}

}  // namespace

Result<json> run_backend_desktops(const BackendDesktopsOptions& options) {
  const char* temporary = std::getenv("TMPDIR");
  const std::string directory = temporary == nullptr ? "/tmp" : temporary;
  PANAL_ASSIGN(const Tree tree, Tree::open_system());
  PANAL_ASSIGN(const auto facts, storage::probe_compose(tree, {directory, directory + "/pool", true,
                                                               options.lvm_pool}));
  json out = json::object();
  for (const std::string& arm : options.arms.empty() ? backend_arms() : options.arms) {
    PANAL_ASSIGN(const std::string against, reason_against(arm, facts));
    if (!against.empty()) {
      say("{} desktops on {}: skipped: {}", options.image, arm, against);
      out[arm] = {{"skipped", against}};
      continue;
    }
    say("{} {} desktops on {}", options.count, options.image, arm);
    auto measured = run_backend(arm, options);
    if (!measured) measured = json{{"failed", measured.error().message()}};
    say("{}: {}", arm, measured->dump());
    out[arm] = std::move(*measured);
  }
  return out;
}

}  // namespace panal::bench
