#include "bench/faults/import_steps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "engine/base/file_tree.h"
#include "engine/base/unique_fd.h"
#include "storage/import/import.h"
#include "storage/import/tar_writer.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::ImportSpec;
using storage::VersionManifest;

/// What is imported: numbered by the store, so known by its message.
struct Importing {
  ImportSpec spec;
  std::string sum;  ///< of the tree as an import makes it
};

Result<void> write_tarball(const FaultNode& node, const std::string& file) {
  const std::string tree = node.dir() + "/import";
  PANAL_TRY(remove_tree(tree));
  PANAL_TRY(write_tree(tree, "import"));
  const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd) return fail_errno("create", file);
  storage::TarWriting writing;
  writing.root = tree;
  writing.fd = fd.get();
  PANAL_TRY(storage::write_tar(writing));
  return {};
}

Result<VersionManifest> import_it(const FaultNode& node, const ImportSpec& spec) {
  ImageStore images = node.store();
  return storage::import_image(spec, images, {}, nullptr);
}

/// An unpacked tree is not quite what was packed: what a desktop needs is added. So it is imported
/// once to see.
Result<void> import_once(const FaultNode& node, Importing& importing) {
  importing.spec.image = FaultNode::kImage;
  importing.spec.source = node.dir() + "/import.tar";
  importing.spec.kind = storage::ImportKind::kTar;
  importing.spec.session = {"icewm-session"};
  importing.spec.unpacker = node.programs() + "/panal-unpack";
  PANAL_TRY(write_tarball(node, importing.spec.source));
  importing.spec.message = "to see";
  PANAL_ASSIGN(const VersionManifest made, import_it(node, importing.spec));
  ImageStore images = node.store();
  PANAL_ASSIGN(importing.sum, sum_of_tree(images.root_of(made.image, made.version)));
  PANAL_TRY(images.remove(made.image, made.version));
  PANAL_TRY(images.gc());
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
  step.run = [&node, importing] {
    const auto made = import_it(node, importing->spec);
    return made ? 0 : code_of(made.error());
  };
  step.leaves = [importing] {
    return std::map<std::string, std::string>{{FaultNode::kAnyVersion, importing->sum}};
  };
  step.done = [&node, importing] { return missing_message(node, importing->spec.message); };
  if (::access((node.programs() + "/panal-unpack").c_str(), X_OK) != 0)
    step.why_not = "there is no " + node.programs() + "/panal-unpack";
  return step;
}

}  // namespace

void add_import_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(import_step(node));
}

}  // namespace panal::bench
