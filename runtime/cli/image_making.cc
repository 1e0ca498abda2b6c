// New versions: build, commit, import.
#include <fmt/format.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "engine/base/log.h"
#include "runtime/cli/image_refs.h"
#include "runtime/cli/image_trial.h"
#include "runtime/cli/image_verbs.h"
#include "runtime/cli/images.h"
#include "runtime/cli/local_images.h"
#include "runtime/cli/long_work.h"
#include "runtime/cli/names.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/span.h"
#include "runtime/cli/table.h"
#include "storage/image/image_store.h"
#include "storage/recipe/builder.h"

namespace panal::cli {
namespace {

struct MakingOptions {
  std::string word, source, kind = "auto", reference, message;
  std::vector<std::string> session;
  bool force = false, publish = false, browser_sandbox = false, leave_out_special = false;
  bool dry_run = false, json = false;
};

Result<storage::Recipe> load_recipe(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return fail_errno("read recipe", file);
  std::stringstream text;
  text << stream.rdbuf();
  if (stream.bad()) return fail(EIO, "read recipe " + file);
  return storage::parse_recipe(text.str(), file);
}

struct BuildWords {
  std::string word;
  bool force = false;
  Registration how;
};

ExitCode build_one(Shell& shell, const BuildWords& what, storage::VersionManifest* made) {
  const std::string file = recipe_file(shell.config, what.word);
  PANAL_CLI_ASSIGN(shell, const auto recipe, load_recipe(file));
  // Before the long work, so that it is not done for nothing.
  PANAL_CLI_TRY(shell, shell.backends.store(shell.config));
  storage::ImageStore images(shell.config.images_dir);
  storage::BuildOptions build;
  build.cache_dir = shell.config.state_dir + "/cache";
  build.log_file = fmt::format("{}/log/build-{}.log", shell.config.state_dir, recipe.name);
  build.force = what.force;
  build.message = what.how.message;
  build.author = operator_name();
  LongWork under_way(shell);
  build.cancelled = under_way.cancelled();
  const auto manifest = storage::build_image(
      recipe, images, build,
      [&under_way](double part, const std::string& step) { under_way.bar().update(part, step); });
  under_way.bar().clear();
  if (!manifest) {
    return shell.refuse(exit_code_of(manifest.error().code),
                        fmt::format("image {} was not built: {}; all that was said is in {}",
                                    recipe.name, sentence_of(manifest.error()), build.log_file));
  }
  Registration how = what.how;
  how.description = recipe.description;
  if (made != nullptr) *made = *manifest;
  return register_version(shell, *manifest, how);
}

ExitCode image_build(Shell& shell, const MakingOptions& options) {
  PANAL_CLI_TRY(shell, check_message(options.message));
  if (!options.dry_run)
    return build_one(shell, {options.word, options.force, {"", options.message, options.publish}},
                     nullptr);
  const std::string file = recipe_file(shell.config, options.word);
  PANAL_CLI_ASSIGN(shell, const auto recipe, load_recipe(file));
  const storage::ImageStore images(shell.config.images_dir);
  const auto there = images.find_by_digest(recipe.name, storage::digest(recipe));
  if (there && !options.force) {
    shell.out << fmt::format("would register image {} version {}, which is built already\n",
                             recipe.name, there->version);
  } else {
    shell.out << fmt::format("would build image {} from {}: Debian {}, {} packages asked for\n",
                             recipe.name, file, recipe.suite, recipe.packages.size());
  }
  return ExitCode::kOk;
}

ExitCode take_in(Shell& shell, storage::ImportSpec spec, const MakingOptions& options) {
  PANAL_CLI_TRY(shell, check_message(options.message));
  if (options.dry_run) {
    shell.out << fmt::format("would make {} a version of image {}{}\n",
                             printable(spec.source, 4096), spec.image,
                             options.publish ? " and publish it if its trial start is good" : "");
    return ExitCode::kOk;
  }
  PANAL_CLI_TRY(shell, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto local, shell.backends.images(shell.config));
  spec.message = options.message;
  spec.author = operator_name();
  spec.unpacker = config::program_dir() + "/panal-unpack";
  LongWork under_way(shell);
  const auto manifest = local->take_in(spec, under_way.work());
  under_way.bar().clear();
  if (!manifest) {
    // An entry that is refused is no lack of rights of whoever imports it.
    const bool entry = manifest.error().code == EPERM;
    return shell.refuse(
        entry ? ExitCode::kRefused : exit_code_of(manifest.error().code),
        fmt::format("no version of {} was made: {}", spec.image,
                    entry ? manifest.error().context : sentence_of(manifest.error())));
  }
  return register_version(shell, *manifest, {"", options.message, options.publish});
}

ExitCode image_import(Shell& shell, const MakingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto word, split_image_word(options.word));
  if (!word.name.empty())
    return shell.refuse(ExitCode::kUsage, "a version gets its number by itself: give IMAGE alone");
  PANAL_CLI_TRY(shell, check_image_name(word.image));
  storage::ImportSpec spec;
  spec.image = word.image;
  spec.source = options.source;
  PANAL_CLI_ASSIGN(shell, spec.kind, storage::parse_import_kind(options.kind));
  spec.reference = options.reference;
  spec.session = options.session;
  spec.browser_sandbox = options.browser_sandbox;
  spec.leave_out_special = options.leave_out_special;
  return take_in(shell, std::move(spec), options);
}

/// As an import of a directory, with all that is not in the tree taken from the version before.
ExitCode image_commit(Shell& shell, const MakingOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  PANAL_CLI_ASSIGN(shell, const auto parent, catalog.resolve(options.word, store::kHeadTag));
  storage::ImportSpec spec;
  spec.image = parent.image;
  spec.source = options.source;
  spec.kind = storage::ImportKind::kDirectory;
  spec.parent = parent.commit;
  spec.session = options.session.empty() ? parent.session : options.session;
  spec.browser_sandbox = options.browser_sandbox || parent.browser_sandbox;
  spec.leave_out_special = options.leave_out_special;
  return take_in(shell, std::move(spec), options);
}

store::Version registered(const storage::VersionManifest& manifest, const Registration& how) {
  store::Version out;
  out.image = manifest.image;
  out.version = manifest.version;
  out.recipe_digest = manifest.recipe_digest;
  out.session = manifest.session;
  out.browser_sandbox = manifest.browser_sandbox;
  out.size_bytes = manifest.size_bytes;
  if (manifest.created_unix_s > 0) out.created = print_time(manifest.created_unix_s);
  out.commit = manifest.commit;
  // Of a version that was pulled, both are in the words of its publisher.
  out.message = printable(manifest.message.empty() ? how.message : manifest.message, 4000);
  out.author = printable(manifest.author.empty() ? operator_name() : manifest.author, 250);
  return out;
}

}  // namespace

std::string recipe_file(const config::Config& config, const std::string& word) {
  const bool is_file = word.find('/') != std::string::npos || word.ends_with(".toml");
  return is_file ? word : fmt::format("{}/{}.toml", config.recipes_dir, word);
}

ExitCode build_and_register(Shell& shell, const std::string& word, bool force, std::string* image,
                            std::string* version) {
  storage::VersionManifest made;
  const ExitCode code = build_one(shell, {word, force, {}}, &made);
  if (image != nullptr && !made.image.empty()) *image = made.image;
  if (version != nullptr && !made.version.empty()) *version = made.version;
  return code;
}

ExitCode register_version(Shell& shell, const storage::VersionManifest& manifest,
                          const Registration& how) {
  TrialVerdict verdict;
  bool wanted = false;  // it is to be what new starts take
  {
    PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
    PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
    const std::string now = catalog.at(manifest.image, store::kDefaultTag);
    wanted = now != manifest.version && (how.publish || now.empty());
  }
  // Before it is registered: what has `default` may be started from any moment.
  if (wanted)
    verdict = ensure_trial(shell, {manifest.image, manifest.version, manifest.commit}, true);
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  store::Version row = registered(manifest, how);
  row.untried = wanted && !verdict.good;
  PANAL_CLI_TRY(shell, store->add_version(row, how.description));
  PANAL_CLI_ASSIGN(shell, const auto catalog, ImageCatalog::read(*store));
  std::string now = catalog.at(manifest.image, store::kDefaultTag);
  if (how.publish && verdict.good && now != manifest.version) {
    PANAL_CLI_TRY(shell, store->move_tag({manifest.image,
                                          store::kDefaultTag,
                                          manifest.version,
                                          now,
                                          store::TagMoveKind::kPublish,
                                          operator_name(),
                                          {}}));
    now = manifest.version;
  }
  const std::string there = fmt::format("image {} version {} ({}) is", manifest.image,
                                        manifest.version, human_bytes(manifest.size_bytes));
  const std::string publish =
      fmt::format("panal image publish {}:{}", manifest.image, manifest.version);
  const std::string takes = now.empty() ? "nothing" : now;
  if (wanted && !verdict.good) {
    const std::string sentence =
        fmt::format("{} there, and new starts take {} until {}: {}{}", there, takes, publish,
                    verdict.why, picture_words(verdict));
    // Where nobody has asked for it, nothing has failed that could not be done later.
    if (how.publish || verdict.failed)
      return shell.refuse(how.publish ? ExitCode::kRefused : ExitCode::kFailed, sentence);
    shell.out << sentence << "\n";
  } else if (now == manifest.version) {
    shell.out << fmt::format("{} the default for new starts\n", there);
  } else {
    shell.out << fmt::format("{} there; new starts take {} until {}\n", there, takes, publish);
  }
  return ExitCode::kOk;
}

void add_image_making_commands(CLI::App& family, Action& action) {
  ImageVerbs<MakingOptions> verbs(family, action);
  MakingOptions& options = *verbs.options;
  const auto common = [&](CLI::App& command) {
    command.add_option("-m,--message", options.message, "why, one line for panal image log");
    command.add_flag("--publish", options.publish,
                     "make it what new starts take, if its trial start is good");
    verbs.dry_run(command);
  };
  const auto tree = [&](CLI::App& command) {
    command.add_option("--session", options.session, "program and words that start the session")
        ->expected(1, 64);
    command.add_flag("--browser-sandbox", options.browser_sandbox,
                     "nested user namespaces are allowed inside");
    command.add_flag("--leave-out-special", options.leave_out_special,
                     "leave out devices, FIFOs, sockets and file capabilities instead of refusing");
    common(command);
  };

  auto& build = verbs.add("build", "Build a version from a recipe.", image_build);
  build.add_option("RECIPE", options.word, "recipe file, or the name of one that came with panal")
      ->required();
  build.add_flag("--force", options.force, "build although this recipe's version is there");
  common(build);

  auto& commit =
      verbs.add("commit", "Make a directory the next version of an image.", image_commit);
  commit
      .add_option("IMAGE[:VERSION]", options.word,
                  "the version it comes after, whose session it has; without: the newest")
      ->required();
  commit.add_option("DIRECTORY", options.source, "root file system")->required();
  tree(commit);

  auto& take = verbs.add("import", "Make a version of what comes from elsewhere.", image_import);
  take.add_option("IMAGE", options.word, "image, new or known")->required();
  take.add_option("SOURCE", options.source, "rootfs tarball or directory, QVD image, OCI layout")
      ->required();
  take.add_option("--kind", options.kind, "auto, tar, directory or oci");
  take.add_option("--reference", options.reference, "which of several in an OCI layout");
  tree(take);
}

}  // namespace panal::cli
