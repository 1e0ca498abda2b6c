#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "netconfine/firewall/nft/messages.h"
#include "netconfine/policy/compiled.h"

namespace panal::netconfine {

/// Which sets hold a service's lines of one family.
struct ServiceUse {
  bool v6 = false;
  std::string set;
  std::string except;  ///< "": nothing is taken away
};

/// The sets (address . protocol . port, with ranges) that services are looked up in. Policies with
/// the same service share them. A packet's cost is the logarithm of a service's lines.
class ServiceSets {
 public:
  /// For the lines of one service, of which no two prefixes overlap.
  std::vector<ServiceUse> use(std::span<const Allow> lines);
  /// By name.
  [[nodiscard]] const std::map<std::string, std::vector<NftElement>>& elements() const {
    return elements_;
  }
  [[nodiscard]] std::vector<NftSet> sets() const;

 private:
  std::string share(const std::string& name, std::vector<NftElement> elements);

  std::map<std::string, std::vector<NftElement>> elements_;
};

}  // namespace panal::netconfine
