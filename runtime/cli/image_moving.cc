// Versions on their way: export, push, pull, rotate-key.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "engine/base/log.h"
#include "runtime/cli/image_places.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_transfer.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/images.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/long_work.h"
#include "runtime/cli/nearest.h"
#include "runtime/cli/span.h"
#include "runtime/cli/table.h"
#include "storage/transfer/remote_source.h"

namespace panal::cli {
namespace {

struct MovingOptions {
  std::string word, file, key_file, key, life;
  std::vector<std::string> archives;
  PlaceWords place;
  bool offered = false, missing = false, publish = false, withdraw = false;
  bool dry_run = false, json = false;
};

ExitCode image_export(Shell& shell, const MovingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto version, catalog.resolve(options.word, store::kDefaultTag));
  if (options.dry_run) {
    shell.out << fmt::format("would write {}:{} ({} unpacked) to {}\n", version.image,
                             version.version, human_bytes(version.size_bytes),
                             printable(options.file, 4096));
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  LongWork under_way(shell);
  const auto written =
      local->export_to(version.image, version.version, options.file, under_way.work());
  under_way.bar().clear();
  PANAL_CLI_TRY(shell, written);
  shell.out << fmt::format("{}:{} written to {}\n", version.image, version.version,
                           printable(options.file, 4096));
  return ExitCode::kOk;
}

std::string key_file_of(const Shell& shell, const MovingOptions& options) {
  return options.key_file.empty() ? usual_key_file(shell.config) : options.key_file;
}

/// Where no archive is named: the one that this node's broker serves.
Result<std::vector<std::string>> archives_of(const Shell& shell, const MovingOptions& options) {
  if (!options.archives.empty()) return options.archives;
  if (!shell.config.archive_dir.empty()) return std::vector{shell.config.archive_dir};
  return fail(EINVAL, "name the archive's directory, or set archive under [broker]");
}

/// The version may be gone here, so its own name must be said.
ExitCode withdraw(Shell& shell, const MovingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto word, split_image_word(options.word));
  if (word.name.empty())
    return shell.refuse(ExitCode::kUsage, "say which version is to go: IMAGE:VERSION");
  PANAL_CLI_ASSIGN(shell, const auto archives, archives_of(shell, options));
  const std::string directory = printable(archives.front(), 4096);
  if (options.dry_run) {
    shell.out << fmt::format("would take {} from the list of {} and sign that with {}\n",
                             options.word, directory, printable(key_file_of(shell, options), 4096));
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto transfer, shell.backends.transfer(shell.config));
  LongWork under_way(shell);
  const auto freed = transfer->withdraw(archives.front(), key_file_of(shell, options), word.image,
                                        word.name, under_way.work());
  under_way.bar().clear();
  PANAL_CLI_TRY(shell, freed);
  shell.out << fmt::format("{} is no more in {}; {} freed\n", options.word, directory,
                           human_bytes(*freed));
  return ExitCode::kOk;
}

ExitCode image_push(Shell& shell, const MovingOptions& options) {
  if (options.withdraw) return withdraw(shell, options);
  std::chrono::seconds life{0};
  if (options.life == "forever") {
    life = std::chrono::seconds(-1);
  } else if (!options.life.empty()) {
    PANAL_CLI_ASSIGN(shell, life, parse_span(options.life));
  }
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto version, catalog.resolve(options.word, store::kDefaultTag));
  const std::string name = version.image + ":" + version.version;
  if (version.commit.empty())
    return shell.refuse(ExitCode::kRefused,
                        fmt::format("{} was made before versions were commits; panal image agree "
                                    "--register commits it",
                                    name));
  PANAL_CLI_ASSIGN(shell, const auto archives, archives_of(shell, options));
  const std::string& directory = archives.front();
  if (directory.find("://") != std::string::npos)
    return shell.refuse(ExitCode::kUsage,
                        "an archive is a directory of this machine, which a web server may serve: "
                        "nothing is sent to a URL");
  const std::string key_file = key_file_of(shell, options);
  if (options.dry_run) {
    shell.out << fmt::format("would copy what is missing of {} to {} and sign its list with {}\n",
                             name, printable(directory, 4096), printable(key_file, 4096));
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto transfer, shell.backends.transfer(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto publisher, transfer->publisher(key_file));
  LongWork under_way(shell);
  const auto listed = transfer->push(directory, key_file, version.commit, life, under_way.work());
  under_way.bar().clear();
  PANAL_CLI_TRY(shell, listed);
  shell.out << fmt::format("{} is in {}; its publisher's key is {}\n", name,
                           printable(directory, 4096), storage::print_key(publisher));
  return ExitCode::kOk;
}

ExitCode print_offer(Shell& shell, const storage::ImageList& list, const ImageCatalog& catalog,
                     bool as_json) {
  auto out = nlohmann::json::array();
  Table table({"IMAGE", "VERSION", "CREATED", "KNOWN", "COMMIT"});
  for (const auto& one : list.versions) {
    const store::Version* known = catalog.find(one.image, one.version);
    const bool same = known != nullptr && known->commit == one.commit;
    const std::string word = known == nullptr ? "" : same ? "yes" : "another commit";
    out.push_back({{"image", one.image},
                   {"version", one.version},
                   {"commit", one.commit},
                   {"created", print_time(one.created_unix_s)},
                   {"known", word}});
    table.add_row({one.image, one.version, print_time(one.created_unix_s), word, one.commit});
  }
  if (as_json)
    shell.print({{"serial", list.serial},
                 {"signed", print_time(list.created_unix_s)},
                 {"expires", list.expires_unix_s == 0 ? "" : print_time(list.expires_unix_s)},
                 {"versions", out}});
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

/// Of an image: its newest version in the list.
Result<storage::ListedVersion> choose(const storage::ImageList& list, const std::string& word) {
  PANAL_ASSIGN(const ImageWord parts, split_image_word(word));
  const storage::ListedVersion* best = nullptr;
  std::vector<std::string> images, versions;
  for (const auto& one : list.versions) {
    images.push_back(one.image);
    if (one.image != parts.image) continue;
    versions.push_back(one.version);
    if (!parts.name.empty() && one.version != parts.name) continue;
    const auto newer = [](const auto& a, const auto& b) {
      return std::tie(a.created_unix_s, a.version) > std::tie(b.created_unix_s, b.version);
    };
    if (best == nullptr || newer(one, *best)) best = &one;
  }
  if (best != nullptr) return *best;
  if (versions.empty())
    return fail(ENOENT, fmt::format("the archive has no image {}{}", parts.image,
                                    did_you_mean(parts.image, images)));
  return fail(ENOENT, fmt::format("the archive has no version {} of image {}{}", parts.name,
                                  parts.image, did_you_mean(parts.name, versions)));
}

/// What is registered, not on this node, and offered as exactly that commit.
std::vector<storage::ListedVersion> lacking_here(
    const storage::ImageList& list, const ImageCatalog& catalog,
    const std::vector<storage::VersionManifest>& copies) {
  std::vector<storage::ListedVersion> out;
  for (const auto& one : list.versions) {
    const store::Version* known = catalog.find(one.image, one.version);
    if (known == nullptr || known->commit != one.commit) continue;
    const bool here = std::any_of(copies.begin(), copies.end(), [&](const auto& copy) {
      return copy.image == one.image && copy.version == one.version;
    });
    if (!here) out.push_back(one);
  }
  return out;
}

ExitCode pull_one(Shell& shell, ImageTransfer& transfer, const ArchivePlace& place,
                  const storage::ListedVersion& version, const MovingOptions& options) {
  const std::string name = version.image + ":" + version.version;
  if (options.dry_run) {
    shell.out << fmt::format("would pull {} (commit {}) from {}{}\n", name,
                             version.commit.substr(0, 12), storage::shown_url(place.where),
                             options.publish ? " and publish it" : "");
    return ExitCode::kOk;
  }
  LongWork under_way(shell);
  const auto manifest = transfer.pull(place, version, under_way.work());
  under_way.bar().clear();
  if (!manifest)
    return shell.refuse(exit_code_of(manifest.error().code),
                        fmt::format("{} was not pulled: {}", name, sentence_of(manifest.error())));
  return register_version(shell, *manifest, {"", "", options.publish});
}

Result<storage::ImageList> fetch_offer(Shell& shell, ImageTransfer& transfer,
                                       const ArchivePlace& place, const MovingOptions& options) {
  LongWork under_way(shell);
  // A list is believed only by a key that the operator has said, once.
  auto list = options.key.empty()
                  ? transfer.list(place, under_way.work())
                  : transfer.list_by_key(place, options.key, !options.dry_run, under_way.work());
  under_way.bar().clear();
  return list;
}

ExitCode image_pull(Shell& shell, const MovingOptions& options) {
  if (int{options.word.empty()} + int{!options.missing} + int{!options.offered} != 2)
    return shell.refuse(ExitCode::kUsage,
                        "say what is to come: IMAGE[:VERSION], --missing for all that this node "
                        "lacks, or --list for what there is");
  PANAL_CLI_ASSIGN(shell, const auto place, archive_place(shell.config, options.place));
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto transfer, shell.backends.transfer(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto list, fetch_offer(shell, *transfer, place, options));
  if (options.offered) return print_offer(shell, list, catalog, options.json);
  std::vector<storage::ListedVersion> wanted;
  if (options.missing) {
    PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
    PANAL_CLI_ASSIGN(shell, const auto copies, local->list());
    wanted = lacking_here(list, catalog, copies);
    if (wanted.empty()) shell.out << "this node lacks nothing that the archive has\n";
  } else {
    PANAL_CLI_ASSIGN(shell, const auto one, choose(list, options.word));
    const store::Version* known = catalog.find(one.image, one.version);
    if (known != nullptr && !known->commit.empty() && known->commit != one.commit)
      return shell.refuse(
          ExitCode::kRefused,
          fmt::format("{}:{} is another commit here ({}) than in the archive ({})", one.image,
                      one.version, known->commit.substr(0, 12), one.commit.substr(0, 12)));
    wanted.push_back(one);
  }
  for (const auto& one : wanted)
    if (const auto code = pull_one(shell, *transfer, place, one, options); code != ExitCode::kOk)
      return code;
  return ExitCode::kOk;
}

ExitCode image_rotate_key(Shell& shell, const MovingOptions& options) {
  const std::string key_file = key_file_of(shell, options);
  PANAL_CLI_ASSIGN(shell, const auto archives, archives_of(shell, options));
  if (options.dry_run) {
    shell.out << fmt::format(
        "would put a new key in {} and sign the lists of {} archives with "
        "it\n",
        printable(key_file, 4096), archives.size());
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto transfer, shell.backends.transfer(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto key, transfer->rotate(key_file, archives));
  shell.out << fmt::format(
      "the publisher's key is {} now; nodes that trust the former one follow "
      "at their next pull\n",
      storage::print_key(key));
  return ExitCode::kOk;
}

}  // namespace

void add_image_moving_commands(CLI::App& family, Action& action) {
  ImageVerbs<MovingOptions> verbs(family, action);
  MovingOptions& options = *verbs.options;
  const auto key_file = [&](CLI::App& command) {
    command.add_option("--key-file", options.key_file,
                       "the publisher's key (default: keys/publisher below the state directory, "
                       "made where there is none)");
  };

  auto& exported = verbs.add("export", "Write a version's files to a tarball.", image_export);
  exported.add_option("IMAGE[:VERSION]", options.word, "a version or tag; without: default")
      ->required();
  exported
      .add_option("FILE", options.file, "NAME.tar, .tar.gz, .tar.zst or .tar.xz; must not be there")
      ->required();
  verbs.dry_run(exported);

  auto& push = verbs.add("push", "Put a version into an archive for others to pull.", image_push);
  push.add_option("IMAGE[:VERSION]", options.word, "a version or tag; without: default")
      ->required();
  push.add_option("DIRECTORY", options.archives,
                  "the archive, made where there is none; without: what this node's broker serves")
      ->expected(1);
  push.add_option("--life", options.life,
                  "until the list must be signed again (30d, forever; default: as before)");
  push.add_flag("--withdraw", options.withdraw, "take it out of the archive instead");
  key_file(push);
  verbs.dry_run(push);

  auto& pull = verbs.add("pull", "Fetch versions from an archive.", image_pull);
  pull.add_option("IMAGE[:VERSION]", options.word, "what; an image alone: its newest version");
  pull.add_flag("--missing", options.missing, "all registered versions that this node lacks");
  pull.add_flag("--list", options.offered, "only say what there is");
  add_place_options(pull, options.place, "--from");
  pull.get_option("--from")->required();
  pull.add_option("--key", options.key, "the publisher's key (64 hexadecimal digits), said once");
  pull.add_flag("--publish", options.publish, "make it what new starts take, at once");
  verbs.json(pull);
  verbs.dry_run(pull);

  auto& rotate =
      verbs.add("rotate-key", "Change the publisher's key; nodes follow.", image_rotate_key);
  rotate
      .add_option("DIRECTORY", options.archives,
                  "every archive that is signed with it; without: what this node's broker serves")
      ->expected(1, 1000);
  key_file(rotate);
  verbs.dry_run(rotate);
}

}  // namespace panal::cli
