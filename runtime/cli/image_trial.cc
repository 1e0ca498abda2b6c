// Whether a version starts: panal image trial, and what asks for one before `default` moves.
#include "runtime/cli/image_trial.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/span.h"

namespace panal::cli {
namespace {

/// Longer than a trial takes at most between two of its words.
constexpr std::chrono::seconds kTrialPatience{300};

struct TrialOptions {
  std::string word;
  bool dry_run = false, json = false;
};

std::string tried_name(const TriedVersion& version) {
  return version.image + ":" + version.version;
}

TrialVerdict not_tried(std::string why) {
  TrialVerdict verdict;
  verdict.why = std::move(why);
  return verdict;
}

/// What a trial on this node says of the version.
TrialVerdict judge(const TriedVersion& version, const storage::TrialRecord& record) {
  if (record.commit != version.commit)
    return not_tried("another commit of its name was tried on this node, and not this one");
  TrialVerdict verdict;
  verdict.record = record;
  verdict.good = record.good;
  verdict.failed = !record.good;
  if (verdict.failed) verdict.why = "its trial start failed: " + printable(record.reason, 2000);
  return verdict;
}

ExitCode image_trial(Shell& shell, const TrialOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto found, catalog.resolve(options.word, store::kHeadTag));
  const TriedVersion version{found.image, found.version, found.commit};
  if (options.dry_run) {
    const TrialVerdict last = last_trial(shell.config, version);
    if (options.json)
      shell.print({{"image", version.image},
                   {"version", version.version},
                   {"done", false},
                   {"trial", trial_json(last)}});
    else
      shell.out << fmt::format(
          "would start a throw-away desktop of {} on this node; its last trial: {}\n",
          tried_name(version), describe(last));
    return ExitCode::kOk;
  }
  const TrialVerdict verdict = try_version(shell, version, !options.json);
  if (options.json)
    shell.print({{"image", version.image},
                 {"version", version.version},
                 {"done", verdict.record.has_value()},
                 {"trial", trial_json(verdict)}});
  if (!verdict.good)
    return shell.refuse(
        verdict.failed ? ExitCode::kFailed : ExitCode::kRefused,
        fmt::format("{}: {}{}", tried_name(version), verdict.why, picture_words(verdict)));
  if (!options.json)
    shell.out << fmt::format("{} starts: {}{}\n", tried_name(version), describe(verdict),
                             picture_words(verdict));
  return ExitCode::kOk;
}

}  // namespace

TrialVerdict last_trial(const config::Config& config, const TriedVersion& version) {
  const auto read = storage::read_trial(config.images_dir, version.image, version.version);
  if (!read && read.error().code == EACCES)
    return not_tried("what this node knows of its trial may only root read");
  // A damaged record is as good as none.
  if (!read || !*read) return not_tried("it has not been tried on this node");
  TrialVerdict verdict = judge(version, **read);
  if (verdict.record && verdict.record->pictured)
    verdict.picture = storage::trial_picture(config.images_dir, version.image, version.version);
  return verdict;
}

TrialVerdict try_version(Shell& shell, const TriedVersion& version, bool show) {
  const auto status =
      shell.backends.ask_node(shell.config, {{"op", "status"}}, std::chrono::seconds(10));
  if (!status)
    return not_tried(
        "it cannot be tried, because panald does not run on this node (panal up starts it)");
  const auto say = [&](const std::string& text) {
    if (show)
      shell.out << fmt::format("{}: {}\n", tried_name(version), printable(text)) << std::flush;
  };
  const auto answer = shell.backends.ask_node(
      shell.config, {{"op", "trial"}, {"image", version.image}, {"version", version.version}},
      kTrialPatience, say);
  if (!answer) return not_tried("it could not be tried: " + sentence_of(answer.error()));
  const auto record = storage::parse_trial(answer->value("record", ""), "panald's answer");
  if (!record) return not_tried("it could not be tried: " + sentence_of(record.error()));
  TrialVerdict verdict = judge(version, *record);
  if (record->pictured && answer->value("kept", false))
    verdict.picture =
        storage::trial_picture(shell.config.images_dir, version.image, version.version);
  return verdict;
}

TrialVerdict ensure_trial(Shell& shell, const TriedVersion& version, bool show) {
  TrialVerdict verdict = last_trial(shell.config, version);
  return verdict.good ? verdict : try_version(shell, version, show);
}

std::string describe(const TrialVerdict& verdict) {
  if (!verdict.good) return verdict.why;
  const storage::TrialRecord& record = *verdict.record;
  return fmt::format("good on {}, {} window{} and a picture after {:.1f} s",
                     print_time(record.began_unix_s), record.windows,
                     record.windows == 1 ? "" : "s", static_cast<double>(record.took_ms) / 1000);
}

std::string picture_words(const TrialVerdict& verdict) {
  if (!verdict.picture.empty()) return "; its picture is " + verdict.picture;
  if (verdict.record && verdict.record->pictured)
    return "; its picture could not be kept, and panald's log says why";
  return "";
}

nlohmann::json trial_json(const TrialVerdict& verdict) {
  nlohmann::json out = {{"good", verdict.good}, {"why", verdict.why}, {"picture", verdict.picture}};
  if (verdict.record) {
    out["began"] = print_time(verdict.record->began_unix_s);
    out["took_ms"] = verdict.record->took_ms;
    out["windows"] = verdict.record->windows;
  }
  return out;
}

void add_image_trial_command(CLI::App& family, Action& action) {
  ImageVerbs<TrialOptions> verbs(family, action);
  auto& trial = verbs.add(
      "trial", "Start a throw-away desktop of a version and take a picture of it.", image_trial);
  trial.add_option("IMAGE[:VERSION]", verbs.options->word, "a version or tag; without: the newest")
      ->required();
  verbs.dry_run(trial);
  verbs.json(trial);
}

}  // namespace panal::cli
