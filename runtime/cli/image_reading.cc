// What there is: ls, log, show, diff.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_trial.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/table.h"

namespace panal::cli {
namespace {

struct ReadingOptions {
  std::string word, other, tag;
  std::uint32_t most = 0;
  bool files = false, json = false, dry_run = false;
};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::size_t users_of(const std::vector<store::Desktop>& desktops, const store::Version& version) {
  return static_cast<std::size_t>(
      std::count_if(desktops.begin(), desktops.end(), [&](const store::Desktop& d) {
        if (d.image != version.image) return false;
        return (d.running_version.empty() ? d.next_version : d.running_version) == version.version;
      }));
}

nlohmann::json version_json(const ImageCatalog& catalog, const store::Version& version) {
  const auto tags = catalog.tags_of(version.image, version.version);
  const auto has = [&](const char* tag) {
    return std::find(tags.begin(), tags.end(), tag) != tags.end();
  };
  return {{"image", version.image},
          {"version", version.version},
          {"tags", tags},
          {"default", has(store::kDefaultTag)},
          {"head", has(store::kHeadTag)},
          {"commit", version.commit},
          {"message", version.message},
          {"author", version.author},
          {"size_bytes", version.size_bytes},
          {"created", version.created},
          {"session", version.session},
          {"browser_sandbox", version.browser_sandbox},
          {"recipe_digest", version.recipe_digest}};
}

ExitCode image_ls(Shell& shell, const ReadingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  auto list = nlohmann::json::array();
  Table table({"IMAGE", "VERSION", "TAGS", ">SIZE", ">DESKTOPS", "CREATED", "DESCRIPTION"});
  for (const store::Version& version : catalog.versions) {
    const auto image = catalog.image(version.image);
    const std::string description = image ? image->description : "";
    const auto used = users_of(desktops, version);
    auto entry = version_json(catalog, version);
    entry["desktops"] = used;
    entry["description"] = description;
    list.push_back(std::move(entry));
    table.add_row(
        {version.image, version.version, joined(catalog.tags_of(version.image, version.version)),
         human_bytes(version.size_bytes), std::to_string(used), version.created, description});
  }
  if (options.json)
    shell.print(list);
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode print_moves(Shell& shell, store::Store& store, const ReadingOptions& options) {
  PANAL_CLI_ASSIGN(shell, auto moves, store.tag_moves(options.word, options.tag));
  std::reverse(moves.begin(), moves.end());
  if (options.most != 0 && moves.size() > options.most) moves.resize(options.most);
  auto list = nlohmann::json::array();
  Table table({"WHEN", "WHO", "HOW", "TAG", "FROM", "TO"});
  for (const store::TagMove& move : moves) {
    list.push_back({{"at", move.at},
                    {"actor", move.actor},
                    {"how", store::to_string(move.kind)},
                    {"image", move.image},
                    {"tag", move.tag},
                    {"from", move.from},
                    {"to", move.to}});
    table.add_row({move.at, move.actor, std::string(store::to_string(move.kind)), move.tag,
                   move.from, move.to});
  }
  if (options.json)
    shell.print(list);
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode image_log(Shell& shell, const ReadingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_TRY(shell, catalog.image(options.word));
  if (!options.tag.empty()) return print_moves(shell, *store, options);
  auto list = nlohmann::json::array();
  for (const store::Version& version : catalog.versions) {
    if (version.image != options.word) continue;
    if (options.most != 0 && list.size() == options.most) break;
    list.push_back(version_json(catalog, version));
    if (options.json) continue;
    const auto tags = joined(catalog.tags_of(version.image, version.version));
    shell.out << fmt::format("{}{}\n  {}  {}{}\n", version.version,
                             tags.empty() ? "" : fmt::format(" ({})", tags), version.created,
                             version.author.empty() ? "" : printable(version.author, 256) + "  ",
                             human_bytes(version.size_bytes));
    if (!version.commit.empty()) shell.out << fmt::format("  commit {}\n", version.commit);
    if (!version.message.empty())
      shell.out << fmt::format("  {}\n", printable(version.message, 4096));
  }
  if (options.json) shell.print(list);
  return ExitCode::kOk;
}

ExitCode image_show(Shell& shell, const ReadingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto version, catalog.resolve(options.word, store::kDefaultTag));
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  auto facts = version_json(catalog, version);
  facts["desktops"] = users_of(desktops, version);
  const TrialVerdict trial =
      last_trial(shell.config, {version.image, version.version, version.commit});
  facts["trial"] = trial_json(trial);
  // The list of packages is only with a copy.
  facts["here"] = false;
  facts["packages"] = nlohmann::json::array();
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto copies, local->list());
  for (const auto& copy : copies) {
    if (copy.image != version.image || copy.version != version.version) continue;
    facts["here"] = true;
    facts["parent"] = copy.parent;
    for (const auto& [name, number] : copy.packages)
      facts["packages"].push_back(nlohmann::json{{"name", name}, {"version", number}});
  }
  if (options.json) {
    shell.print(facts);
    return ExitCode::kOk;
  }
  for (const auto& [key, value] : facts.items()) {
    if (key == "packages") continue;
    if (key == "trial") {
      shell.out << fmt::format("{:18}{}{}\n", key, describe(trial), picture_words(trial));
      continue;
    }
    shell.out << fmt::format(
        "{:18}{}\n", key,
        printable(value.is_string() ? value.get<std::string>() : value.dump(), 4096));
  }
  shell.out << fmt::format("{:18}{}\n", "packages", facts["packages"].size());
  for (const auto& package : facts["packages"])
    shell.out << fmt::format("  {} {}\n", printable(package["name"].get<std::string>()),
                             printable(package["version"].get<std::string>()));
  return ExitCode::kOk;
}

std::string_view change_word(storage::Change change) {
  switch (change) {
    case storage::Change::kAdded: return "added";
    case storage::Change::kRemoved: return "removed";
    case storage::Change::kChanged: return "changed";
  }
  return "changed";
}

nlohmann::json diff_json(const storage::VersionDiff& diff) {
  auto packages = nlohmann::json::array();
  for (const auto& one : diff.packages)
    packages.push_back({{"change", change_word(one.change)},
                        {"name", one.name},
                        {"from", one.from},
                        {"to", one.to}});
  auto files = nlohmann::json::array();
  for (const auto& one : diff.files)
    files.push_back({{"change", change_word(one.change)},
                     {"path", one.path},
                     {"from_bytes", one.from_bytes},
                     {"to_bytes", one.to_bytes}});
  return {{"packages", packages}, {"files", files}};
}

ExitCode image_diff(Shell& shell, const ReadingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto from, catalog.resolve(options.word, store::kDefaultTag));
  // `diff icewm` alone: what a publication would change.
  const std::string other =
      options.other.empty() ? from.image + ":" + store::kHeadTag : options.other;
  PANAL_CLI_ASSIGN(shell, const auto to, catalog.resolve(other, store::kHeadTag));
  for (const store::Version* version : {&from, &to})
    if (version->commit.empty())
      return shell.refuse(ExitCode::kRefused,
                          fmt::format("{}:{} was made before versions were commits and cannot be "
                                      "compared; panal image agree --register commits it",
                                      version->image, version->version));
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto diff, local->diff(from.commit, to.commit));
  if (options.json) {
    auto answer = diff_json(diff);
    answer["from"] = from.image + ":" + from.version;
    answer["to"] = to.image + ":" + to.version;
    shell.print(answer);
    return ExitCode::kOk;
  }
  shell.out << fmt::format("{}:{} -> {}:{}: {} packages and {} files differ\n", from.image,
                           from.version, to.image, to.version, diff.packages.size(),
                           diff.files.size());
  Table packages({"PACKAGE", "CHANGE", "FROM", "TO"});
  for (const auto& one : diff.packages)
    packages.add_row({one.name, std::string(change_word(one.change)), one.from, one.to});
  if (packages.rows() > 0) packages.print(shell.out);
  if (!options.files) {
    if (!diff.files.empty()) shell.out << "--files lists the files\n";
    return ExitCode::kOk;
  }
  Table files({"CHANGE", ">FROM", ">TO", "FILE"});
  for (const auto& one : diff.files)
    files.add_row({std::string(change_word(one.change)), human_bytes(one.from_bytes),
                   human_bytes(one.to_bytes), one.path});
  if (files.rows() > 0) files.print(shell.out);
  return ExitCode::kOk;
}

}  // namespace

void add_image_reading_commands(CLI::App& family, Action& action) {
  ImageVerbs<ReadingOptions> verbs(family, action);
  ReadingOptions& options = *verbs.options;
  const auto most = [&](CLI::App& command) {
    command.add_option("-n,--most", options.most, "only so many, the newest")
        ->check(CLI::Range(1U, 1'000'000U));
  };
  verbs.json(verbs.add("ls", "List images and versions.", image_ls));
  auto& log = verbs.add("log", "An image's versions, newest first.", image_log);
  log.add_option("IMAGE", options.word, "image")->required();
  log.add_option("--tag", options.tag, "in place of versions: who moved this tag, when, where to");
  most(log);
  verbs.json(log);
  auto& show = verbs.add("show", "All that is known of a version.", image_show);
  show.add_option("IMAGE[:VERSION]", options.word, "a version or tag; without: default")
      ->required();
  verbs.json(show);
  auto& diff = verbs.add("diff", "What is other in the second: packages and files.", image_diff);
  diff.add_option("FROM", options.word, "IMAGE[:VERSION], a version or tag; without: default")
      ->required();
  diff.add_option("TO", options.other, "the same; without: the newest of that image");
  diff.add_flag("--files", options.files, "list the files too");
  verbs.json(diff);
}

}  // namespace panal::cli
