#include "bench/faults/transfer_steps.h"

#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <string>

#include "bench/faults/archive_server.h"
#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "engine/base/file_tree.h"
#include "storage/transfer/archive.h"
#include "storage/transfer/pull.h"
#include "storage/transfer/remote_source.h"
#include "storage/transfer/source.h"

namespace panal::bench {
namespace {

using storage::Archive;
using storage::ImageStore;

/// The one that comes and goes.
constexpr const char* kPublished = "2";

Result<void> publish(const FaultNode& node) {
  PANAL_ASSIGN(auto archive, Archive::open_or_create(node.published(), node.secret()));
  PANAL_ASSIGN(const auto repository, node.store().repository());
  PANAL_ASSIGN(const std::string commit, repository.resolve(FaultNode::kImage, kPublished));
  PANAL_TRY(archive.push(repository, commit, node.secret()));
  return {};
}

/// What a reader would not find whole, at whatever moment it comes.
Result<std::vector<std::string>> look_at_published(const FaultNode& node) {
  std::vector<std::string> found;
  PANAL_ASSIGN(auto archive, Archive::open(node.published()));
  PANAL_ASSIGN(const auto list, archive.list(node.secret().public_key()));
  if (!storage::find_version(list, FaultNode::kImage, "1"))
    found.emplace_back("lost: version 1 of the archive");
  for (const auto& version : list.versions) {
    PANAL_ASSIGN(const bool whole, archive.repository().has(version.commit));
    if (!whole) found.push_back("the archive lists version " + version.version + " and lacks it");
  }
  PANAL_ASSIGN(const auto report, archive.repository().verify());
  for (const auto& damage : report.damages)
    found.push_back("damaged in the archive: " + damage.what);
  return found;
}

Result<void> pull_from(const FaultNode& node, storage::Source& source) {
  PANAL_ASSIGN(const auto list, storage::fetch_list(source, node.trust_file(), std::time(nullptr)));
  PANAL_ASSIGN(const auto wanted,
               storage::find_version(list, FaultNode::kImage, FaultNode::kPulled));
  ImageStore images = node.store();
  PANAL_ASSIGN(auto repository, images.repository());
  PANAL_TRY(storage::pull_version(repository, source, wanted, {}));
  PANAL_TRY(images.materialise(wanted.commit));
  return {};
}

FaultStep push_step(FaultNode& node) {
  FaultStep step;
  step.name = "push";
  step.percent = 50;
  step.prepare = [&node](unsigned) { return sync_file_system(node.disk().path()); };
  step.run = [&node] { return code_of(publish(node)); };
  step.leaves = [] { return std::map<std::string, std::string>(); };
  step.check = [&node]() -> std::vector<std::string> {
    auto found = look_at_published(node);
    if (!found) return {"the archive: " + found.error().message()};
    return std::move(*found);
  };
  step.done = [&node]() -> std::string {
    const auto archive = Archive::open(node.published());
    if (!archive) return archive.error().message();
    const auto list = archive->list(node.secret().public_key());
    if (!list) return list.error().message();
    const auto listed = storage::find_version(*list, FaultNode::kImage, kPublished);
    return listed ? "" : listed.error().message();
  };
  // What a killed publisher left is named by nobody, or by a name that is not listed: both go when
  // something is withdrawn.
  step.tidy = [&node]() -> Result<void> {
    PANAL_TRY(publish(node));
    PANAL_ASSIGN(auto archive, Archive::open(node.published()));
    PANAL_TRY(archive.withdraw(FaultNode::kImage, {kPublished}, node.secret()));
    PANAL_TRY(archive.repository().gc());
    return {};
  };
  return step;
}

/// By panal-fetch, from a server on this machine.
FaultStep https_step(FaultNode& node) {
  const auto server = std::make_shared<std::unique_ptr<ArchiveServer>>();
  FaultStep step = pull_step(node);
  step.name = "pull-https";
  step.percent = 25;
  step.alone = true;
  step.excuses = {EIO};  // the helper's words say why, but an archive could be full as well
  step.prepare = [&node, server, forget = step.prepare](unsigned round) -> Result<void> {
    if (!*server) {
      PANAL_ASSIGN(*server, ArchiveServer::start(node.archive(), node.dir()));
    }
    return forget(round);
  };
  step.run = [&node, server] {
    return code_of([&]() -> Result<void> {
      storage::RemoteArchive remote;
      remote.url = (*server)->url();
      remote.ca_file = (*server)->certificate();
      remote.pinned_key = (*server)->pin();
      PANAL_ASSIGN(const auto helper, storage::usual_fetch_helper(node.programs(), node.scratch()));
      PANAL_ASSIGN(const auto source, storage::start_remote_source(remote, helper, {}));
      return pull_from(node, *source);
    }());
  };
  if (::access((node.programs() + "/panal-fetch").c_str(), X_OK) != 0)
    step.why_not = "there is no " + node.programs() + "/panal-fetch";
  else if (const auto able = ArchiveServer::is_possible(); !able)
    step.why_not = able.error().message();
  return step;
}

}  // namespace

FaultStep pull_step(FaultNode& node) {
  const auto sum = std::make_shared<std::string>();
  FaultStep step;
  step.name = "pull";
  step.prepare = [&node, sum](unsigned) -> Result<void> {
    if (sum->empty()) {
      const std::string tree = node.dir() + "/expected";
      PANAL_TRY(remove_tree(tree));
      PANAL_TRY(write_tree(tree, FaultNode::kPulled));
      PANAL_ASSIGN(*sum, sum_of_tree(tree));
    }
    return node.forget_lists();
  };
  step.run = [&node] {
    return code_of([&]() -> Result<void> {
      PANAL_ASSIGN(const auto source, storage::open_local_source(node.archive()));
      return pull_from(node, *source);
    }());
  };
  step.leaves = [sum] { return std::map<std::string, std::string>{{FaultNode::kPulled, *sum}}; };
  step.done = [&node] { return missing(node, FaultNode::kPulled); };
  return step;
}

void add_transfer_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(push_step(node));
  steps.push_back(https_step(node));
}

}  // namespace panal::bench
