#include "bench/faults/fault_steps.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "bench/faults/fault_tree.h"
#include "bench/faults/home_steps.h"
#include "bench/faults/import_steps.h"
#include "bench/faults/publish_steps.h"
#include "bench/faults/step_parts.h"
#include "bench/faults/transfer_steps.h"
#include "engine/base/file_tree.h"
#include "engine/base/mount.h"
#include "engine/base/tree.h"

namespace panal::bench {
namespace {

using storage::ImageStore;
using storage::RootSpec;

FaultStep build_step(FaultNode& node) {
  const auto making = std::make_shared<Making>();
  FaultStep step;
  step.name = "build";
  step.prepare = [&node, making](unsigned round) -> Result<void> {
    const std::string tree = node.incoming() + "/tree";
    making->version = fmt::format("b{}", round);
    PANAL_TRY(remove_tree(tree));
    PANAL_TRY(write_tree(tree, making->version));
    PANAL_ASSIGN(making->sum, sum_of_tree(tree));
    return {};
  };
  step.run = [&node, making] {
    return code_of(commit_tree(node, node.incoming() + "/tree", making->version));
  };
  step.leaves = [making] { return making->leaves(); };
  step.done = [&node, making] { return missing(node, making->version); };
  return step;
}

/// A tree of the last version in which something is new: a checkout, hard links and all.
FaultStep update_step(FaultNode& node) {
  const auto making = std::make_shared<Making>();
  FaultStep step;
  step.name = "update";
  const auto change = [](const std::string& root, const std::string& version) -> Result<void> {
    const std::string file = root + "/etc/motd";
    if (::unlink(file.c_str()) != 0) return fail_errno("delete", file);
    const UniqueFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!fd || ::write(fd.get(), version.data(), version.size()) < 0)
      return fail_errno("write", file);
    return {};
  };
  step.prepare = [&node, making, change](unsigned round) -> Result<void> {
    making->version = fmt::format("u{}", round);
    const std::string tree = node.dir() + "/expected";
    PANAL_TRY(remove_tree(tree));
    PANAL_TRY(write_tree(tree, "2"));
    PANAL_TRY(change(tree, making->version));
    PANAL_ASSIGN(making->sum, sum_of_tree(tree));
    return {};
  };
  step.run = [&node, making, change] {
    return code_of([&]() -> Result<void> {
      ImageStore images = node.store();
      PANAL_ASSIGN(const std::string staging, images.new_staging(FaultNode::kImage));
      const auto made = [&]() -> Result<void> {
        PANAL_ASSIGN(const auto repository, images.repository());
        PANAL_ASSIGN(const std::string last, repository.resolve(FaultNode::kImage, "2"));
        PANAL_TRY(repository.checkout(last, staging + "/root"));
        PANAL_TRY(change(staging + "/root", making->version));
        PANAL_TRY(images.commit(staging, FaultNode::manifest(making->version)));
        return {};
      }();
      if (!made) (void)images.discard_staging(staging);
      return made;
    }());
  };
  step.leaves = [making] { return making->leaves(); };
  step.done = [&node, making] { return missing(node, making->version); };
  return step;
}

/// Collects what a removed version, one that is being removed and a dead build have left.
FaultStep gc_step(FaultNode& node) {
  FaultStep step;
  step.name = "gc";
  step.lasts = false;
  step.prepare = [&node](unsigned round) -> Result<void> {
    ImageStore images = node.store();
    for (const char* kind : {"g", "h"}) {
      const std::string version = kind + std::to_string(round);
      const std::string tree = node.incoming() + "/tree";
      PANAL_TRY(remove_tree(tree));
      PANAL_TRY(write_tree(tree, version));
      PANAL_TRY(commit_tree(node, tree, version));
      PANAL_TRY(images.remove(FaultNode::kImage, version));
    }
    // Its process is dead as soon as this object is.
    PANAL_ASSIGN(const std::string staging, ImageStore(node.images()).new_staging("icewm"));
    return write_tree(staging + "/root", "of a dead build");
  };
  step.run = [&node] {
    const auto collected = node.store().gc();
    return collected ? 0 : code_of(collected.error());
  };
  step.leaves = [] { return std::map<std::string, std::string>(); };
  step.done = [&node]() -> std::string {
    const auto again = node.store().gc();
    if (!again) return again.error().message();
    if (again->objects + again->leftovers == 0) return {};
    return fmt::format("{} objects and {} leftovers are still there", again->objects,
                       again->leftovers);
  };
  return step;
}

/// A desktop's root and home come and go, and the root of a volatile one.
FaultStep provision_step(FaultNode& node, const std::string& backend) {
  FaultStep step;
  step.name = "provision-" + backend;
  step.backend = backend;
  step.prepare = [](unsigned) -> Result<void> { return {}; };
  step.run = [&node, backend] {
    return code_of([&]() -> Result<void> {
      storage::Composer composer = node.composer();
      storage::HomeStore homes = node.homes();
      const RootSpec kept = node.root(backend, true);
      const RootSpec passing = node.root(backend, false);
      if (FaultNode::keeps(backend)) PANAL_TRY(composer.provision(kept));
      PANAL_TRY(homes.attach(node.home()));
      PANAL_TRY(composer.provision(passing));
      PANAL_TRY(write_inside(passing.mount_point + "/etc", "stale", passing.ids.first, "old"));
      PANAL_TRY(composer.destroy(passing));
      PANAL_TRY(homes.detach(node.home()));
      return composer.destroy(kept);
    }());
  };
  step.leaves = [] { return std::map<std::string, std::string>(); };
  step.done = [] { return std::string(); };
  step.why_not = node.why_not(backend);
  return step;
}

/// What nobody uses in the pool: recovery deletes it.
std::vector<std::string> left_in_pool(const FaultNode& node) {
  std::vector<std::string> found;
  for (const char* place : {"/volatile", "/aside"}) {
    const auto dir = Dir::open(node.pool() + place);
    const auto names = dir ? dir->list() : tl::make_unexpected(dir.error());
    if (!names)
      found.push_back("the btrfs pool: " + names.error().message());
    else
      for (const auto& name : *names)
        found.push_back(std::string("left over:") + place + "/" + name);
  }
  return found;
}

/// The same, as after a boot (the pool is mounted first) and with a volatile root of a version of
/// which there has been none: its template is made.
FaultStep btrfs_step(FaultNode& node) {
  const auto making = std::make_shared<Making>();
  FaultStep step = provision_step(node, "btrfs");
  step.kinds = {"kill"};
  step.prepare = [&node, making](unsigned round) -> Result<void> {
    making->version = fmt::format("t{}", round);
    const std::string tree = node.incoming() + "/tree";
    PANAL_TRY(remove_tree(tree));
    PANAL_TRY(write_tree(tree, making->version));
    PANAL_ASSIGN(making->sum, sum_of_tree(tree));
    PANAL_TRY(commit_tree(node, tree, making->version));
    return mount::detach(node.pool());
  };
  step.run = [&node, making] {
    return code_of([&]() -> Result<void> {
      storage::Composer composer = node.composer();
      const RootSpec kept = node.root("btrfs", true);
      RootSpec passing = node.root("btrfs", false);
      passing.version_root = node.store().root_of(FaultNode::kImage, making->version);
      PANAL_TRY(composer.provision(kept));
      PANAL_TRY(composer.provision(passing));
      PANAL_TRY(write_inside(passing.mount_point + "/etc", "stale", passing.ids.first, "old"));
      PANAL_TRY(composer.destroy(passing));
      return composer.destroy(kept);
    }());
  };
  step.leaves = [making] { return making->leaves(); };
  step.check = [&node] { return left_in_pool(node); };
  return step;
}

}  // namespace

Result<void> commit_tree(FaultNode& node, const std::string& from, const std::string& version) {
  ImageStore images = node.store();
  PANAL_ASSIGN(const std::string staging, images.new_staging(FaultNode::kImage));
  if (std::rename(from.c_str(), (staging + "/root").c_str()) != 0) {
    auto why = fail_errno("rename", from);
    (void)images.discard_staging(staging);
    return why;
  }
  const auto made = images.commit(staging, FaultNode::manifest(version));
  if (made) return {};
  (void)images.discard_staging(staging);  // as a build does
  return tl::make_unexpected(made.error());
}

std::vector<FaultStep> fault_steps(FaultNode& node) {
  std::vector<FaultStep> steps = {build_step(node), update_step(node), pull_step(node),
                                  gc_step(node)};
  for (const char* backend : {"overlay", "copy", "bind", "tmpfs"})
    steps.push_back(provision_step(node, backend));
  // Nothing of its roots is on the disk: it is the mounts that may be left.
  steps.back().percent = 50;
  add_home_steps(node, steps);
  add_transfer_steps(node, steps);
  add_import_steps(node, steps);
  steps.push_back(btrfs_step(node));
  steps.push_back(snapshot_step(node));
  add_publish_steps(node, steps);
  return steps;
}

}  // namespace panal::bench
