#pragma once

#include "runtime/store/database.h"
#include "runtime/store/homes.h"

namespace panal::store {

/// HomeBook on PostgreSQL: table home_leases.
class PgHomeBook final : public HomeBook {
 public:
  explicit PgHomeBook(Database& database) : database_(database) {}

  Result<HomeGrant> take(const HomeClaim& claim) override;
  Result<void> give_back(const HomeClaim& claim) override;
  Result<void> give_back_of(DesktopId desktop, const std::string& node) override;
  Result<std::set<DesktopId>> renew(const std::string& node, std::chrono::seconds lasts) override;
  Result<void> recover(const std::string& node, const std::set<DesktopId>& live) override;
  Result<std::vector<HomeLease>> leases() override;
  Result<HomeLease> unlock(const std::string& tenant, const std::string& home,
                           const std::string& actor) override;

 private:
  Database& database_;
};

}  // namespace panal::store
