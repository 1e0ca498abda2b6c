#include "bench/density/hogs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "bench/density/bench_node.h"
#include "bench/density/load.h"
#include "bench/density/say.h"
#include "bench/density/stored.h"
#include "bench/density/typing.h"
#include "engine/base/arithmetic.h"

namespace panal::bench {
namespace {

using nlohmann::json;

/// All desktops together; the hog's own limit is above it, so that it is the node that must act.
constexpr unsigned kParentMib = 1024;
constexpr unsigned kDesktopMib = 2048;
constexpr std::chrono::seconds kPatience{120};
/// What a hog has taken is back, and whom it held up has caught up.
constexpr std::chrono::seconds kRest{5};

/// The words that do it for so many seconds; each ends by itself.
std::string words_of(const std::string& kind, unsigned span) {
  const std::string attack = "~/attack ";
  if (kind == "forks") return attack + fmt::format("bomb {}", span);
  if (kind == "memory")
    return fmt::format(
        "end=$(($(date +%s) + {})); while [ $(date +%s) -lt $end ]; do "
        "~/attack eat {}; done",
        span, 2 * kParentMib);
  if (kind == "dirty") return attack + fmt::format("dirty ~/large {} {}", kParentMib / 2, span);
  return attack + kind;  // holds what it took until box/release is there
}

/// Runs shell words in the hog's desktop as its user, through files in the home.
class Hog {
 public:
  Hog(const BenchNode& node, Account account)
      : account_(std::move(account)),
        home_(node.config().homes_dir + "/default/" + account_.login) {}

  Result<void> plant() const {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::create_directories(home_ + "/box", error);
    fs::copy_file(config::program_dir() + "/hostile-attack", home_ + "/attack",
                  fs::copy_options::overwrite_existing, error);
    if (error) return fail(error.value(), "put hostile-attack into the hog's home");
    PANAL_TRY(write_file(home_ + "/.icewm/startup", "#!/bin/sh\nexec ~/attack serve ~/box\n"));
    for (const char* path : {"/attack", "/.icewm/startup", "/box"}) {
      if (::chown((home_ + path).c_str(), account_.uid, account_.uid) != 0 ||
          ::chmod((home_ + path).c_str(), 0755) != 0)
        return fail_errno("give the hog", home_ + path);
    }
    return {};
  }
  Result<void> begin(const std::string& words) {
    release(false);
    const std::string name = fmt::format("{}/box/job{}", home_, ++jobs_);
    PANAL_TRY(write_file(name + ".part", words + "\n"));
    ::chmod((name + ".part").c_str(), 0644);
    if (::rename((name + ".part").c_str(), (name + ".job").c_str()) != 0)
      return fail_errno("rename", name);
    return {};
  }
  /// Whether the last one was begun, or has ended.
  [[nodiscard]] bool begun() const { return exists(".run"); }
  [[nodiscard]] bool ended() const { return exists(".rc"); }
  void release(bool now) const {
    const std::string file = home_ + "/box/release";
    if (now)
      (void)write_file(file, "");  // it ends by itself, if later
    else
      ::unlink(file.c_str());
  }
  [[nodiscard]] const Account& account() const { return account_; }

 private:
  [[nodiscard]] bool exists(const char* suffix) const {
    return ::access(fmt::format("{}/box/job{}{}", home_, jobs_, suffix).c_str(), F_OK) == 0;
  }
  Account account_;
  std::string home_;
  unsigned jobs_ = 0;
};

Result<void> wait(const std::string& what, const std::function<bool()>& good) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!good()) {
    if (std::chrono::steady_clock::now() > deadline)
      return fail(ETIMEDOUT, fmt::format("waited {} s for {}", kPatience.count(), what));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return {};
}

bool attached(const LiveDesktop& desktop) {
  return desktop.agent && desktop.session == "connected";
}

class Scene {
 public:
  Scene(BenchNode& node, Load& load, std::vector<Account> bystanders, Hog hog)
      : node_(node), load_(load), bystanders_(std::move(bystanders)), hog_(std::move(hog)) {}

  Result<void> set() {
    PANAL_TRY(hog_.plant());
    std::vector<std::string> words = {"desktop", "start"};
    for (const Account& one : bystanders_) words.push_back(one.desktop);
    PANAL_TRY(node_.panal(words));
    for (const Account& one : bystanders_) PANAL_TRY(load_.connect(one, true));
    PANAL_TRY(node_.wait_for(bystanders_, "the bystanders' clients", attached, kPatience));
    PANAL_TRY(raise_hog());
    std::this_thread::sleep_for(std::chrono::seconds(15));  // their programs come up
    PANAL_ASSIGN(typist_, load_.typist_of(bystanders_.front()));
    PANAL_ASSIGN(died_, died());
    return {};
  }

  Result<json> kind(const std::string& kind, const HogOptions& options) {
    std::vector<double> without, with;
    json lost = 0;
    std::map<std::string, int> ends;
    const auto keep = [&lost](const json& typed, std::vector<double>& into) {
      into.push_back(typed.value("p99_ms", 3000.0));
      lost = lost.get<int>() + typed.value("lost", 0);
    };
    for (unsigned pair = 0; pair < options.pairs; ++pair) {
      keep(type(options.window_seconds), without);
      PANAL_ASSIGN(const json before, row_of_hog());
      const std::uint64_t start = before.value("generation", std::uint64_t{0});
      PANAL_TRY(hog_.begin(words_of(kind, options.window_seconds)));
      PANAL_TRY(wait("the hog to begin", [this] { return hog_.begun(); }));
      keep(type(options.window_seconds), with);
      hog_.release(true);
      PANAL_ASSIGN(const std::string end, end_of_hog(start));
      ++ends[end];
      PANAL_TRY(node_.wait_for(bystanders_, "the bystanders to be attached still", attached,
                               std::chrono::seconds(5)));
      say("{} {}: p99 {:.1f} ms without, {:.1f} with; the hog {}", kind, pair + 1, without.back(),
          with.back(), end);
      std::this_thread::sleep_for(kRest);
    }
    const HogVerdict verdict = judge_hog(without, with);
    PANAL_ASSIGN(const std::uint64_t now, died());
    const std::uint64_t died = now - std::exchange(died_, now);
    if (died > 0) say("{}: {} processes of bystanders died", kind, died);
    return json{{"pass", verdict.pass && lost == 0 && died == 0},
                {"without_p99_ms", verdict.without_ms},
                {"with_p99_ms", verdict.with_ms},
                {"keys_lost", lost},
                {"bystanders_processes_lost", died},
                {"hog", ends},
                {"without", without},
                {"with", with}};
  }

 private:
  /// Of the bystanders.
  [[nodiscard]] Result<std::uint64_t> died() const {
    std::vector<std::int64_t> ids;
    for (const Account& one : bystanders_) ids.push_back(one.id);
    PANAL_ASSIGN(const auto stats, node_.stats());
    return lost_processes(stats, ids);
  }
  json type(unsigned span) {
    std::vector<std::string> names;
    for (const Account& one : bystanders_) names.push_back(one.desktop);
    Typing typing(*typist_, std::move(names));
    std::this_thread::sleep_for(std::chrono::seconds(span));
    return typing.end();
  }
  Result<void> raise_hog() {
    PANAL_TRY(node_.panal({"desktop", "start", hog_.account().desktop}));
    load_.disconnect({hog_.account()});
    PANAL_TRY(load_.connect(hog_.account()));
    return node_.wait_for({hog_.account()}, "the hog's client", attached, kPatience);
  }
  /// As `panal desktop show` has it. Errors: those of the command; EPROTO.
  [[nodiscard]] Result<json> row_of_hog() const {
    PANAL_ASSIGN(const auto text,
                 node_.panal({"desktop", "show", "--json", hog_.account().desktop}));
    json row = json::parse(text, nullptr, false);
    if (!row.is_object()) return fail(EPROTO, "panal desktop show: " + text);
    return row;
  }
  /// How it ended, and it is there again for the next round. `start`: the request by which it ran
  /// before; where it is another one, it was killed, and its client asked for it again at once.
  Result<std::string> end_of_hog(std::uint64_t start) {
    std::string state = "running";
    bool again = false;
    PANAL_TRY(wait("the end of the hog", [&] {
      // Beside a hog the command may fail once; that tells nothing of how it ended.
      if (const auto row = row_of_hog()) {
        state = row->value("state", state);
        again = row->value("generation", start) != start;
      }
      return hog_.ended() || again || state == "failed" || state == "stopped";
    }));
    if (state == "running" && !again) return std::string("went on, capped");
    PANAL_TRY(raise_hog());
    return again ? std::string("was killed, and its client asked for it again") : "was " + state;
  }

  BenchNode& node_;
  Load& load_;
  std::vector<Account> bystanders_;
  Hog hog_;
  Typist* typist_ = nullptr;  ///< the load generator's
  std::uint64_t died_ = 0;    ///< processes of bystanders, before the kind that is looked at
};

Result<json> scenario(BenchNode& node, const HogOptions& options) {
  PANAL_TRY(node.use_image("icewm"));
  PANAL_ASSIGN(auto accounts, node.make_desktops("icewm", options.bystanders + 1));
  Hog hog(node, std::move(accounts.back()));
  accounts.pop_back();
  PANAL_ASSIGN(const auto load, Load::make(node));
  Scene scene(node, *load, std::move(accounts), std::move(hog));
  PANAL_TRY(scene.set());
  json out = {{"kinds", json::object()},
              {"failed", 0},
              {"pairs", options.pairs},
              {"window_seconds", options.window_seconds},
              {"bystanders", options.bystanders}};
  for (const std::string& kind : options.kinds.empty() ? hog_kinds() : options.kinds) {
    PANAL_ASSIGN(json one, scene.kind(kind, options));
    if (!one["pass"].get<bool>()) out["failed"] = out["failed"].get<int>() + 1;
    out["kinds"][kind] = std::move(one);
  }
  PANAL_ASSIGN(auto stats, node.stats());
  out["last_resort"] = std::move(stats["optimiser"]["last_resort"]);
  load->disconnect_all();
  return out;
}

}  // namespace

const std::vector<std::string>& hog_kinds() {
  static const std::vector<std::string> all = {"forks", "memory", "dirty", "inotify", "ptys"};
  return all;
}

HogVerdict judge_hog(const std::vector<double>& without_ms, const std::vector<double>& with_ms) {
  constexpr double kShare = 1.1;
  constexpr double kMoreMs = 20;
  constexpr double kMostMs = 100;
  HogVerdict out;
  if (without_ms.empty() || with_ms.empty()) return out;
  out.without_ms = median(without_ms);
  out.with_ms = median(with_ms);
  out.pass = out.with_ms <= std::max(kShare * out.without_ms, out.without_ms + kMoreMs) &&
             out.with_ms <= kMostMs;
  return out;
}

Result<std::uint64_t> lost_processes(const json& stats, const std::vector<std::int64_t>& desktops) {
  std::uint64_t lost = 0;
  for (const std::int64_t id : desktops) {
    const auto& rows = stats.at("desktops");
    const auto row = std::find_if(rows.begin(), rows.end(), [id](const json& one) {
      return one.value("id", std::int64_t{0}) == id;
    });
    if (row == rows.end()) return fail(ENOENT, fmt::format("bystander d{} does not run", id));
    for (const char* by : {"oom_kills", "killed_processes"})
      lost += row->value(by, std::uint64_t{0});
  }
  return lost;
}

Result<json> run_hogs(const HogOptions& options) {
  say("panal up");
  PANAL_ASSIGN(auto node, BenchNode::up({.prewarm = false,
                                         .profile = "balanced",
                                         .parent_memory_mib = kParentMib,
                                         .desktop_memory_mib = kDesktopMib}));
  auto result = scenario(node, options);
  if (!result) say("{}", result.error().message());
  const auto down = node.down();
  if (!result) return result;
  if (!down) return prefixed("afterwards", down.error());
  return result;
}

}  // namespace panal::bench
