#include "bench/faults/transfer_steps.h"

#include <string>

#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "storage/transfer/archive.h"

namespace panal::bench {
namespace {

using storage::Archive;

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

}  // namespace

void add_transfer_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(push_step(node));
}

}  // namespace panal::bench
