// Which version desktops take: tag, untag, publish, rollback.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/image_affected.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_trial.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/nearest.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/span.h"

namespace panal::cli {
namespace {

struct TagOptions {
  std::string word, tag, to, soft, hard;
  bool force = false, dry_run = false, json = false;
};

Result<store::Deadlines> deadlines_of(const TagOptions& options) {
  store::Deadlines deadlines;
  if (!options.soft.empty()) {
    PANAL_ASSIGN(deadlines.soft, parse_span(options.soft));
  }
  if (!options.hard.empty()) {
    PANAL_ASSIGN(deadlines.hard, parse_span(options.hard));
  }
  if (deadlines.soft && deadlines.hard && *deadlines.hard < *deadlines.soft)
    return fail(EINVAL, fmt::format("--hard {} comes before --soft {}: nobody would be waited for",
                                    options.hard, options.soft));
  return deadlines;
}

/// Refused unless this node could start it.
Result<void> check_copy(Shell& shell, const store::Version& version) {
  PANAL_ASSIGN(const auto local, shell.backends.images(shell.config));
  PANAL_ASSIGN(const auto copies, local->list());
  const bool there = std::any_of(copies.begin(), copies.end(), [&](const auto& copy) {
    return copy.image == version.image && copy.version == version.version;
  });
  if (there) return {};
  return fail(EBUSY, fmt::format("this node has no copy of {}:{}, so that its desktops could not "
                                 "start; panal image pull fetches one, --force takes it as it is",
                                 version.image, version.version));
}

/// Moves `default`, or says what that would do. `trial`: of the version, null where none is asked
/// for.
ExitCode move_default(Shell& shell, store::Store& store, const store::TagChange& change,
                      const TagOptions& options, const TrialVerdict* trial) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, store.desktops());
  const Affected affected = affected_by(desktops, change.image, change.tag, change.to);
  const bool stays = change.expected == change.to;
  const std::string from = change.expected.empty() ? "no version" : change.expected;
  if (!options.dry_run) PANAL_CLI_TRY(shell, store.move_tag(change));
  if (options.json) {
    auto answer = affected_json(affected, change.deadlines);
    answer["image"] = change.image;
    answer["tag"] = change.tag;
    answer["from"] = change.expected;
    answer["to"] = change.to;
    answer["done"] = !options.dry_run;
    if (trial != nullptr) answer["trial"] = trial_json(*trial);
    shell.print(answer);
    return ExitCode::kOk;
  }
  const char* const would = options.dry_run ? "would be" : "is";
  if (stays)
    shell.out << fmt::format("{} of {} {} at {} as before ({})\n", change.tag, change.image, would,
                             change.to, describe(change.deadlines));
  else
    shell.out << fmt::format("{} of {} {} at {} for new starts, no more at {} ({})\n", change.tag,
                             change.image, would, change.to, from, describe(change.deadlines));
  print_affected(shell.out, affected, change.deadlines);
  return ExitCode::kOk;
}

void tell_trial(Shell& shell, const TrialVerdict& verdict, const TagOptions& options) {
  if (verdict.good)
    shell.out << fmt::format("trial start: {}{}\n", describe(verdict), picture_words(verdict));
  else if (options.force)
    shell.out << fmt::format(
        "published without a good trial start, which the audit log tells: {}\n", verdict.why);
  else
    shell.out << fmt::format("a trial start would come first, and must be good: {}\n", verdict.why);
}

ExitCode image_publish(Shell& shell, const TagOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto deadlines, deadlines_of(options));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto version, catalog.resolve(options.word, store::kHeadTag));
  const auto copy = check_copy(shell, version);
  if (!options.force) PANAL_CLI_TRY(shell, copy);
  const std::string now = catalog.at(version.image, store::kDefaultTag);
  store::TagChange change{version.image, store::kDefaultTag,           version.version,
                          now,           store::TagMoveKind::kPublish, operator_name(),
                          deadlines};
  if (!copy) change.forced = "this node has no copy of it";
  // Other deadlines for what new starts take already need no trial.
  if (now == version.version) return move_default(shell, *store, change, options, nullptr);
  const TriedVersion tried{version.image, version.version, version.commit};
  TrialVerdict verdict = last_trial(shell.config, tried);
  if (!verdict.good && !options.force && !options.dry_run) {
    verdict = try_version(shell, tried, !options.json);
    if (!verdict.good)
      return shell.refuse(
          ExitCode::kRefused,
          fmt::format("{}:{} was not published: {}{}; --force publishes it all the "
                      "same",
                      version.image, version.version, verdict.why, picture_words(verdict)));
  }
  if (!verdict.good && copy) change.forced = verdict.why;
  if (!options.json) tell_trial(shell, verdict, options);
  return move_default(shell, *store, change, options, &verdict);
}

ExitCode image_rollback(Shell& shell, const TagOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto deadlines, deadlines_of(options));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto image, catalog.image(options.word));
  PANAL_CLI_ASSIGN(shell, const auto moves, store->tag_moves(image.name, store::kDefaultTag));
  const auto targets = store::rollback_targets(moves);
  const auto target = std::find_if(targets.begin(), targets.end(), [&](const auto& version) {
    return catalog.find(image.name, version) != nullptr;
  });
  if (target == targets.end())
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("default of image {} was at no other version that is still "
                                    "there; panal image publish {}:VERSION moves it to any",
                                    image.name, image.name));
  // Not past it to one that is here: that would not be the move before undone.
  const auto copy = check_copy(shell, *catalog.find(image.name, *target));
  if (!options.force) PANAL_CLI_TRY(shell, copy);
  store::TagChange change{image.name,
                          store::kDefaultTag,
                          *target,
                          image.default_version,
                          store::TagMoveKind::kRollback,
                          operator_name(),
                          deadlines};
  if (!copy) change.forced = "this node has no copy of it";
  return move_default(shell, *store, change, options, nullptr);
}

ExitCode image_tag(Shell& shell, const TagOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto version, catalog.resolve(options.word, store::kDefaultTag));
  if (options.tag == store::kDefaultTag)
    return shell.refuse(ExitCode::kUsage,
                        "tag default is moved by panal image publish, which "
                        "says who is affected");
  if (options.tag == store::kHeadTag)
    return shell.refuse(ExitCode::kUsage,
                        "tag head follows the newest version by itself; use another name");
  const std::string now = catalog.at(version.image, options.tag);
  const std::string name = fmt::format("{}:{}", version.image, printable(options.tag, 80));
  if (now == version.version) {
    shell.out << fmt::format("{} is at {} already\n", name, now);
    return ExitCode::kOk;
  }
  const std::string former = now.empty() ? "" : fmt::format(", no more at {}", now);
  if (options.dry_run) {
    shell.out << fmt::format("{} would be at {}{}\n", name, version.version, former);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, store->move_tag({version.image,
                                        options.tag,
                                        version.version,
                                        now,
                                        store::TagMoveKind::kTag,
                                        operator_name(),
                                        {}}));
  shell.out << fmt::format("{} is at {}{}\n", name, version.version, former);
  return ExitCode::kOk;
}

ExitCode image_untag(Shell& shell, const TagOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto word, split_image_word(options.word));
  if (word.name.empty()) return shell.refuse(ExitCode::kUsage, "say which tag is to go: IMAGE:TAG");
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_TRY(shell, catalog.image(word.image));
  const std::string now = catalog.at(word.image, word.name);
  if (now.empty()) {
    std::vector<std::string> known;
    for (const store::Tag& tag : catalog.tags)
      if (tag.image == word.image) known.push_back(tag.tag);
    return shell.refuse(ExitCode::kNotFound,
                        fmt::format("image {} has no tag {}{}", word.image, word.name,
                                    did_you_mean(word.name, known)));
  }
  if (word.name == store::kDefaultTag || word.name == store::kHeadTag)
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("tag {} stays: every image has it", word.name));
  if (options.dry_run) {
    shell.out << fmt::format("would take away {}:{}, which is at {}\n", word.image, word.name, now);
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(
      shell,
      store->move_tag(
          {word.image, word.name, "", now, store::TagMoveKind::kUntag, operator_name(), {}}));
  shell.out << fmt::format("{}:{} taken away; it was at {}\n", word.image, word.name, now);
  return ExitCode::kOk;
}

}  // namespace

void add_image_tag_commands(CLI::App& family, Action& action) {
  ImageVerbs<TagOptions> verbs(family, action);
  TagOptions& options = *verbs.options;
  const auto deadlines = [&](CLI::App& command) {
    command.add_option("--soft", options.soft,
                       "running desktops of other versions start again when nobody is connected, "
                       "from then on (30m, 1h, 2d; 0: now)");
    command.add_option("--hard", options.hard, "they start again then, whoever is connected");
    verbs.dry_run(command);
    verbs.json(command);
  };

  auto& tag = verbs.add("tag", "Give a version a name that can move.", image_tag);
  tag.add_option("IMAGE[:VERSION]", options.word, "a version or tag; without: default")->required();
  tag.add_option("TAG", options.tag, "[a-z][a-z0-9._-]{0,31}")->required();
  verbs.dry_run(tag);
  auto& untag = verbs.add("untag", "Take such a name away; no desktop may follow it.", image_untag);
  untag.add_option("IMAGE:TAG", options.word, "the name")->required();
  verbs.dry_run(untag);

  auto& publish = verbs.add("publish", "Make a version what new starts take.", image_publish);
  publish.add_option("IMAGE[:VERSION]", options.word, "a version or tag; without: the newest")
      ->required();
  publish.add_flag("--force", options.force,
                   "although its trial start failed or cannot be made, or this node has no copy");
  deadlines(publish);
  auto& rollback = verbs.add(
      "rollback", "Make what was published before what new starts take again.", image_rollback);
  rollback.add_option("IMAGE", options.word, "image")->required();
  rollback.add_flag("--force", options.force, "although this node has no copy of it");
  deadlines(rollback);
}

}  // namespace panal::cli
