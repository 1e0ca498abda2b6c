#include "runtime/store/home_book.h"

#include "engine/base/log.h"

namespace panal::store {
namespace {

/// The end of a lease that lasts so long from now on; NULL seconds: never.
#define PANAL_LEASE_END(parameter) \
  "coalesce(now() + " parameter "::bigint * interval '1 second', 'infinity')"

constexpr const char* kLeaseColumns =
    "SELECT t.name, l.home, l.node, l.holder, l.desktop_id,"
    " to_char(l.taken AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " to_char(l.renewed AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
    " CASE WHEN isfinite(l.expires) THEN"
    "  to_char(l.expires AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') ELSE '' END,"
    " l.expires < now()"
    " FROM home_leases l JOIN tenants t ON t.id = l.tenant_id";

HomeLease lease_of_row(const Rows& rows, int row) {
  HomeLease lease;
  lease.tenant = rows.text(row, 0);
  lease.home = rows.text(row, 1);
  lease.node = rows.text(row, 2);
  lease.holder = rows.text(row, 3);
  if (!rows.is_null(row, 4)) lease.desktop = rows.number(row, 4);
  lease.taken = rows.text(row, 5);
  lease.renewed = rows.text(row, 6);
  lease.expires = rows.text(row, 7);
  lease.expired = rows.flag(row, 8);
  return lease;
}

Parameter seconds_or_null(std::chrono::seconds lasts) {
  if (lasts.count() <= 0) return std::nullopt;
  return parameter(std::int64_t{lasts.count()});
}

std::string shown_home(const std::string& tenant, const std::string& home) {
  return "home " + printable(home, 128) + " of tenant " + printable(tenant, 64);
}

}  // namespace

Result<HomeGrant> PgHomeBook::take(const HomeClaim& claim) {
  const std::string what = "take " + shown_home(claim.tenant, claim.home);
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto tenant,
               database_.run(what, "SELECT id FROM tenants WHERE name = $1", {claim.tenant}));
  if (tenant.empty()) return fail(ENOENT, "there is no tenant " + printable(claim.tenant, 64));
  const std::string id = tenant.text(0, 0);
  PANAL_ASSIGN(auto held,
               database_.run(what,
                             "SELECT node, holder, expires < now(),"
                             " to_char(taken AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
                             " FROM home_leases WHERE tenant_id = $1 AND home = $2 FOR UPDATE",
                             {id, claim.home}));
  HomeGrant grant;
  const Parameter desktop = claim.desktop ? parameter(*claim.desktop) : Parameter();
  if (!held.empty()) {
    const std::string node = held.text(0, 0);
    const std::string holder = held.text(0, 1);
    const bool mine = node == claim.node && holder == claim.holder;
    if (!mine && !held.flag(0, 2))
      return fail(EBUSY, "home " + printable(claim.home, 128) + " is in use by " + holder +
                             " on node " + node + " since " + held.text(0, 3) + " UTC");
    if (!mine) grant.evicted = holder + "@" + node;
    PANAL_TRY(
        database_.run(what,
                      "UPDATE home_leases SET node = $3, holder = $4, desktop_id = $5,"
                      " renewed = now(), taken = CASE WHEN $7 THEN taken ELSE now() END,"
                      " expires = " PANAL_LEASE_END("$6") " WHERE tenant_id = $1 AND home = $2",
                      {id, claim.home, claim.node, claim.holder, desktop,
                       seconds_or_null(claim.lasts), parameter(mine)}));
  } else {
    // Somebody else may be at the same point: then there is a row now, and it is theirs.
    PANAL_ASSIGN(auto added,
                 database_.run(what,
                               "INSERT INTO home_leases (tenant_id, home, node, holder, desktop_id,"
                               " expires) VALUES ($1, $2, $3, $4, $5, " PANAL_LEASE_END(
                                   "$6") ")"
                                         " ON CONFLICT (tenant_id, home) DO NOTHING",
                               {id, claim.home, claim.node, claim.holder, desktop,
                                seconds_or_null(claim.lasts)}));
    if (added.affected() == 0)
      return fail(EBUSY, "home " + printable(claim.home, 128) +
                             " was taken by somebody else at this moment; try again");
  }
  PANAL_TRY(transaction.commit());
  return grant;
}

Result<void> PgHomeBook::give_back(const HomeClaim& claim) {
  PANAL_TRY(database_.run("give back " + shown_home(claim.tenant, claim.home),
                          "DELETE FROM home_leases l USING tenants t WHERE t.id = l.tenant_id AND"
                          " t.name = $1 AND l.home = $2 AND l.node = $3 AND l.holder = $4",
                          {claim.tenant, claim.home, claim.node, claim.holder}));
  return {};
}

Result<void> PgHomeBook::give_back_of(DesktopId desktop, const std::string& node) {
  PANAL_TRY(database_.run("give back the home of desktop " + std::to_string(desktop),
                          "DELETE FROM home_leases WHERE desktop_id = $1 AND node = $2",
                          {parameter(desktop), node}));
  return {};
}

Result<std::set<DesktopId>> PgHomeBook::renew(const std::string& node, std::chrono::seconds lasts) {
  PANAL_ASSIGN(
      auto rows,
      database_.run("renew the node's homes",
                    "UPDATE home_leases SET renewed = now(),"
                    " expires = " PANAL_LEASE_END(
                        "$2") " WHERE node = $1 AND desktop_id IS NOT NULL RETURNING desktop_id",
                    {node, seconds_or_null(lasts)}));
  std::set<DesktopId> kept;
  for (int row = 0; row < rows.count(); ++row) kept.insert(rows.number(row, 0));
  return kept;
}

Result<void> PgHomeBook::recover(const std::string& node, const std::set<DesktopId>& live) {
  std::string list = "{";
  for (const DesktopId id : live) list += (list.size() > 1 ? "," : "") + std::to_string(id);
  PANAL_TRY(database_.run("give back homes of desktops that ended",
                          "DELETE FROM home_leases WHERE node = $1 AND desktop_id IS NOT NULL AND"
                          " NOT desktop_id = ANY ($2::bigint[])",
                          {node, list + "}"}));
  return {};
}

Result<std::vector<HomeLease>> PgHomeBook::leases() {
  const std::string sql = std::string(kLeaseColumns) + " ORDER BY t.name, l.home";
  PANAL_ASSIGN(auto rows, database_.run("list who has homes", sql.c_str()));
  std::vector<HomeLease> leases;
  for (int row = 0; row < rows.count(); ++row) leases.push_back(lease_of_row(rows, row));
  return leases;
}

Result<HomeLease> PgHomeBook::unlock(const std::string& tenant, const std::string& home,
                                     const std::string& actor) {
  const std::string what = "unlock " + shown_home(tenant, home);
  PANAL_ASSIGN(auto transaction, database_.begin());
  const std::string sql =
      std::string(kLeaseColumns) + " WHERE t.name = $1 AND l.home = $2 FOR UPDATE OF l";
  PANAL_ASSIGN(auto rows, database_.run(what, sql.c_str(), {tenant, home}));
  if (rows.empty())
    return fail(ENOENT, "nobody has " + shown_home(tenant, home) + ": there is no lease of it");
  HomeLease lease = lease_of_row(rows, 0);
  PANAL_TRY(database_.run(what,
                          "DELETE FROM home_leases l USING tenants t WHERE t.id = l.tenant_id AND"
                          " t.name = $1 AND l.home = $2",
                          {tenant, home}));
  PANAL_TRY(database_.run(what,
                          "INSERT INTO audit_log (actor, action, object, detail)"
                          " VALUES ($1, 'home.unlock', $2, $3)",
                          {actor, tenant + "/" + home, lease.holder + "@" + lease.node}));
  PANAL_TRY(transaction.commit());
  return lease;
}

}  // namespace panal::store
