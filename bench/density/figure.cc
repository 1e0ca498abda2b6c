#include "bench/density/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace panal::bench {
namespace {

/// What a desktop costs while nobody does anything, besides its image.
std::vector<std::string> resting_code() {
  return {"recipes", "runtime/agent", "runtime/session", "runtime/broker", "runtime/client"};
}

/// What makes the roots of measured desktops: overlay's part of storage/compose. The other backends
/// are beside it, and which one is chosen costs nothing that is measured.
std::vector<std::string> with_root(std::vector<std::string> code) {
  for (const char* path :
       {"storage/compose/backend.h", "storage/compose/layer", "storage/compose/overlay"})
    code.emplace_back(path);
  return code;
}

std::vector<std::string> way_to_a_session() {
  return with_root({"runtime/broker", "runtime/node", "runtime/agent", "runtime/session",
                    "runtime/desktop", "netconfine"});
}

/// Of the network it is the link that each desktop has for itself; what rules cost has figures of
/// its own.
std::vector<std::string> density_code() {
  return with_root(
      {"recipes", "runtime/agent", "runtime/session", "runtime/desktop", "netconfine/link"});
}

/// The same for a recipe that is no product of ours.
std::vector<std::string> stock_code() {
  auto code = density_code();
  code.front() = "bench/recipes";
  return code;
}

/// What an optimised desktop costs: the laws count, and who obeys them.
std::vector<std::string> optimised_code() {
  auto code = density_code();
  for (const char* path : {"engine/kernel", "engine/policy", "engine/profile", "runtime/optimiser"})
    code.emplace_back(path);
  return code;
}

/// What panald is made of, and how many processes it looks after.
std::vector<std::string> node_code() {
  auto code = optimised_code();
  code.emplace_back("runtime/node");
  code.emplace_back("runtime/loop");
  return code;
}

/// How versions are kept.
std::vector<std::string> versions_code() { return {"storage/repo", "storage/image"}; }

/// What scripts/up installs, builds and starts.
std::vector<std::string> everything() {
  return {"CMakeLists.txt", "cmake",   "engine",  "storage",
          "netconfine",     "runtime", "recipes", "scripts"};
}

/// What makes an overlay root; other backends are beside it.
std::vector<std::string> overlay_code() {
  return with_root({"engine/base/mount.cc", "engine/base/user_namespace.cc", "bench/backends"});
}

/// What is interrupted, and by whom.
std::vector<std::string> faults_code() {
  return {"storage/repo",   "storage/image",  "storage/compose",  "storage/home",
          "storage/quota",  "storage/backup", "storage/transfer", "storage/import",
          "storage/unpack", "storage/recipe", "runtime/store",    "bench/faults"};
}

/// The desktops' network, and who attacks it.
std::vector<std::string> attacked_code() { return {"netconfine", "bench/redteam"}; }

/// What packets go through, and who measures it.
std::vector<std::string> network_code() { return {"netconfine", "bench/network"}; }

/// Who confines desktops as they start and run, and who measures it.
std::vector<std::string> confined_code() {
  return with_root({"netconfine", "runtime/netpolicy", "runtime/node", "runtime/desktop",
                    "runtime/agent", "bench/confinement", "bench/density/confinement.cc"});
}

std::vector<Figure> make_figures() {
  return {
      {"up.first_seconds", "s", 900, "`scripts/up` on a Debian 12 with nothing installed",
       everything(), false},
      {"up.again_seconds", "s", 20, "`panal up` when all of it runs already", {"runtime/cli"}},
      {"connect.running_p50_ms", "ms", 150,
       "request to 101, the desktop running and its programs up", way_to_a_session()},
      {"connect.cold_icewm_p50_ms", "ms", 2000, "request to 101, the desktop stopped",
       way_to_a_session()},
      {"connect.first_pixel_p50_ms", "ms", 1000,
       "request to the first painted frame on a pre-warmed desktop", way_to_a_session()},
      {"agent.pss_kib",
       "KiB",
       1024,
       "memory of panal-agent, attached",
       {"engine/base", "runtime/agent", "runtime/session"}},
      {"readopt.seconds",
       "s",
       2,
       "panald killed with 10 attached desktops until a new one owns them all",
       {"runtime/node", "runtime/cli", "runtime/desktop", "runtime/agent"}},
      {"idle.cpu_ppm.icewm", "ppm", 500,
       "CPU of one idle attached IceWM desktop, its agent and its link, in millionths of a core",
       resting_code()},
      {"idle.cpu_ppm.xfce", "ppm", 500, "the same for XFCE", resting_code()},
      {"density.icewm.off.marginal_mib", "MiB", std::nullopt,
       "memory of one more living IceWM desktop, no optimiser", density_code()},
      {"density.xfce.stock.marginal_mib", "MiB", std::nullopt,
       "the same for XFCE as Debian packages it (up to 10: it uses up the CPU)", stock_code()},
      {"density.xfce.off.marginal_mib", "MiB", std::nullopt, "the same for XFCE by our recipe",
       density_code()},
      {"density.icewm.dense.marginal_mib", "MiB", 8,
       "the same for IceWM, profile dense, all connected and idle, up to 100", optimised_code(),
       true, true},
      {"density.xfce.dense.marginal_mib", "MiB", 40, "the same for XFCE", optimised_code(), true,
       true},
      {"density.icewm.mix.marginal_mib", "MiB", 5,
       "the same for IceWM, 10 % typed into, 30 % idle, 60 % disconnected, up to 1,000",
       optimised_code(), true, true},
      {"density.xfce.mix.marginal_mib", "MiB", 25, "the same for XFCE, up to 400", optimised_code(),
       true, true},
      {"density.xfce.mix.count", "desktops", std::nullopt,
       "XFCE desktops, each started by a live client, that hold for 10 minutes (10 % typed into, "
       "30 % idle, 60 % disconnected) with 99 % of keys painted within 100 ms and none lost; at "
       "the end all answer, who stayed the first key within 1 s, and no program is lost",
       optimised_code(), true, true, 400},
      {"density.icewm.mix.count", "desktops", std::nullopt, "the same for IceWM", optimised_code(),
       true, true, 1000},
      {"ksm.profit_ratio", "ratio", std::nullopt,
       "memory won by merging 40 XFCE desktops under the governor, to that of the best other law",
       optimised_code(), true, true, 0.9},
      {"ksm.cpu_ratio", "ratio", 0.33, "ksmd's CPU time there, to that under that law",
       optimised_code(), true, true},
      {"ksm.speedup", "times", std::nullopt,
       "how many times sooner than by ksmtuned's law 90 % of it is won", optimised_code(), true,
       true, 5},
      {"panald.cpu_percent_400", "%", 1,
       "CPU of panald with spawners and the containers' monitors, percent of one core, beside 400 "
       "IceWM desktops (10 % typed into, 30 % idle, 60 % disconnected)",
       node_code(), true, true},
      {"panald.pss_mib_400", "MiB", 48, "their memory", node_code(), true, true},
      {"admission.error_percent", "%", 10,
       "how far the number of further IceWM desktops that panald said would fit was from the "
       "number that did before the first was refused, percent of that",
       node_code(), true, true},
      {"hog.bystander", "kinds", 0,
       "kinds of hog (forks, memory, dirty pages, inotify, ptys) beside which the p99 of key to "
       "paint is "
       "more than max(1.1x, +20 ms) or 100 ms (medians of 5 pairs), or a key or a process of a "
       "bystander's is lost",
       optimised_code(), true, true},
      {"storage.overlay.provision_p50_ms_400", "ms", 2,
       "an overlay root unmade and made again beside 399 others, the making", overlay_code()},
      {"shave.reconnect_added_p99_ms", "ms", 150,
       "first picture of an XFCE desktop after 10 minutes disconnected and shaved, less that of "
       "one "
       "nothing was taken from, p99 of 50 tries each",
       optimised_code(), true, true},
      {"shave.resident_ratio", "ratio", 0.2,
       "PSS of an XFCE desktop after 10 minutes disconnected and shaved, as a part of what it was",
       optimised_code(), true, true},
      {"storage.versions.cache_ratio", "ratio", 1.15,
       "page cache after two versions with 90 % equal files have been read, to that after one",
       versions_code()},
      {"storage.commit_seconds", "s", 10,
       "commit of 700 MiB in 14,350 files of which one in a hundred is new", versions_code()},
      {"storage.log_seconds_100", "s", 1, "list of 100 versions of 20,000 files", versions_code()},
      {"storage.diff_seconds_100", "s", 1, "the first and the last of them compared",
       versions_code()},
      {"storage.gc_seconds_100", "s", 1, "collection after one of them was removed",
       versions_code()},
      {"storage.faults_lost", "faults", 0,
       "faults (kill -9, full disk, no inodes, power failure) at random calls of what a node does "
       "to its disk, from build to homes, and flipped bits, after which something was lost, "
       "damaged, not found or left over",
       faults_code()},
      {"storage.fault_points", "faults", std::nullopt, "how many faults that were", faults_code(),
       true, false, 200},
      {"net.attacks", "attacks", std::nullopt,
       "what a hostile desktop tries that passes on some network for desktops: links without "
       "rules, "
       "lxc-net's bridge, QVD's rules",
       attacked_code(), true, false, 150},
      {"net.attacks_passed", "attacks", 0,
       "of the same, what passes Panal's, by nftables and by iptables together", attacked_code()},
      {"net.flatness_1000", "ratio", 1.05,
       "CPU of a packet through nftables' rules with 1,000 desktops, to that with one (to 100 "
       "where "
       "it takes two), the worst of six ways",
       network_code()},
      {"net.add_p50_ms_1000", "ms", 1,
       "one desktop's rules added or removed beside 1,000, nftables, the slower of the two",
       network_code()},
      {"net.add_400_ms", "ms", 100, "400 desktops' at once, p50 (issue 6)", network_code()},
      {"net.swap_lost", "packets", 0,
       "packets of allowed connections lost while all policies are exchanged 100 times, nftables "
       "and iptables together (issue 6)",
       network_code()},
      {"net.repair_seconds", "s", 5,
       "a flushed table, an added rule, a lost element: until the audit loop has repaired it and "
       "said so, the longest, nftables and iptables",
       network_code()},
      {"net.start_ratio_400", "ratio", 1.05,
       "time until 40 IceWM desktops, started by one command beside 360, run, confined (twenty "
       "policies, an uplink with NAT) to without any rules: the lower 95 % bound of 10 pairs or "
       "more",
       confined_code()},
      {"net.cost_ratio_400", "ratio", 1.05,
       "their memory, or the machine's CPU time from the command until all have had a client for "
       "half a minute, the worse: the same bound",
       confined_code()},
      {"net.start_ratio_1000", "ratio", 1.05, "the first beside 960", confined_code()},
      {"net.cost_ratio_1000", "ratio", 1.05, "the second beside 960", confined_code()},
      {"attach.xfce_20_seconds", "s", 30,
       "one command until 20 XFCE desktops run, each with a live client (issue 3)",
       way_to_a_session()},
      {"attach.icewm_50_seconds", "s", 30,
       "one command until 50 IceWM desktops run, each with a live client (issue 3)",
       way_to_a_session()},
  };
}

}  // namespace

const std::vector<Figure>& figures() {
  static const std::vector<Figure> all = make_figures();
  return all;
}

const Figure* find_figure(std::string_view name) {
  const auto found = std::find_if(figures().begin(), figures().end(),
                                  [&](const Figure& figure) { return figure.name == name; });
  return found == figures().end() ? nullptr : &*found;
}

std::vector<std::string> all_code() {
  std::set<std::string> paths;
  for (const Figure& figure : figures()) paths.insert(figure.code.begin(), figure.code.end());
  return {paths.begin(), paths.end()};
}

bool passes(const Figure& figure, double value) {
  return (!figure.at_most || value <= *figure.at_most) &&
         (!figure.at_least || value >= *figure.at_least);
}

std::string number_text(double value) {
  const double size = std::fabs(value);
  if (size >= 100) return fmt::format("{:.0f}", value);
  if (size >= 10) return fmt::format("{:.1f}", value);
  return fmt::format("{:.3g}", value);
}

std::string target_text(const Figure& figure) {
  if (figure.at_least) return ">=" + number_text(*figure.at_least);
  return figure.at_most ? "<=" + number_text(*figure.at_most) : "report";
}

std::string verdict_line(const Figure& figure, double value) {
  return fmt::format("{} {} {} {} {}", figure.name, number_text(value), figure.unit,
                     target_text(figure), passes(figure, value) ? "pass" : "fail");
}

}  // namespace panal::bench
