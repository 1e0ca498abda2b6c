#include "bench/faults/import_steps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include "bench/faults/fault_point.h"
#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "engine/base/cleanup.h"
#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"
#include "storage/import/import.h"
#include "storage/import/tar_writer.h"
#include "storage/recipe/builder.h"
#include "storage/recipe/mmdebstrap.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::ImportSpec;

/// What is imported: numbered by the store, so known by its message.
struct Importing {
  ImportSpec spec;
  std::string sum;  ///< of the tree as an import makes it
};

Result<void> write_tarball(const std::string& tree, const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", file);
  storage::TarWriting writing;
  writing.root = tree;
  writing.fd = fd.get();
  writing.keep_times = true;
  PANAL_TRY(storage::write_tar(writing));
  return {};
}

/// Removes the version that was made with these words; the sum of what it was.
Result<std::string> take_away(const FaultNode& node, const std::string& message) {
  ImageStore images = node.store();
  PANAL_ASSIGN(const auto versions, images.list());
  for (const auto& version : versions) {
    if (version.message != message) continue;
    PANAL_ASSIGN(std::string sum, sum_of_tree(images.root_of(version.image, version.version)));
    PANAL_TRY(images.remove(version.image, version.version));
    PANAL_TRY(images.gc());
    return sum;
  }
  return fail(ENOENT, "find the version \"" + message + "\"");
}

int import_it(const FaultNode& node, const ImportSpec& spec) {
  ImageStore images = node.store();
  const auto made = storage::import_image(spec, images, {}, nullptr);
  return made ? 0 : code_of(made.error());
}

/// What mmdebstrap does for a build, as far as the disk is concerned: it fills the tree. It is
/// found where the build has its cache of packages, which is one of the few places that it sees.
struct Building {
  storage::Recipe recipe;
  storage::BuildOptions options;
  std::string sum;  ///< of the tree that comes of it
};

std::string path_with_stub() {
  return std::string(storage::mmdebstrap::kRootDir) + "/" + storage::mmdebstrap::kDebsDir +
         ":/usr/sbin:/usr/bin:/sbin:/bin";
}

Result<void> write_stub(const FaultNode& node, const std::string& dir) {
  const std::string tree = node.dir() + "/built";
  PANAL_TRY(make_directories(dir));
  PANAL_TRY(remove_tree(tree));
  PANAL_TRY(write_tree(tree, "built"));
  PANAL_TRY(make_directories(tree + "/var/lib/dpkg"));
  PANAL_TRY(write_text(tree + "/var/lib/dpkg/status",
                       "Package: tiny\nStatus: install ok installed\nVersion: 1\n"));
  PANAL_TRY(write_tarball(tree, dir + "/tree.tar"));
  const std::string stub = dir + "/mmdebstrap";
  PANAL_TRY(write_text(stub, std::string("#!/bin/sh\n"
                                         "echo 'I: extracting archives...'\n"
                                         "exec tar --extract --preserve-permissions --same-owner"
                                         " --numeric-owner --directory=") +
                                 storage::mmdebstrap::kRootDir + " --file=\"${0%/*}/tree.tar\"\n"));
  if (::chmod(stub.c_str(), 0755) != 0) return fail_errno("chmod", stub);
  return {};
}

int build_it(const FaultNode& node, const Building& building) {
  // A program is looked for by the PATH of who builds, once it sees what the build sees.
  const char* const set = std::getenv("PATH");
  const Cleanup put_back([former = std::string(set != nullptr ? set : "")] {
    (void)::setenv("PATH", former.c_str(), 1);
  });
  (void)::setenv("PATH", path_with_stub().c_str(), 1);
  ImageStore images = node.store();
  const auto made = storage::build_image(building.recipe, images, building.options, {});
  return made ? 0 : code_of(made.error());
}

/// Built once to see, as an import is.
Result<void> build_once(const FaultNode& node, Building& building) {
  building.recipe.name = FaultNode::kImage;
  building.recipe.packages = {"tiny"};
  building.recipe.session = {"icewm-session"};
  building.recipe.locales = {"C.UTF-8"};
  building.options.cache_dir = node.dir() + "/debs";
  building.options.log_file = node.dir() + "/build.log";
  building.options.force = true;
  building.options.message = "to see";
  PANAL_TRY(write_stub(node, building.options.cache_dir));
  const FaultRun run =
      run_to_change(0, [&] { return build_it(node, building); }, [] { return AtPoint::kGoOn; });
  if (run.status != 0)
    return fail(run.status, "build with a stub; see " + building.options.log_file);
  PANAL_ASSIGN(building.sum, take_away(node, building.options.message));
  return {};
}

/// An unpacked tree is not quite what was packed: what a desktop needs is added. So it is imported
/// once to see.
Result<void> import_once(const FaultNode& node, Importing& importing) {
  importing.spec.image = FaultNode::kImage;
  importing.spec.source = node.dir() + "/import.tar";
  importing.spec.kind = storage::ImportKind::kTar;
  importing.spec.session = {"icewm-session"};
  importing.spec.unpacker = node.programs() + "/panal-unpack";
  const std::string tree = node.dir() + "/import";
  PANAL_TRY(remove_tree(tree));
  PANAL_TRY(write_tree(tree, "import"));
  PANAL_TRY(write_tarball(tree, importing.spec.source));
  importing.spec.message = "to see";
  if (const int code = import_it(node, importing.spec); code != 0)
    return fail(code, "import " + importing.spec.source);
  PANAL_ASSIGN(importing.sum, take_away(node, importing.spec.message));
  return {};
}

FaultStep import_step(FaultNode& node) {
  const auto importing = std::make_shared<Importing>();
  FaultStep step;
  step.name = "import";
  step.percent = 50;
  step.alone = true;
  step.prepare = [&node, importing](unsigned round) -> Result<void> {
    if (importing->sum.empty()) PANAL_TRY(import_once(node, *importing));
    importing->spec.message = fmt::format("round {}", round);
    return sync_file_system(node.disk().path());
  };
  step.run = [&node, importing] { return import_it(node, importing->spec); };
  step.leaves = [importing] {
    return std::map<std::string, std::string>{{FaultNode::kAnyVersion, importing->sum}};
  };
  step.done = [&node, importing] { return missing_message(node, importing->spec.message); };
  if (::access((node.programs() + "/panal-unpack").c_str(), X_OK) != 0)
    step.why_not = "there is no " + node.programs() + "/panal-unpack";
  return step;
}

/// All of a build but the packages.
FaultStep mmdebstrap_step(FaultNode& node) {
  const auto building = std::make_shared<Building>();
  FaultStep step;
  step.name = "build-mmdebstrap";
  step.percent = 25;
  step.alone = true;
  step.excuses = {EPROTO};  // it says why in its log, as mmdebstrap does
  step.prepare = [&node, building](unsigned round) -> Result<void> {
    if (building->sum.empty()) PANAL_TRY(build_once(node, *building));
    building->options.message = fmt::format("round {}", round);
    return sync_file_system(node.disk().path());
  };
  step.run = [&node, building] { return build_it(node, *building); };
  step.leaves = [building] {
    return std::map<std::string, std::string>{{FaultNode::kAnyVersion, building->sum}};
  };
  step.done = [&node, building] { return missing_message(node, building->options.message); };
  return step;
}

}  // namespace

void add_import_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(import_step(node));
  steps.push_back(mmdebstrap_step(node));
}

}  // namespace panal::bench
