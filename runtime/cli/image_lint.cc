#include "runtime/cli/image_lint.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "engine/base/log.h"
#include "runtime/cli/desktops.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/images.h"
#include "runtime/cli/node_mounts.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/table.h"
#include "storage/image/image_store.h"
#include "storage/lint/repair.h"
#include "storage/lint/rules.h"
#include "storage/lint/scan.h"

namespace panal::cli {
namespace {

using storage::LintCost;
using storage::LintFinding;
using storage::LintRepair;
using storage::LintStep;
using storage::VersionManifest;

constexpr std::size_t kPathsTold = 20;

struct LintOptions {
  std::string word, tenant;
  std::vector<std::string> desktops;
  bool fix = false, dry_run = false, json = false;
};

/// A tree that was looked at, and of what.
struct Looked {
  std::string desktop;  ///< its name; empty: the image
  storage::LintTree tree;
  std::vector<LintFinding> findings;
};

/// What a word means by the store; else, where that has no answer, by this node's disk:
/// IMAGE:VERSION, or the newest of IMAGE.
Result<VersionManifest> version_of(Shell& shell, const storage::ImageStore& images,
                                   const std::string& text) {
  PANAL_ASSIGN(const ImageWord word, split_image_word(text));
  if (const auto store = shell.backends.store(shell.config)) {
    PANAL_ASSIGN(const auto catalog, ImageCatalog::read(**store));
    if (const auto known = catalog.resolve(text, store::kHeadTag))
      return images.find(known->image, known->version);
  }
  if (!word.name.empty()) return images.find(word.image, word.name);
  PANAL_ASSIGN(const auto all, images.list_known());
  const auto newest = std::find_if(all.begin(), all.end(),
                                   [&word](const auto& one) { return one.image == word.image; });
  if (newest == all.end())
    return fail(ENOENT, fmt::format("there is no image {} on this node; panal image ls shows all",
                                    word.image));
  return *newest;
}

const char* repair_word(LintRepair repair) {
  switch (repair) {
    case LintRepair::kNone: return "";
    case LintRepair::kRemove: return "remove";
    case LintRepair::kLink: return "link";
    case LintRepair::kTrustPyc: return "trust";
  }
  return "";
}

std::string cost_of(const LintFinding& finding) {
  if (!finding.estimated) return human_bytes(finding.bytes);
  return finding.bytes == 0 ? "?" : ">= " + human_bytes(finding.bytes);
}

std::string payer_of(const Looked& looked, const LintFinding& finding) {
  if (!looked.desktop.empty()) return looked.desktop;
  return finding.rule->cost == LintCost::kEach ? "each desktop" : "the version";
}

nlohmann::json finding_json(const Looked& looked, const LintFinding& finding) {
  const auto last = finding.paths.begin() +
                    static_cast<std::ptrdiff_t>(std::min(finding.paths.size(), kPathsTold));
  return {{"rule", finding.rule->name},
          {"desktop", looked.desktop},
          {"what", finding.rule->what},
          {"advice", finding.rule->advice},
          {"bytes", finding.bytes},
          {"estimated", finding.estimated},
          {"each_desktop", finding.rule->cost == LintCost::kEach},
          {"fix", repair_word(finding.rule->repair)},
          {"files", finding.paths.size()},
          {"paths", std::vector<std::string>(finding.paths.begin(), last)}};
}

nlohmann::json step_json(const LintStep& step) {
  nlohmann::json out = {{"do", repair_word(step.repair)}, {"path", step.path}};
  if (!step.target.empty()) out["target"] = step.target;
  return out;
}

void print_findings(Shell& shell, const std::vector<Looked>& all) {
  Table table({"RULE", ">COSTS", "WHOM", ">FILES", "WHAT"});
  for (const Looked& looked : all)
    for (const LintFinding& finding : looked.findings)
      table.add_row({finding.rule->name, cost_of(finding), payer_of(looked, finding),
                     std::to_string(finding.paths.size()), finding.rule->what});
  if (table.rows() == 0) {
    shell.out << "nothing breaks sharing\n";
  } else {
    table.print(shell.out);
    shell.out << "\n";
  }
  std::set<std::string_view> advised;
  for (const Looked& looked : all) {
    for (const LintFinding& finding : looked.findings) {
      if (!advised.insert(finding.rule->name).second) continue;
      const bool fixable = finding.rule->repair != LintRepair::kNone;
      shell.out << fmt::format("{}: {}{}\n    e.g. {}\n", finding.rule->name,
                               fixable ? "--fix mends it; or " : "", finding.rule->advice,
                               printable(finding.paths.front(), 300));
    }
  }
}

void say_what_was_left_out(Shell& shell, const std::vector<Looked>& all) {
  for (const Looked& looked : all)
    if (!looked.tree.cut_short.empty())
      shell.err << fmt::format("panal: not all of {} was looked at: {}\n",
                               looked.desktop.empty() ? "the image" : looked.desktop,
                               printable(looked.tree.cut_short, 300));
}

void print_steps(Shell& shell, const std::vector<LintStep>& steps) {
  for (std::size_t i = 0; i < std::min(steps.size(), kPathsTold); ++i) {
    const std::string path = printable(steps[i].path, 300);
    switch (steps[i].repair) {
      case LintRepair::kNone: break;
      case LintRepair::kRemove: shell.out << "would remove " << path << "\n"; break;
      case LintRepair::kLink:
        shell.out << "would link " << path << " to " << printable(steps[i].target, 300) << "\n";
        break;
      case LintRepair::kTrustPyc: shell.out << "would have Python trust " << path << "\n"; break;
    }
  }
  if (steps.size() > kPathsTold)
    shell.out << fmt::format("and {} more\n", steps.size() - kPathsTold);
}

/// Tells the store of a version that was made here. Whoever wants JSON gets no words.
ExitCode register_repaired(Shell& shell, const VersionManifest& made, bool silent) {
  if (!silent) return register_version(shell, made, {});
  std::ostringstream unread;
  Shell quiet{unread, shell.err, false, shell.config_file, shell.config, shell.backends};
  return register_version(quiet, made, {});
}

/// The writable layer of a desktop of this node.
Result<std::string> layer_of(const config::Config& config, const store::Desktop& desktop) {
  if (!desktop.node.empty() && desktop.node != config.node_name)
    return fail(EEXIST, fmt::format("desktop {} is on node {}; ask there", desktop.name,
                                    printable(desktop.node, 80)));
  const std::string layer = fmt::format("{}/upper/{}/upper", config.desktop_state_dir(desktop.id),
                                        desktop.persistent ? "persistent" : "volatile");
  if (::access(layer.c_str(), F_OK) == 0) return layer;
  if (errno != ENOENT) return fail_errno("look at", layer);
  return fail(ENOENT,
              fmt::format("desktop {} has not written anything that is to be seen: {}; only what "
                          "overlay keeps on a disk is",
                          desktop.name,
                          desktop.persistent ? "it has never run here"
                                             : "its root is kept only while it runs"));
}

/// One run of the command.
class Lint {
 public:
  Lint(Shell& shell, const LintOptions& options)
      : shell_(shell), options_(options), images_(shell.config.images_dir) {}

  ExitCode run() {
    PANAL_CLI_ASSIGN(shell_, manifest_, version_of(shell_, images_, options_.word));
    std::vector<store::Desktop> desktops;
    if (!options_.desktops.empty()) {
      PANAL_CLI_ASSIGN(shell_, const auto store, shell_.backends.store(shell_.config));
      PANAL_CLI_ASSIGN(shell_, const auto all, store->desktops());
      for (const std::string& name : options_.desktops) {
        PANAL_CLI_ASSIGN(shell_, auto desktop, resolve_desktop(all, name, options_.tenant));
        if (desktop.image != manifest_.image)
          return shell_.refuse(ExitCode::kRefused,
                               fmt::format("desktop {} is of image {}, not of {}", desktop.name,
                                           desktop.image, manifest_.image));
        desktops.push_back(std::move(desktop));
      }
    }
    if (!desktops.empty()) enter_mounts_of_node(shell_.config);
    // Before the long work, so that it is not done for nothing.
    if (options_.fix && !options_.dry_run)
      PANAL_CLI_TRY(shell_, shell_.backends.store(shell_.config));
    PANAL_CLI_TRY(shell_, look_at_image());
    for (const auto& desktop : desktops) PANAL_CLI_TRY(shell_, look_at(desktop));
    return options_.fix ? fix() : tell();
  }

 private:
  /// A bar unless the answer is for a program.
  template <typename Work>
  auto with_progress(const Work& work) {
    std::optional<Progress> bar;
    if (!options_.json) bar.emplace(shell_.out, shell_.tty);
    auto result = work([&bar](double fraction, const std::string& what) {
      if (bar) bar->update(fraction, what);
    });
    if (bar) bar->clear();
    return result;
  }

  Result<void> look_at_image() {
    PANAL_ASSIGN(auto tree, with_progress([this](const storage::LintProgress& progress) {
                   return storage::scan_image(images_.root_of(manifest_.image, manifest_.version),
                                              {}, progress);
                 }));
    keep("", std::move(tree));
    return {};
  }

  Result<void> look_at(const store::Desktop& desktop) {
    PANAL_ASSIGN(const std::string layer, layer_of(shell_.config, desktop));
    const bool said = options_.word.find(':') != std::string::npos;
    const std::string version =
        said || desktop.running_version.empty() ? manifest_.version : desktop.running_version;
    PANAL_ASSIGN(auto tree, with_progress([&](const storage::LintProgress& progress) {
                   return storage::scan_desktop(layer, images_.root_of(manifest_.image, version),
                                                {}, progress);
                 }));
    keep(desktop.name, std::move(tree));
    return {};
  }

  void keep(const std::string& desktop, storage::LintTree tree) {
    auto findings = storage::lint_tree(tree);
    looked_.push_back({desktop, std::move(tree), std::move(findings)});
  }

  [[nodiscard]] nlohmann::json answer() const {
    auto findings = nlohmann::json::array();
    bool complete = true;
    for (const Looked& looked : looked_) {
      complete = complete && looked.tree.cut_short.empty();
      for (const LintFinding& finding : looked.findings)
        findings.push_back(finding_json(looked, finding));
    }
    return {{"image", manifest_.image},
            {"version", manifest_.version},
            {"complete", complete},
            {"findings", std::move(findings)}};
  }

  ExitCode tell() {
    if (options_.json)
      shell_.print(answer());
    else
      print_findings(shell_, looked_);
    say_what_was_left_out(shell_, looked_);
    return ExitCode::kOk;
  }

  ExitCode fix() {
    const auto steps = storage::lint_repairs(looked_.front().tree);
    nlohmann::json told = answer();
    told["steps"] = nlohmann::json::array();
    for (const LintStep& step : steps) told["steps"].push_back(step_json(step));
    say_what_was_left_out(shell_, looked_);
    if (options_.dry_run || steps.empty()) {
      if (options_.json)
        shell_.print(told);
      else if (steps.empty())
        shell_.out << "there is nothing that --fix could mend\n";
      else
        print_steps(shell_, steps);
      return ExitCode::kOk;
    }
    PANAL_CLI_ASSIGN(shell_, const VersionManifest made,
                     with_progress([&](const storage::LintProgress& progress) {
                       return storage::repair_version(images_, manifest_, steps, nullptr, progress);
                     }));
    if (!options_.json)
      shell_.out << fmt::format("{} repairs were made to a copy of {}\n", steps.size(),
                                manifest_.version);
    if (const auto code = register_repaired(shell_, made, options_.json); code != ExitCode::kOk)
      return code;
    told["made"] = made.version;
    if (options_.json) shell_.print(told);
    return ExitCode::kOk;
  }

  Shell& shell_;
  const LintOptions& options_;
  storage::ImageStore images_;
  VersionManifest manifest_;
  std::vector<Looked> looked_;  ///< the image first
};

}  // namespace

void add_image_lint_command(CLI::App& family, Action& action) {
  const auto options = std::make_shared<LintOptions>();
  auto* lint = family.add_subcommand("lint", "Find what breaks sharing, and what it costs.");
  lint->add_option("IMAGE[:VERSION]", options->word, "what to look at; without, the newest")
      ->required();
  lint->add_option("--desktop", options->desktops, "also what this desktop has written")
      ->type_name("NAME")
      ->allow_extra_args(false);
  lint->add_option("--tenant", options->tenant, "whose desktop, where names are not enough");
  auto* fix =
      lint->add_flag("--fix", options->fix, "make a version with what can be mended mended");
  lint->add_flag("--dry-run", options->dry_run, "say what --fix would do, change nothing")
      ->needs(fix);
  lint->add_flag("--json", options->json, "as JSON");
  lint->callback([&action, options] {
    action = [options](Shell& shell) { return Lint(shell, *options).run(); };
  });
}

}  // namespace panal::cli
