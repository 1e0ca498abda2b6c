#include "bench/faults/publish_steps.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "bench/faults/fault_database.h"
#include "bench/faults/fault_tree.h"
#include "bench/faults/step_parts.h"
#include "engine/base/file_tree.h"

namespace panal::bench {
namespace {

constexpr const char* kOperator = "faults";
/// What the database knows at rest; the first is published.
constexpr const char* kKnown[] = {"1", "2"};

/// What is published, and where that is written down.
struct Publishing {
  std::unique_ptr<FaultDatabase> database;
  Making making;
};

Result<void> register_version(const FaultNode& node, store::Store& farm,
                              const std::string& version) {
  PANAL_ASSIGN(const auto manifest, node.store().find(FaultNode::kImage, version));
  store::Version row;
  row.image = manifest.image;
  row.version = manifest.version;
  row.session = manifest.session;
  row.size_bytes = manifest.size_bytes;
  row.commit = manifest.commit;
  row.author = kOperator;
  return farm.add_version(row, "");
}

/// What new starts take.
Result<std::string> published_version(store::Store& farm) {
  PANAL_ASSIGN(const auto tags, farm.tags());
  for (const auto& one : tags)
    if (one.image == FaultNode::kImage && one.tag == store::kDefaultTag) return one.version;
  return fail(ENOENT, "nothing is published");
}

Result<void> move_default(store::Store& farm, const std::string& to) {
  PANAL_ASSIGN(const std::string now, published_version(farm));
  if (now == to) return {};
  store::TagChange change;
  change.image = FaultNode::kImage;
  change.tag = store::kDefaultTag;
  change.to = to;
  change.expected = now;
  change.kind = store::TagMoveKind::kPublish;
  change.actor = kOperator;
  return farm.move_tag(change);
}

Result<std::unique_ptr<FaultDatabase>> new_database(const FaultNode& node) {
  PANAL_ASSIGN(auto database, FaultDatabase::start(node.dir()));
  PANAL_ASSIGN(const auto farm, database->connect());
  for (const char* version : kKnown) PANAL_TRY(register_version(node, *farm, version));
  return database;
}

bool is_known(const std::string& version) {
  for (const char* one : kKnown)
    if (version == one) return true;
  return false;
}

/// Where disk and database, or the database's parts, say different things.
Result<std::vector<std::string>> compare(const FaultNode& node, const FaultDatabase& database) {
  std::vector<std::string> found;
  PANAL_ASSIGN(const auto farm, database.connect());
  PANAL_ASSIGN(const auto versions, farm->versions());
  PANAL_ASSIGN(const std::string published, published_version(*farm));
  bool is_registered = false;
  for (const auto& one : versions) {
    is_registered = is_registered || one.version == published;
    const auto copy = node.store().find(one.image, one.version);
    if (!copy)
      found.push_back("registered, and not on the disk: " + copy.error().message());
    else if (copy->commit != one.commit)
      found.push_back("registered as another commit: " + one.version);
  }
  if (!is_registered) found.push_back("what is published is not registered: " + published);
  PANAL_ASSIGN(const auto moves, farm->tag_moves(FaultNode::kImage, store::kDefaultTag));
  if (moves.empty() || moves.back().to != published)
    found.emplace_back("the tag's history does not end where the tag is");
  return found;
}

Result<void> unpublish(const FaultDatabase& database) {
  PANAL_ASSIGN(const auto farm, database.connect());
  PANAL_TRY(move_default(*farm, kKnown[0]));
  PANAL_ASSIGN(const auto versions, farm->versions());
  for (const auto& one : versions)
    if (!is_known(one.version)) PANAL_TRY(farm->remove_version(one.image, one.version, kOperator));
  return {};
}

FaultStep publish_step(FaultNode& node) {
  const auto publishing = std::make_shared<Publishing>();
  FaultStep step;
  step.name = "publish";
  step.kinds = {"kill"};
  step.prepare = [&node, publishing](unsigned round) -> Result<void> {
    if (!publishing->database) {
      PANAL_ASSIGN(publishing->database, new_database(node));
    }
    const std::string tree = node.incoming() + "/tree";
    publishing->making.version = fmt::format("p{}", round);
    PANAL_TRY(remove_tree(tree));
    PANAL_TRY(write_tree(tree, publishing->making.version));
    PANAL_ASSIGN(publishing->making.sum, sum_of_tree(tree));
    return {};
  };
  step.run = [&node, publishing] {
    return code_of([&]() -> Result<void> {
      const std::string& version = publishing->making.version;
      PANAL_TRY(commit_tree(node, node.incoming() + "/tree", version));
      PANAL_ASSIGN(const auto farm, publishing->database->connect());
      PANAL_TRY(register_version(node, *farm, version));
      return move_default(*farm, version);
    }());
  };
  step.leaves = [publishing] { return publishing->making.leaves(); };
  step.check = [&node, publishing]() -> std::vector<std::string> {
    auto found = compare(node, *publishing->database);
    if (!found) return {"the database: " + found.error().message()};
    return std::move(*found);
  };
  step.done = [publishing]() -> std::string {
    const auto farm = publishing->database->connect();
    if (!farm) return farm.error().message();
    const auto published = published_version(**farm);
    if (!published) return published.error().message();
    return *published == publishing->making.version ? "" : *published + " is still published";
  };
  step.tidy = [publishing] { return unpublish(*publishing->database); };
  if (const auto able = FaultDatabase::is_possible(); !able) step.why_not = able.error().message();
  return step;
}

}  // namespace

void add_publish_steps(FaultNode& node, std::vector<FaultStep>& steps) {
  steps.push_back(publish_step(node));
}

}  // namespace panal::bench
