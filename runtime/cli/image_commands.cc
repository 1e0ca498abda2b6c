#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/log.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/image_lint.h"
#include "runtime/cli/images.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/table.h"
#include "storage/image/image_store.h"
#include "storage/recipe/builder.h"

namespace panal::cli {
namespace {

struct ImageOptions {
  std::string word;
  bool force = false, dry_run = false, json = false;
};

std::atomic<bool> interrupted{false};

/// While it lives Ctrl-C ends the build in an orderly way instead of this program.
class Interruptible {
 public:
  Interruptible() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted = true; };
    sigaction(SIGINT, &action, &interrupt_);
    sigaction(SIGTERM, &action, &terminate_);
  }
  ~Interruptible() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  struct sigaction interrupt_{};
  struct sigaction terminate_{};
};

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

Result<storage::Recipe> load_recipe(const std::string& file) {
  std::ifstream stream(file);
  if (!stream) return fail_errno("read recipe", file);
  std::stringstream text;
  text << stream.rdbuf();
  if (stream.bad()) return fail(EIO, "read recipe " + file);
  return storage::parse_recipe(text.str(), file);
}

store::Version registered(const storage::VersionManifest& manifest) {
  store::Version out;
  out.image = manifest.image;
  out.version = manifest.version;
  out.recipe_digest = manifest.recipe_digest;
  out.session = manifest.session;
  out.browser_sandbox = manifest.browser_sandbox;
  out.size_bytes = manifest.size_bytes;
  return out;
}

ExitCode image_build(Shell& shell, const ImageOptions& options) {
  if (!options.dry_run) {
    return build_and_register(shell, options.word, options.force, nullptr, nullptr);
  }
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

ExitCode image_ls(Shell& shell, const ImageOptions& options) {
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, const auto images, store->images());
  PANAL_CLI_ASSIGN(shell, const auto versions, store->versions());
  PANAL_CLI_ASSIGN(shell, const auto desktops, store->desktops());
  auto list = nlohmann::json::array();
  Table table({"IMAGE", "VERSION", "DEFAULT", ">SIZE", ">DESKTOPS", "CREATED", "DESCRIPTION"});
  for (const auto& version : versions) {
    const auto image = std::find_if(images.begin(), images.end(),
                                    [&](const auto& other) { return other.name == version.image; });
    const bool is_default = image != images.end() && image->default_version == version.version;
    const std::string description = image != images.end() ? image->description : "";
    const auto used = std::count_if(desktops.begin(), desktops.end(), [&](const auto& d) {
      if (d.image != version.image) return false;
      if (!d.running_version.empty()) return d.running_version == version.version;
      return d.version == version.version || (d.version.empty() && is_default);
    });
    list.push_back({{"image", version.image},
                    {"version", version.version},
                    {"default", is_default},
                    {"size_bytes", version.size_bytes},
                    {"desktops", used},
                    {"created", version.created},
                    {"session", version.session},
                    {"browser_sandbox", version.browser_sandbox},
                    {"recipe_digest", version.recipe_digest},
                    {"description", description}});
    table.add_row({version.image, version.version, is_default ? "yes" : "",
                   human_bytes(version.size_bytes), std::to_string(used), version.created,
                   description});
  }
  if (options.json)
    shell.print(list);
  else
    table.print(shell.out);
  return ExitCode::kOk;
}

ExitCode image_rm(Shell& shell, const ImageOptions& options) {
  const auto colon = options.word.find(':');
  const std::string name = options.word.substr(0, colon);
  const std::string wanted = colon == std::string::npos ? "" : options.word.substr(colon + 1);
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_ASSIGN(shell, auto versions, store->versions());
  std::erase_if(versions, [&](const auto& version) {
    return version.image != name || (!wanted.empty() && version.version != wanted);
  });
  if (versions.empty()) {
    return shell.refuse(
        ExitCode::kNotFound,
        fmt::format("there is no image {}; panal image ls shows all", options.word));
  }
  storage::ImageStore images(shell.config.images_dir);
  for (const auto& version : versions) {
    if (options.dry_run) {
      shell.out << fmt::format("would remove {}:{} ({})\n", name, version.version,
                               human_bytes(version.size_bytes));
      continue;
    }
    // First the row: the store knows who uses it, and nobody can start it from then on.
    PANAL_CLI_TRY(shell, store->remove_version(name, version.version));
    const auto removed = images.remove(name, version.version);
    if (!removed && !removed.error().is_gone()) return shell.told(removed.error());
    shell.out << fmt::format("{}:{} removed\n", name, version.version);
  }
  return ExitCode::kOk;
}

}  // namespace

std::string recipe_file(const config::Config& config, const std::string& word) {
  const bool is_file = word.find('/') != std::string::npos || word.ends_with(".toml");
  return is_file ? word : fmt::format("{}/{}.toml", config.recipes_dir, word);
}

ExitCode build_and_register(Shell& shell, const std::string& word, bool force, std::string* image,
                            std::string* version) {
  const std::string file = recipe_file(shell.config, word);
  PANAL_CLI_ASSIGN(shell, const auto recipe, load_recipe(file));
  // Before the long work, so that it is not done for nothing.
  PANAL_CLI_TRY(shell, shell.backends.store(shell.config));
  storage::ImageStore images(shell.config.images_dir);
  storage::BuildOptions build;
  build.cache_dir = shell.config.state_dir + "/cache";
  build.log_file = fmt::format("{}/log/build-{}.log", shell.config.state_dir, recipe.name);
  build.force = force;
  const Interruptible interruptible;
  build.cancelled = &interrupted;
  Progress bar(shell.out, shell.tty, terminal_columns());
  const auto manifest = storage::build_image(
      recipe, images, build,
      [&bar](double part, const std::string& what) { bar.update(part, what); });
  bar.clear();
  if (!manifest) {
    return shell.refuse(exit_code_of(manifest.error().code),
                        fmt::format("image {} was not built: {}; all that was said is in {}",
                                    recipe.name, sentence_of(manifest.error()), build.log_file));
  }
  // A new connection: a build may take longer than an idle one is allowed to.
  PANAL_CLI_ASSIGN(shell, const auto store, shell.backends.store(shell.config));
  PANAL_CLI_TRY(shell, store->add_version(registered(*manifest), recipe.description));
  shell.out << fmt::format("image {} version {} ({}) is the default for new starts\n",
                           manifest->image, manifest->version, human_bytes(manifest->size_bytes));
  if (image != nullptr) *image = manifest->image;
  if (version != nullptr) *version = manifest->version;
  return ExitCode::kOk;
}

void add_image_commands(CLI::App& app, Action& action) {
  auto* family = app.add_subcommand("image", "What desktops start from.");
  const auto options = std::make_shared<ImageOptions>();
  const auto verb = [&](const char* name, const char* help,
                        ExitCode (*handler)(Shell&, const ImageOptions&)) {
    auto* command = family->add_subcommand(name, help);
    command->callback([&action, options, handler] {
      action = [options, handler](Shell& shell) { return handler(shell, *options); };
    });
    return command;
  };
  auto* build =
      verb("build", "Build a version from a recipe and make it the default.", image_build);
  build->add_option("RECIPE", options->word, "recipe file, or the name of one that came with panal")
      ->required();
  build->add_flag("--force", options->force, "build although this recipe's version is there");
  build->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  auto* ls = verb("ls", "List images and versions.", image_ls);
  ls->add_flag("--json", options->json, "as JSON");
  auto* rm = verb("rm", "Remove an image or one version that nobody uses.", image_rm);
  rm->add_option("IMAGE[:VERSION]", options->word, "what to remove")->required();
  rm->add_flag("--dry-run", options->dry_run, "say what would be done, change nothing");
  add_image_lint_command(*family, action);
}

}  // namespace panal::cli
