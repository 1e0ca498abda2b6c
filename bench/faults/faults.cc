#include "bench/faults/faults.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/faults/bit_flips.h"
#include "bench/faults/fault_node.h"
#include "bench/faults/fault_point.h"
#include "bench/faults/fault_steps.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/kernel_paths.h"

namespace panal::bench {
namespace {

using nlohmann::json;

constexpr std::size_t kMostComplaints = 200;
/// A kind's points are shared by so many steps: of images, and of the roots that are on disk. The
/// others have points beside those (FaultStep::percent), so that they take none away.
constexpr std::size_t kSharing = 7;

bool wanted(const std::vector<std::string>& list, const std::string& name) {
  return list.empty() || std::find(list.begin(), list.end(), name) != list.end();
}

class FaultSuite {
 public:
  FaultSuite(std::string dir, std::string programs, const FaultOptions& options)
      : dir_(std::move(dir)),
        programs_(std::move(programs)),
        options_(options),
        random_(options.seed) {}

  Result<json> run() {
    PANAL_TRY(renew());
    for (std::size_t step = 0; step < steps_.size(); ++step) {
      if (!steps_[step].why_not.empty()) skipped_[steps_[step].name] = steps_[step].why_not;
      const std::vector<std::string> kinds = kinds_of(steps_[step]);
      if (kinds.empty() || !steps_[step].why_not.empty()) continue;
      const unsigned share = share_of(steps_[step]);
      PANAL_ASSIGN(const unsigned changes, count(steps_[step]));
      for (const auto& kind : kinds) {
        for (unsigned point = 0; point < share; ++point) {
          // One in each of so many equal parts of the way.
          const double at = (point + std::uniform_real_distribution<>(0, 1)(random_)) / share;
          PANAL_TRY(fault(steps_[step], kind, 1 + static_cast<unsigned>(at * changes)));
        }
        // What was said to be done is done, whatever becomes of the power then.
        if (kind == "power") PANAL_TRY(fault(steps_[step], kind, 0));
      }
    }
    if (wanted(options_.kinds, "bits")) PANAL_TRY(flip());
    return json{{"seed", options_.seed},       {"points", points_},   {"lost", lost_},
                {"kinds", by_kind_},           {"steps", by_step_},   {"changes", changes_},
                {"not_reached", not_reached_}, {"skipped", skipped_}, {"complaints", complaints_}};
  }

 private:
  /// Kinds of fault to try on a step.
  std::vector<std::string> kinds_of(const FaultStep& step) const {
    std::vector<std::string> kinds = fault_kinds();
    std::erase_if(kinds, [&](const std::string& kind) {
      return kind == "bits" || !wanted(options_.kinds, kind) || !wanted(step.kinds, kind);
    });
    return kinds;
  }

  /// How many points of each.
  unsigned share_of(const FaultStep& step) const {
    const auto whole = 100 * static_cast<unsigned>(std::min(steps_.size(), kSharing));
    return (options_.points * step.percent + whole - 1) / whole;
  }

  /// A node that nothing has happened to yet.
  Result<void> renew() {
    steps_.clear();
    node_.reset();
    const std::string dir = fmt::format("{}/{}", dir_, ++nodes_);
    if (::mkdir(dir.c_str(), 0755) != 0) return fail_errno("make directory", dir);
    PANAL_ASSIGN(node_, FaultNode::make(dir, programs_));
    steps_ = fault_steps(*node_);
    std::erase_if(steps_,
                  [this](const FaultStep& step) { return !wanted(options_.steps, step.name); });
    if (steps_.empty()) return fail(EINVAL, "there is no such step");
    return {};
  }

  /// How many changes the step makes; also that it works when nobody interrupts it.
  Result<unsigned> count(const FaultStep& step) {
    PANAL_TRY(step.prepare(++round_));
    const FaultRun run = run_to_change(0, step.run, [] { return AtPoint::kGoOn; });
    if (run.status != 0 || run.changes == 0)
      return fail(run.status == 0 ? EPROTO : run.status, step.name + " fails without a fault");
    if (const std::string why = step.done(); !why.empty())
      return fail(EPROTO, step.name + " does nothing: " + why);
    std::vector<std::string> found = look(step);
    append(found, garbage(step));
    if (run.lives_on) found.emplace_back("a process of it went on after its end");
    if (!found.empty()) return fail(EPROTO, step.name + ": " + found.front());
    changes_[step.name] = run.changes;
    return run.changes;
  }

  Result<void> fault(const FaultStep& step, const std::string& kind, unsigned nth) {
    PANAL_TRY(step.prepare(++round_));
    Result<void> done;
    const bool names = random_() % 2 == 0;
    const auto at_point = [&] {
      if (kind == "bytes") done = node_->disk().take_bytes();
      if (kind == "inodes") done = node_->disk().take_inodes();
      if (kind == "power") done = node_->disk().keep_as_after_power_loss(names);
      if (kind == "kill" && step.alone && names) return AtPoint::kKillOne;
      return kind == "kill" || kind == "power" ? AtPoint::kKill : AtPoint::kGoOn;
    };
    const FaultRun run = run_to_change(nth, step.run, at_point);
    const bool afterwards = kind == "power" && nth == 0;
    if (afterwards) done = node_->disk().keep_as_after_power_loss(false);
    PANAL_TRY(done);
    if (!run.reached && !afterwards) {
      ++not_reached_;  // it took fewer calls than when they were counted
      if (kind == "power") return tidy(step);
    }
    std::vector<std::string> found = after(step, kind, run);
    append(found, then(step, afterwards && step.lasts));
    if (run.reached || afterwards) {
      ++points_;
      ++by_kind_[kind];
      ++by_step_[step.name];
    }
    if (found.empty()) return {};
    ++lost_;
    for (const auto& sentence : found)
      complain(fmt::format("{}, {} at change {} (call {}, round {}{}{}): {}", step.name, kind, nth,
                           run.call, round_, kind == "power" && names ? ", names synced" : "",
                           kind == "kill" && names && step.alone ? ", one process" : "", sentence));
    return renew();  // what comes next is to be seen by itself
  }

  Result<void> tidy(const FaultStep& step) {
    const auto found = garbage(step);
    if (found.empty()) return {};
    return fail(EPROTO, step.name + ": " + found.front());
  }

  /// What is not as it must be, whatever the step did.
  std::vector<std::string> look(const FaultStep& step) const {
    std::vector<std::string> found = node_->check(step.leaves());
    if (step.check) append(found, step.check());
    return found;
  }

  std::vector<std::string> garbage(const FaultStep& step) const {
    std::vector<std::string> found;
    if (step.tidy)
      if (const auto done = step.tidy(); !done) found.push_back("tidy: " + done.error().message());
    append(found, node_->check_garbage());
    return found;
  }

  /// What is wrong right after the fault, and brings the disk back.
  std::vector<std::string> after(const FaultStep& step, const std::string& kind,
                                 const FaultRun& run) {
    std::vector<std::string> found;
    if (run.lives_on) found.push_back("a process of it went on after its end");
    if (kind == "power") {
      node_->drop_mounts();
      if (const auto back = node_->disk().lose_power(); !back)
        return {"mount: " + back.error().message()};
      return found;
    }
    if (kind == "kill" || !run.reached) return found;
    if (!run.finished) found.push_back("it did not come to its end");
    if (run.status != 0 && run.status != ENOSPC && run.status != EDQUOT &&
        !step.excuses.contains(run.status))
      found.push_back(fmt::format("it failed with \"{}\" and not for lack of space",
                                  std::strerror(run.status)));
    append(found, node_->check_readable());
    // Space comes back by collecting, so that must need none.
    if (const auto collected = node_->store().gc(); !collected)
      found.push_back("gc on a full disk: " + collected.error().message());
    if (const auto back = node_->disk().give_back(); !back)
      found.push_back("give back: " + back.error().message());
    // As good as not interrupted: it had all it needed.
    if (run.status == 0)
      if (const std::string why = step.done(); !why.empty())
        found.push_back("it said that it was done: " + why);
    return found;
  }

  /// As a node starts again: what it finds, and whether what was interrupted can be done.
  std::vector<std::string> then(const FaultStep& step, bool was_done) {
    std::vector<std::string> found;
    if (const auto recovered = node_->recover(); !recovered)
      found.push_back("recover: " + recovered.error().message());
    append(found, look(step));
    if (was_done)
      if (const std::string why = step.done(); !why.empty())
        found.push_back("it was done, and is not after the power failed: " + why);
    append(found,
           node_->check_roots(step.backend.empty() ? FaultNode::backends().front() : step.backend));
    append(found, garbage(step));
    if (const auto prepared = step.prepare(++round_); !prepared) {
      found.push_back("prepare: " + prepared.error().message());
      return found;
    }
    // In a child too: should it wait for what the fault has left, it is ended.
    const FaultRun again = run_to_change(0, step.run, [] { return AtPoint::kGoOn; });
    if (again.status != 0)
      found.push_back(fmt::format("done again, it fails: {}", std::strerror(again.status)));
    else if (const std::string why = step.done(); !why.empty())
      found.push_back("done again, it is not: " + why);
    append(found, look(step));
    append(found, garbage(step));
    return found;
  }

  Result<void> flip() {
    storage::ImageStore store = node_->store();
    PANAL_ASSIGN(const auto sound, storage::Repository::open(node_->archive()));
    PANAL_ASSIGN(const BitFlips flips,
                 flip_bits(store, sound, std::min(options_.points, 100U), options_.seed));
    const unsigned flipped = flips.objects + flips.manifests + flips.names;
    points_ += flipped;
    by_kind_["bits"] += flipped;
    std::vector<std::string> found = flips.complaints;
    append(found, node_->check({}));
    append(found, node_->check_garbage());
    lost_ += static_cast<unsigned>(found.size());
    for (const auto& sentence : found) complain("bits: " + sentence);
    return {};
  }

  void complain(std::string sentence) {
    fmt::print(stderr, "faults: {}\n", sentence);
    if (complaints_.size() < kMostComplaints) complaints_.push_back(std::move(sentence));
  }

  static void append(std::vector<std::string>& all, std::vector<std::string> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  }

  std::string dir_;
  std::string programs_;
  std::unique_ptr<FaultNode> node_;
  std::vector<FaultStep> steps_;  ///< on that node
  unsigned nodes_ = 0;
  const FaultOptions& options_;
  std::mt19937_64 random_;
  unsigned round_ = 0;
  unsigned points_ = 0;
  unsigned lost_ = 0;
  unsigned not_reached_ = 0;
  std::map<std::string, unsigned> by_kind_;
  std::map<std::string, unsigned> by_step_;
  std::map<std::string, unsigned> changes_;
  std::map<std::string, std::string> skipped_;  ///< steps, and why
  std::vector<std::string> complaints_;
};

}  // namespace

const std::vector<std::string>& fault_kinds() {
  static const std::vector<std::string> all = {"kill", "bytes", "inodes", "power", "bits"};
  return all;
}

Result<json> run_faults(const FaultOptions& options) {
  const char* const base = std::getenv("TMPDIR");
  std::string dir = std::string(base != nullptr ? base : "/tmp") + "/faults.XXXXXX";
  if (::mkdtemp(dir.data()) == nullptr) return fail_errno("make directory", dir);
  const Cleanup undo([dir] { (void)remove_tree(dir); });
  // Helpers are other users.
  if (::chmod(dir.c_str(), 0755) != 0) return fail_errno("chmod", dir);
  std::string programs = options.programs;
  if (programs.empty()) {
    std::error_code code;
    programs =
        std::filesystem::read_symlink(kernel_paths::kProcSelfExe, code).parent_path().string();
    if (code) return fail(code.value(), "find this program's directory");
  }
  return FaultSuite(dir, programs, options).run();
}

}  // namespace panal::bench
