#pragma once

#include <cerrno>
#include <map>
#include <string>

#include "bench/faults/fault_node.h"
#include "engine/base/result.h"

// What the sources of steps share. Not for others.
namespace panal::bench {

/// What FaultStep::run ends with.
[[nodiscard]] inline int code_of(const Error& error) { return error.code == 0 ? EIO : error.code; }
[[nodiscard]] inline int code_of(const Result<void>& done) {
  return done ? 0 : code_of(done.error());
}

/// A version that a step makes: its name and tree, by round.
struct Making {
  std::string version;
  std::string sum;

  [[nodiscard]] std::map<std::string, std::string> leaves() const { return {{version, sum}}; }
};

/// Why a version is not on the node; empty: it is.
[[nodiscard]] inline std::string missing(const FaultNode& node, const std::string& version) {
  const auto there = node.store().find(FaultNode::kImage, version);
  return there ? std::string() : there.error().message();
}

/// Commits the tree at `from`, which is on the node's disk, as a build does.
[[nodiscard]] Result<void> commit_tree(FaultNode& node, const std::string& from,
                                       const std::string& version);

/// Why the node has no version that was made with these words; empty: it has.
[[nodiscard]] inline std::string missing_message(const FaultNode& node,
                                                 const std::string& message) {
  const auto versions = node.store().list();
  if (!versions) return versions.error().message();
  for (const auto& version : *versions)
    if (version.message == message) return {};
  return "nothing was made";
}

}  // namespace panal::bench
