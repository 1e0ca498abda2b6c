#include "bench/density/density.h"

#include <fmt/format.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bench/density/sampler.h"
#include "bench/density/say.h"
#include "bench/density/stopwatch.h"
#include "bench/density/typing.h"
#include "bench/density/units.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;
/// A desktop that has just started is settled when it uses less than this of a core.
constexpr double kSettledCores = 0.002;

/// A lot of desktops on its way from stopped to attached.
class Lot {
 public:
  Lot(BenchNode& node, Load& load, std::vector<Account> accounts, std::set<std::int64_t> watched)
      : node_(node), load_(load), accounts_(std::move(accounts)), watched_(std::move(watched)) {}

  /// Errors: ETIMEDOUT when one of them is not attached after `patience`.
  Result<json> bring_up(std::chrono::seconds patience) {
    const auto begin = Clock::now();
    std::vector<std::string> words = {"desktop", "start", "--no-wait"};
    for (const auto& account : accounts_) words.push_back(account.desktop);
    PANAL_TRY(node_.panal(words));
    std::map<std::int64_t, double> running;
    std::vector<double> connected;
    std::vector<double> own;  // of each desktop, from its start to its client
    std::set<std::int64_t> waiting;
    for (const auto& account : accounts_) waiting.insert(account.id);
    while (!waiting.empty()) {
      PANAL_ASSIGN(const auto live, node_.live());
      for (const auto& account : accounts_) {
        const auto found = live.find(account.id);
        if (found == live.end() || !found->second.agent || waiting.count(account.id) == 0) continue;
        if (running.count(account.id) == 0) {
          running[account.id] = seconds_since(begin);
          PANAL_TRY(load_.connect(account, watched_.contains(account.id)));
        }
        if (found->second.session != "connected") continue;
        connected.push_back(seconds_since(begin));
        own.push_back(connected.back() - running[account.id]);
        waiting.erase(account.id);
      }
      if (Clock::now() - begin > patience) {
        return fail(ETIMEDOUT, fmt::format("{} of {} desktops have no client after {} s; {} run",
                                           waiting.size(), accounts_.size(), patience.count(),
                                           running.size()));
      }
      // Panald reads ten files a desktop for an answer: with many up that must not be what is
      // measured.
      std::this_thread::sleep_for(
          std::chrono::milliseconds(std::max<std::size_t>(50, live.size())));
    }
    std::vector<double> started;
    for (const auto& [id, seconds] : running) started.push_back(seconds);
    return json{{"desktops", accounts_.size()},
                {"all_running_seconds", percentile(started, 100)},
                {"all_connected_seconds", percentile(connected, 100)},
                {"running_to_connected_p50_seconds", median(own)},
                {"running_to_connected_max_seconds", percentile(own, 100)}};
  }

 private:
  BenchNode& node_;
  Load& load_;
  std::vector<Account> accounts_;
  std::set<std::int64_t> watched_;
};

/// What was seen while N desktops were held.
struct Held {
  double available = 0, load = 0, lab = 0, charge = 0, anon = 0, desktop_cores = 0,
         monitor_cores = 0;
  Census before, after;
  double seconds = 0;
};

Result<Held> hold(const Sampler& sampler, unsigned seconds) {
  Held out;
  PANAL_ASSIGN(out.before, sampler.census(false));
  PANAL_ASSIGN(const Sample first, sampler.sample());
  std::vector<double> available, load, lab, charge, anon;
  Sample last = first;
  for (unsigned i = 0; i < std::max(1U, seconds); ++i) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    PANAL_ASSIGN(last, sampler.sample());
    available.push_back(last.available);
    load.push_back(last.load_charge);
    lab.push_back(last.lab_charge);
    charge.push_back(last.desktops_charge);
    anon.push_back(last.desktops_anon);
  }
  out.seconds = last.seconds - first.seconds;
  out.desktop_cores = (last.desktops_cpu - first.desktops_cpu) / 1e9 / out.seconds;
  out.monitor_cores = (last.monitors_cpu - first.monitors_cpu) / 1e9 / out.seconds;
  PANAL_ASSIGN(out.after, sampler.census(true));
  out.available = median(available);
  out.load = median(load);
  out.lab = median(lab);
  out.charge = median(charge);
  out.anon = median(anon);
  return out;
}

double cores_of(const Held& held, const std::string& name) {
  const auto then = held.before.cpu.find(name);
  const auto now = held.after.cpu.find(name);
  if (then == held.before.cpu.end() || now == held.after.cpu.end()) return 0;
  return (now->second - then->second) / 1e9 / held.seconds;
}

/// panald and what works for it: spawners, throw-away users, the containers' monitors.
constexpr const char* kPanaldParts[] = {"panald", "panal-spawner", "panal-prewarm", "monitor"};

void describe_panald(const Held& held, json& out) {
  double cpu_percent = 0;
  double pss_mib = 0;
  for (const char* part : kPanaldParts) {
    const auto pss = held.after.pss.find(part);
    const double mib = pss == held.after.pss.end() ? 0 : pss->second / kMib;
    const double percent = 100 * cores_of(held, part);
    out["panald_parts"][part] = {{"cpu_percent", percent}, {"pss_mib", mib}};
    cpu_percent += percent;
    pss_mib += mib;
  }
  out["panald_cpu_percent"] = cpu_percent;
  out["panald_pss_mib"] = pss_mib;
}

json describe(const Held& held, std::size_t count) {
  json out = {{"count", count},
              {"mem_available_mib", held.available / kMib},
              {"load_mib", held.load / kMib},
              {"lab_mib", held.lab / kMib},
              {"desktops_charge_mib", held.charge / kMib},
              {"desktops_anon_mib", held.anon / kMib},
              {"held_seconds", held.seconds}};
  const double each = 1e6 / static_cast<double>(count);
  json cpu = {{"desktops", held.desktop_cores * each}, {"monitors", held.monitor_cores * each}};
  for (const char* name : {"nxproxy", "panal-client", "panal-broker", "panald", "Xvfb", "postgres"})
    cpu[name] = cores_of(held, name) * each;
  out["cpu_ppm_per_desktop"] = cpu;
  describe_panald(held, out);
  for (const auto& [name, bytes] : held.after.pss) {
    out["pss_mib"][name] = bytes / kMib;
    out["processes"][name] = held.after.processes.at(name);
  }
  for (const auto& [name, number] : held.after.programs)
    if (number * 2 >= static_cast<int>(count)) out["programs"][name] = number;
  return out;
}

/// Slopes over the steps, MiB for each further desktop.
json slopes(const json& steps) {
  const auto over = [&](const std::function<double(const json&)>& value) {
    std::vector<std::pair<double, double>> points;
    for (const auto& step : steps) points.emplace_back(step["count"].get<double>(), value(step));
    return fit_line(points).slope;
  };
  const auto field = [](const char* name) {
    return [name](const json& step) { return step[name].get<double>(); };
  };
  const double available = -over(field("mem_available_mib"));
  const double load = over(field("load_mib"));
  json helpers = json::object();
  for (const char* name : {"panald", "panal-broker", "panal-spawner", "postgres", "monitor"})
    helpers[name] = over([name](const json& step) {
      return step.contains("pss_mib") ? step["pss_mib"].value(name, 0.0) : 0.0;
    });
  return {{"marginal_mib", available - load},
          {"charged_marginal_mib", over(field("lab_mib")) - load},
          {"available_mib", available},
          {"load_mib", load},
          {"desktops_charge_mib", over(field("desktops_charge_mib"))},
          {"desktops_anon_mib", over(field("desktops_anon_mib"))},
          {"helpers_pss_mib", helpers}};
}

/// Who leaves: spread evenly over the lots, so that each lot has its share.
bool leaves(std::size_t index, unsigned percent) {
  return (index + 1) * percent / 100 > index * percent / 100;
}

std::vector<Account> leavers(const std::vector<Account>& accounts, std::size_t from, std::size_t to,
                             unsigned percent) {
  std::vector<Account> out;
  for (std::size_t i = from; i < to; ++i)
    if (leaves(i, percent)) out.push_back(accounts[i]);
  return out;
}

/// Who is typed into, of those that stay: every tenth for 10 percent.
std::vector<Account> typed_into(const std::vector<Account>& accounts, std::size_t to,
                                const DensityOptions& options) {
  std::vector<Account> out;
  for (std::size_t i = 0; i < to; ++i)
    if ((i * options.active_percent) % 100 < options.active_percent &&
        !leaves(i, options.disconnected_percent))
      out.push_back(accounts[i]);
  return out;
}

json spread_ms(const std::vector<double>& ms) {
  if (ms.empty()) return {{"count", 0}};
  return {{"count", ms.size()},
          {"p50", median(ms)},
          {"p99", percentile(ms, 99)},
          {"max", percentile(ms, 100)}};
}

/// Everybody is looked at again: a desktop that died in silence would make the rest look cheap.
/// A key is typed into each; who was away comes back before, one after the other.
Result<json> visit(BenchNode& node, Load& load, const std::vector<Account>& accounts,
                   const std::vector<Account>& away, bool must_answer) {
  const auto attached = [](const LiveDesktop& d) { return d.agent && d.session == "connected"; };
  std::set<std::int64_t> gone;
  for (const Account& account : away) gone.insert(account.id);
  std::vector<double> came_back, stayed_ms, returned_ms;
  std::vector<std::string> silent;
  const auto ask = [&](const Account& account, std::vector<double>& ms) {
    if (const auto answer = load.answer(account, std::chrono::seconds(10)))
      ms.push_back(*answer);
    else
      silent.push_back(answer.error().message());
  };
  for (const Account& account : accounts)
    if (!gone.contains(account.id)) ask(account, stayed_ms);
  for (const Account& account : away) {
    const auto begin = Clock::now();
    PANAL_TRY(load.connect(account));
    PANAL_TRY(
        node.wait_for({account}, "it to be attached again", attached, std::chrono::seconds(60)));
    came_back.push_back(seconds_since(begin));
    ask(account, returned_ms);
    // Their screens' memory is the load generator's, and there is not enough for all at once.
    load.disconnect({account});
  }
  std::vector<Account> there;
  std::copy_if(accounts.begin(), accounts.end(), std::back_inserter(there),
               [&](const Account& account) { return !gone.contains(account.id); });
  PANAL_TRY(
      node.wait_for(there, "all desktops to be attached still", attached, std::chrono::seconds(5)));
  if (load.running() != there.size())
    return fail(ECHILD,
                fmt::format("only {} of {} clients still run", load.running(), there.size()));
  if (!silent.empty() && must_answer)
    return fail(ETIMEDOUT, fmt::format("{} of {} desktops do not answer a key; the first: {}",
                                       silent.size(), accounts.size(), silent.front()));
  json out = {{"attached", there.size()},
              {"silent", silent.size()},
              {"came_back", came_back.size()},
              {"stayed_answer_ms", spread_ms(stayed_ms)},
              {"returned_answer_ms", spread_ms(returned_ms)}};
  if (!came_back.empty()) {
    out["came_back_p50_seconds"] = median(came_back);
    out["came_back_max_seconds"] = percentile(came_back, 100);
  }
  return out;
}

void wait_for_interrupt() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGTERM}) ::sigaddset(&set, number);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  int number = 0;
  ::sigwait(&set, &number);
}

Result<json> scenario(BenchNode& node, const DensityOptions& options) {
  PANAL_TRY(node.use_image(options.image));
  say("{} users, desktops and homes", options.count);
  PANAL_ASSIGN(const auto accounts, node.make_desktops(options.image, options.count));
  PANAL_ASSIGN(const auto load, Load::make(node));
  PANAL_ASSIGN(const auto sampler, Sampler::make(node, *load));
  json out = {{"image", options.image},
              {"count", options.count},
              {"prewarm", options.prewarm},
              {"hold_seconds", options.hold_seconds},
              {"steps", json::array()},
              {"parallel_starts", node.config().parallel_starts},
              {"profile", options.profile},
              {"disconnected_percent", options.disconnected_percent},
              {"active_percent", options.active_percent}};
  const std::size_t steps = std::clamp<std::size_t>(options.steps, 1, options.count);
  std::size_t up = 0;
  const auto active = typed_into(accounts, accounts.size(), options);
  std::set<std::int64_t> watched;
  for (const Account& account : active) watched.insert(account.id);
  for (std::size_t step = 1; step <= steps; ++step) {
    const std::size_t goal = options.count * step / steps;
    Lot lot(node, *load,
            {accounts.begin() + static_cast<std::ptrdiff_t>(up),
             accounts.begin() + static_cast<std::ptrdiff_t>(goal)},
            watched);
    const auto begin = Clock::now();
    PANAL_ASSIGN(auto times, lot.bring_up(std::chrono::seconds(60 + 6 * (goal - up))));
    const std::size_t first = std::exchange(up, goal);
    say("{} desktops attached, the last {} in {:.1f} s", goal, times["desktops"].get<std::size_t>(),
        times["all_connected_seconds"].get<double>());
    PANAL_ASSIGN(const bool settled,
                 sampler.settle(up, kSettledCores, std::chrono::seconds(options.settle_seconds)));
    times["settled_seconds"] = seconds_since(begin);
    if (options.disconnected_percent > 0)
      load->disconnect(leavers(accounts, first, up, options.disconnected_percent));
    std::optional<Typing> typing;
    if (const auto busy = typed_into(accounts, up, options); !busy.empty()) {
      PANAL_ASSIGN(Typist * typist, load->typist_of(busy.front()));
      std::vector<std::string> names;
      for (const Account& account : busy) names.push_back(account.desktop);
      typing.emplace(*typist, std::move(names));
    }
    const bool last = step == steps;
    std::this_thread::sleep_for(std::chrono::seconds(
        last && options.last_rest_seconds > 0 ? options.last_rest_seconds : options.rest_seconds));
    PANAL_ASSIGN(const auto held,
                 hold(sampler, last && options.last_hold_seconds > 0 ? options.last_hold_seconds
                                                                     : options.hold_seconds));
    json one = describe(held, up);
    if (typing) {
      one["typing"] = typing->end();
      say("typing: {}", one["typing"].dump());
    }
    one["settled"] = settled;
    one["start"] = times;
    out["steps"].push_back(std::move(one));
    if (options.profile != "off") {
      PANAL_ASSIGN(auto now, node.stats());
      out["steps"].back()["optimiser"] = std::move(now["optimiser"]);
    }
    say("held: {:.0f} MiB available, {:.1f} MiB charged each, {:.0f} ppm of CPU each",
        held.available / kMib, held.charge / kMib / static_cast<double>(up),
        held.desktop_cores * 1e6 / static_cast<double>(up));
  }
  out["slope"] = slopes(out["steps"]);
  out["all_connected_seconds"] = out["steps"][0]["start"]["all_connected_seconds"];
  PANAL_ASSIGN(auto stats, node.stats());
  out["optimiser"] = std::move(stats["optimiser"]);
  PANAL_ASSIGN(out["visit"],
               visit(node, *load, accounts, leavers(accounts, 0, up, options.disconnected_percent),
                     options.must_answer));
  if (options.keep) {
    say("everything stays up until SIGINT; config {}/panal.toml", node.directory());
    wait_for_interrupt();
  }
  const auto begin = Clock::now();
  load->disconnect_all();
  out["disconnect_seconds"] = seconds_since(begin);
  return out;
}

}  // namespace

Result<json> run_density(const DensityOptions& options) {
  say("panal up");
  PANAL_ASSIGN(auto node, BenchNode::up({.prewarm = options.prewarm,
                                         .parallel_starts = options.parallel_starts,
                                         .profile = options.profile}));
  auto result = scenario(node, options);
  if (!result) say("{}", result.error().message());
  const auto begin = Clock::now();
  const auto down = node.down();
  if (!result) return result;
  if (!down) return prefixed("afterwards", down.error());
  (*result)["down_seconds"] = seconds_since(begin);
  return result;
}

}  // namespace panal::bench
