#include <fmt/format.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "bench/density/load.h"
#include "bench/density/measure.h"
#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "engine/base/arithmetic.h"
#include "engine/base/cleanup.h"

namespace panal::bench {
namespace {

using nlohmann::json;

bool attached(const LiveDesktop& desktop) {
  return desktop.agent && desktop.session == "connected";
}

/// `count` IceWM desktops, each with a live client.
struct Attached {
  std::vector<Account> accounts;
  std::unique_ptr<Load> load;
};

Result<Attached> attach_some(BenchNode& node, std::size_t count) {
  Attached out;
  PANAL_TRY(node.use_image("icewm"));
  PANAL_ASSIGN(out.accounts, node.make_desktops("icewm", count));
  PANAL_ASSIGN(out.load, Load::make(node));
  PANAL_TRY(node.panal({"desktop", "start", "--all"}));
  for (const auto& account : out.accounts) PANAL_TRY(out.load->connect(account));
  PANAL_TRY(node.wait_for(out.accounts, "clients", attached, std::chrono::seconds(180)));
  return out;
}

Result<Measured> agent_pss(BenchNode& node) {
  PANAL_ASSIGN(const auto some, attach_some(node, 3));
  std::this_thread::sleep_for(std::chrono::seconds(15));
  PANAL_ASSIGN(const auto tree, Tree::open_system());
  PANAL_ASSIGN(const auto live, node.live());
  std::vector<double> kib;
  for (const auto& [id, desktop] : live) {
    PANAL_ASSIGN(const double bytes, pss_bytes(tree, desktop.init_pid));
    kib.push_back(bytes / 1024);
  }
  const json details = {{"desktops", kib.size()}, {"median_kib", median(kib)}};
  return Measured{percentile(kib, 100), details.dump()};
}

Result<double> readopt_once(BenchNode& node, const Attached& some) {
  PANAL_ASSIGN(const auto before, node.live());
  PANAL_ASSIGN(const pid_t pid, node.panald_pid());
  const auto begin = Clock::now();
  if (::kill(pid, SIGKILL) != 0) return fail_errno("kill", "panald");
  while (true) {
    const auto now = node.live();
    std::size_t owned = 0;
    if (now) {
      for (const auto& account : some.accounts) {
        const auto found = now->find(account.id);
        if (found == now->end() || !attached(found->second)) continue;
        const auto then = before.find(account.id);
        if (then == before.end() || found->second.init_pid != then->second.init_pid)
          return fail(ECHILD, account.desktop + " was started again");
        ++owned;
      }
    }
    if (owned == some.accounts.size()) break;
    if (Clock::now() - begin > std::chrono::seconds(60))
      return fail(ETIMEDOUT, fmt::format("{} of {} desktops are owned again after 60 s", owned,
                                         some.accounts.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const double seconds = seconds_since(begin);
  PANAL_ASSIGN(const pid_t now, node.panald_pid());
  if (now == pid) return fail(EPROTO, "panald was not killed");
  if (some.load->running() != some.accounts.size())
    return fail(ECHILD, fmt::format("only {} of {} clients outlived panald", some.load->running(),
                                    some.accounts.size()));
  return seconds;
}

Result<Measured> readopt(BenchNode& node) {
  PANAL_ASSIGN(const auto some, attach_some(node, 10));
  std::vector<double> seconds;
  for (int i = 0; i < 5; ++i) {
    // A service that dies young waits longer each time; this is about a lone death.
    std::this_thread::sleep_for(std::chrono::seconds(12));
    PANAL_ASSIGN(const double one, readopt_once(node, some));
    say("owned again after {:.2f} s", one);
    seconds.push_back(one);
  }
  const json details = {{"desktops", 10},
                        {"kills", seconds.size()},
                        {"max_seconds", percentile(seconds, 100)},
                        {"min_seconds", percentile(seconds, 0)}};
  return Measured{median(seconds), details.dump()};
}

Result<Measured> up_again(BenchNode& node) {
  std::vector<double> seconds;
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    PANAL_TRY(node.panal({"up"}));
    seconds.push_back(seconds_since(begin));
  }
  const json details = {
      {"note", "`panal up` in the lab; scripts/up adds its look at packages and build"},
      {"max_seconds", percentile(seconds, 100)}};
  return Measured{median(seconds), details.dump()};
}

/// A node for one measurement, taken down whatever comes of it.
Result<Measured> with_node(Result<Measured> (*work)(BenchNode&)) {
  PANAL_ASSIGN(auto node, BenchNode::up({}));
  auto result = work(node);
  const auto down = node.down();
  if (result && !down) return prefixed("afterwards", down.error());
  return result;
}

}  // namespace

Result<Measured> measure_up_again() { return with_node(up_again); }
Result<Measured> measure_agent_pss() { return with_node(agent_pss); }
Result<Measured> measure_readopt() { return with_node(readopt); }

}  // namespace panal::bench
