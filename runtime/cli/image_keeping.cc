// What becomes of versions on disk: rm, agree, gc.
#include <fmt/format.h>

#include <algorithm>

#include "engine/base/log.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/images.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/long_work.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/table.h"
#include "runtime/compose/layer_use.h"
#include "runtime/config/schema.h"

namespace panal::cli {
namespace {

struct KeepingOptions {
  std::string word;
  bool enlist = false, dry_run = false;
};

std::string named(const std::string& image, const std::string& version) {
  return image + ":" + version;
}

/// Why this node needs a version whatever the database says, a sentence after a colon; empty: it
/// does not. A layer's tree must not go from under desktops, and the database knows of no layers.
std::string why_kept(const Shell& shell, const std::string& image, const std::string& version) {
  const auto use = compose::layer_use(shell.config, image, version);
  if (!use) return {};
  return fmt::format(
      "it is a layer of image {0} on this node (\"{1}\" in layers under [compose]); take it out "
      "there and restart panald and the desktops of {0} first",
      use->image, printable(use->layer, 200));
}

ExitCode image_rm(Shell& shell, const KeepingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto word, split_image_word(options.word));
  PANAL_CLI_TRY(shell, catalog.image(word.image));
  std::vector<store::Version> versions;
  if (word.name.empty()) {
    for (const store::Version& one : catalog.versions)
      if (one.image == word.image) versions.push_back(one);
    // What new starts take can only go as the last one.
    const std::string last = catalog.at(word.image, store::kDefaultTag);
    std::stable_partition(versions.begin(), versions.end(),
                          [&](const store::Version& one) { return one.version != last; });
  } else {
    PANAL_CLI_ASSIGN(shell, const auto one, catalog.resolve(options.word, store::kDefaultTag));
    // A tag may have moved since somebody looked: what is deleted is named by its own name.
    if (one.version != word.name)
      return shell.refuse(ExitCode::kUsage,
                          fmt::format("{} is a tag, now at {}: name the version itself, or take "
                                      "the tag away with panal image untag",
                                      options.word, one.version));
    versions.push_back(one);
  }
  for (const store::Version& one : versions)
    if (const std::string why = why_kept(shell, one.image, one.version); !why.empty())
      return shell.refuse(ExitCode::kRefused,
                          fmt::format("{} stays: {}", named(one.image, one.version), why));
  if (options.dry_run) {
    for (const store::Version& one : versions)
      shell.out << fmt::format("would remove {} ({})\n", named(one.image, one.version),
                               human_bytes(one.size_bytes));
    return ExitCode::kOk;
  }
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  for (const store::Version& one : versions) {
    // First the row: the store knows who uses it, and nobody can start it from then on. Killed
    // after it, the copies go when somebody looks (panal image agree, gc, panal up).
    PANAL_CLI_TRY(shell, store->remove_version(one.image, one.version, operator_name()));
    const auto removed = local->remove(one.image, one.version);
    if (!removed && !removed.error().is_gone()) {
      (void)shell.told(removed.error());
      return shell.refuse(ExitCode::kFailed,
                          fmt::format("{} is removed for everybody, but its copy on this node is "
                                      "not; panal image agree tries that again",
                                      named(one.image, one.version)));
    }
    store::Removal removal;
    removal.image = one.image;
    removal.version = one.version;
    removal.commit = one.commit;
    PANAL_CLI_TRY(shell, store->finish_removal(removal, shell.config.node_name));
    shell.out << fmt::format("{} removed\n", named(one.image, one.version));
  }
  shell.out << "panal image gc gives the space back\n";
  return ExitCode::kOk;
}

/// What this node has, against what the store says there is.
struct Comparison {
  std::vector<store::Version> lacking;                   ///< registered, not here
  std::vector<storage::VersionManifest> unknown;         ///< here, neither registered nor removed
  std::vector<storage::VersionManifest> without_commit;  ///< here, and not a commit yet
  std::vector<std::string> contradicting;                ///< here with another commit
  std::size_t staying = 0;                               ///< here, and removed
};

Comparison compare(const ImageCatalog& catalog, const std::vector<store::Removal>& removals,
                   const std::vector<storage::VersionManifest>& copies) {
  Comparison out;
  for (const store::Version& version : catalog.versions) {
    const bool here = std::any_of(copies.begin(), copies.end(), [&](const auto& copy) {
      return copy.image == version.image && copy.version == version.version;
    });
    if (!here) out.lacking.push_back(version);
  }
  for (const auto& copy : copies) {
    const bool removed = std::any_of(removals.begin(), removals.end(), [&](const auto& removal) {
      return removal.image == copy.image && removal.version == copy.version &&
             (removal.commit == copy.commit || copy.commit.empty());
    });
    const store::Version* version = catalog.find(copy.image, copy.version);
    if (version == nullptr && removed) ++out.staying;
    if (version == nullptr && !removed) out.unknown.push_back(copy);
    if (version == nullptr) continue;
    if (copy.commit.empty())
      out.without_commit.push_back(copy);
    else if (!version->commit.empty() && version->commit != copy.commit)
      out.contradicting.push_back(named(copy.image, copy.version));
  }
  return out;
}

/// Makes copies known that nobody has registered, and commits of those that are none yet.
ExitCode enlist(Shell& shell, store::Store& store, LocalImages& local, const Comparison& found) {
  PANAL_CLI_ASSIGN(shell, const auto desktops, store.desktops());
  std::vector<storage::VersionManifest> all = found.unknown;
  all.insert(all.end(), found.without_commit.begin(), found.without_commit.end());
  LongWork under_way(shell);
  for (storage::VersionManifest& copy : all) {
    const std::string name = named(copy.image, copy.version);
    const auto user = std::find_if(desktops.begin(), desktops.end(), [&](const auto& desktop) {
      return desktop.image == copy.image && desktop.running_version == copy.version;
    });
    if (copy.commit.empty() && user != desktops.end()) {
      under_way.bar().say(
          fmt::format("{} is left as it is: desktop {} runs from it", name, printable(user->name)));
      continue;
    }
    // Becoming a commit, its tree is exchanged for another.
    if (const std::string why = why_kept(shell, copy.image, copy.version);
        copy.commit.empty() && !why.empty()) {
      under_way.bar().say(fmt::format("{} is left as it is: {}", name, why));
      continue;
    }
    if (copy.commit.empty()) {
      auto adopted = local.adopt(copy.image, copy.version, under_way.work());
      under_way.bar().clear();
      PANAL_CLI_TRY(shell, adopted);
      copy = std::move(*adopted);
    }
    if (const auto code = register_version(shell, copy, {}); code != ExitCode::kOk) return code;
  }
  return ExitCode::kOk;
}

ExitCode image_agree(Shell& shell, const KeepingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  std::size_t removed = 0;
  PANAL_CLI_TRY(shell, agree_with_removals(shell, *store, options.dry_run, &removed));
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto removals, store->removals());
  PANAL_CLI_ASSIGN(shell, const auto copies, local->list());
  const Comparison found = compare(catalog, removals, copies);
  ExitCode code = ExitCode::kOk;
  if (options.enlist && !options.dry_run) code = enlist(shell, *store, *local, found);
  for (const auto& one : found.lacking)
    shell.out << fmt::format("{} is not on this node; panal image pull {} fetches it\n",
                             named(one.image, one.version), named(one.image, one.version));
  if (!options.enlist || options.dry_run) {
    for (const auto& one : found.unknown)
      shell.out << fmt::format(
          "{} is on this node, but nobody knows of it; --register changes "
          "that\n",
          named(one.image, one.version));
    for (const auto& one : found.without_commit)
      shell.out << fmt::format("{} is no commit yet; --register makes it one\n",
                               named(one.image, one.version));
  }
  if (!found.contradicting.empty())
    return shell.refuse(ExitCode::kFailed,
                        fmt::format("{} is another commit on this node than on the others: two "
                                    "nodes have made a version of the same name; remove it here "
                                    "(its directory in {}) and pull it",
                                    found.contradicting.front(), shell.config.images_dir));
  if (code == ExitCode::kOk && removed + found.staying == 0 && found.lacking.empty() &&
      found.unknown.empty() && found.without_commit.empty())
    shell.out << "this node has what it should\n";
  return code;
}

ExitCode image_gc(Shell& shell, const KeepingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  // Without the database nothing is known of removals; the garbage goes all the same.
  std::size_t removed = 0;
  if (const auto store = shell.backends.store(shell.config)) {
    PANAL_CLI_TRY(shell, agree_with_removals(shell, **store, options.dry_run, &removed));
  } else {
    shell.out << "no database: what was removed elsewhere stays for now\n";
  }
  LongWork under_way(shell);
  if (options.dry_run) {
    const auto garbage = local->garbage(under_way.work());
    under_way.bar().clear();
    PANAL_CLI_TRY(shell, garbage);
    shell.out << fmt::format("would free {}: {} objects{}\n", human_bytes(garbage->freed_bytes),
                             garbage->objects,
                             removed == 0 ? "" : ", and what those versions alone need");
    return ExitCode::kOk;
  }
  const auto report = local->gc(under_way.work());
  under_way.bar().clear();
  PANAL_CLI_TRY(shell, report);
  shell.out << fmt::format("{} freed: {} objects, {} leftovers\n", human_bytes(report->freed_bytes),
                           report->objects, report->leftovers);
  return ExitCode::kOk;
}

}  // namespace

Result<void> agree_with_removals(Shell& shell, store::Store& store, bool dry_run,
                                 std::size_t* removed) {
  PANAL_ASSIGN(const auto removals, store.removals());
  if (removals.empty()) return {};
  PANAL_ASSIGN(const auto versions, store.versions());
  PANAL_ASSIGN(const auto local, shell.backends.images(shell.config));
  PANAL_ASSIGN(const auto copies, local->list());
  const std::string& node = shell.config.node_name;
  for (const store::Removal& removal : removals) {
    const std::string name = named(removal.image, removal.version);
    const auto copy = std::find_if(copies.begin(), copies.end(), [&](const auto& one) {
      return one.image == removal.image && one.version == removal.version &&
             (one.commit == removal.commit || one.commit.empty());
    });
    // A version of that name was made again since.
    const bool wanted = std::any_of(versions.begin(), versions.end(), [&](const auto& one) {
      return one.image == removal.image && one.version == removal.version;
    });
    const bool here = copy != copies.end() && !wanted;
    // Whoever removed it was on another node; the removal stays open here until the layer is gone.
    if (const std::string why = why_kept(shell, removal.image, removal.version);
        here && !why.empty()) {
      shell.out << fmt::format("{}, which {} removed at {}, stays: {}\n", name,
                               printable(removal.actor), removal.at, why);
      continue;
    }
    if (here && dry_run) {
      shell.out << fmt::format("would delete {}, which {} removed at {}\n", name,
                               printable(removal.actor), removal.at);
      if (removed != nullptr) ++*removed;
      continue;
    }
    if (here) {
      const auto gone = local->remove(removal.image, removal.version);
      if (!gone && !gone.error().is_gone()) return prefixed("delete " + name, gone.error());
      shell.out << fmt::format("{} deleted, which {} removed at {}\n", name,
                               printable(removal.actor), removal.at);
      if (removed != nullptr) ++*removed;
    }
    const bool noted =
        std::find(removal.done_on.begin(), removal.done_on.end(), node) != removal.done_on.end();
    if (!dry_run && !noted) PANAL_TRY(store.finish_removal(removal, node));
  }
  return {};
}

void add_image_keeping_commands(CLI::App& family, Action& action) {
  ImageVerbs<KeepingOptions> verbs(family, action);
  KeepingOptions& options = *verbs.options;

  auto& rm = verbs.add("rm", "Remove an image or one version that nobody uses.", image_rm);
  rm.add_option("IMAGE[:VERSION]", options.word, "what to remove")->required();
  verbs.dry_run(rm);

  auto& agree =
      verbs.add("agree", "Make this node's versions agree with the database.", image_agree);
  agree.add_flag("--register", options.enlist,
                 "make versions known that only this node has, and commits of old ones");
  verbs.dry_run(agree);

  auto& gc = verbs.add("gc", "Free the space that no version needs.", image_gc);
  verbs.dry_run(gc);
}

}  // namespace panal::cli
