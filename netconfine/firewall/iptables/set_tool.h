#pragma once

#include <string>

#include "engine/base/result.h"
#include "netconfine/firewall/iptables/sets.h"

namespace panal::netconfine {

/// The program ipset, for the network namespace of the calling thread.
class SetTool {
 public:
  /// Errors: ENOENT without the program, EPROTONOSUPPORT where the kernel has no sets of addresses
  /// with links (hash:net,iface) of both families.
  [[nodiscard]] static Result<SetTool> find();

  /// Our sets.
  [[nodiscard]] Result<IpSets> save() const;
  /// Carries out each line; what is there or gone already is no error.
  [[nodiscard]] Result<void> restore(const std::string& text) const;
  /// Deletes our sets but those of `keep`. One that a rule refers to stays: it is deleted the next
  /// time.
  [[nodiscard]] Result<void> delete_but(const IpSets& keep) const;

 private:
  explicit SetTool(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace panal::netconfine
