#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

Observed parse_observed(std::string_view text) {
  for (const Observed value : {Observed::kStopped, Observed::kComposing, Observed::kStarting,
                               Observed::kRunning, Observed::kStopping})
    if (text == to_string(value)) return value;
  return Observed::kFailed;
}

/// What the schema said of a version or tag that a desktop is to have; fine: it was something else.
Result<void> explain_source(const std::string& image, const std::string& version,
                            const std::string& tag, const std::string& why) {
  const auto broken = [&why](const char* rule) { return why.find(rule) != std::string::npos; };
  if (broken("desktops_version_exists"))
    return fail(ENOENT, "image " + printable(image) + " has no version " + printable(version));
  if (broken("desktops_tag_exists"))
    return fail(ENOENT, "image " + printable(image) + " has no tag " + printable(tag));
  if (broken("desktops_follow_one"))
    return fail(EINVAL, "a desktop keeps to a version or follows a tag, not both");
  return {};
}

std::string number_text(DesktopId id) { return "desktop " + std::to_string(id); }

}  // namespace

Desktop desktop_of_row(const Rows& rows, int row) {
  Desktop desktop;
  desktop.id = rows.number(row, 0);
  desktop.tenant = rows.text(row, 1);
  desktop.login = rows.text(row, 2);
  desktop.name = rows.text(row, 3);
  desktop.image = rows.text(row, 4);
  desktop.version = rows.text(row, 5);
  desktop.persistent = rows.flag(row, 6);
  desktop.home = rows.text(row, 7);
  desktop.node = rows.text(row, 8);
  desktop.desired = rows.text(row, 9) == "running" ? Desired::kRunning : Desired::kStopped;
  desktop.observed = parse_observed(rows.text(row, 10));
  desktop.reason = rows.text(row, 11);
  desktop.running_version = rows.text(row, 12);
  if (!rows.is_null(row, 13)) desktop.id_slot = static_cast<std::uint32_t>(rows.number(row, 13));
  desktop.session_state = rows.text(row, 14);
  desktop.idle_ms = rows.size(row, 15);
  desktop.changed = rows.text(row, 16);
  desktop.generation = rows.size(row, 17);
  desktop.claimed_generation = rows.size(row, 18);
  desktop.trust = rows.text(row, 19);
  desktop.share_memory = rows.flag(row, 20);
  desktop.tag = rows.text(row, 21);
  desktop.next_version = rows.text(row, 22);
  if (!rows.is_null(row, 23)) desktop.soft_left_ms = rows.number(row, 23);
  if (!rows.is_null(row, 24)) desktop.hard_left_ms = rows.number(row, 24);
  return desktop;
}

std::vector<Desktop> desktops_of_rows(const Rows& rows) {
  std::vector<Desktop> desktops;
  for (int row = 0; row < rows.count(); ++row) desktops.push_back(desktop_of_row(rows, row));
  return desktops;
}

Result<Desktop> PgStore::add_desktop(const Desktop& desktop) {
  const std::string tenant = desktop.tenant.empty() ? "default" : desktop.tenant;
  const std::string home = desktop.home.empty() ? desktop.login : desktop.home;
  const std::string what = "add desktop " + printable(desktop.name);
  PANAL_ASSIGN(auto user, database_.run(what,
                                        "SELECT u.id, u.tenant_id FROM users u JOIN tenants t"
                                        " ON t.id = u.tenant_id WHERE t.name = $1 AND u.login = $2",
                                        {tenant, desktop.login}));
  if (user.empty()) return fail(ENOENT, "there is no user " + printable(desktop.login));
  PANAL_ASSIGN(auto image,
               database_.run(what, "SELECT id FROM images WHERE name = $1", {desktop.image}));
  if (image.empty()) return fail(ENOENT, "there is no image " + printable(desktop.image));
  auto added = database_.run(
      what,
      "INSERT INTO desktops (user_id, tenant_id, name, image_id, version, persistent, home, tag)"
      " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
      {user.text(0, 0), user.text(0, 1), desktop.name, image.text(0, 0),
       parameter_or_null(desktop.version), parameter(desktop.persistent), home,
       parameter_or_null(desktop.tag)});
  if (!added) {
    const std::string& why = added.error().context;
    if (added.error().code == EEXIST)
      return fail(EEXIST, "there is a desktop " + printable(desktop.name) + " already");
    if (auto no_source = explain_source(desktop.image, desktop.version, desktop.tag, why);
        !no_source)
      return tl::make_unexpected(std::move(no_source.error()));
    if (why.find("desktops_home_valid") != std::string::npos)
      return fail(EINVAL, "home \"" + printable(home) +
                              "\" must have only letters, digits, _ . - and no leading dot");
    return tl::make_unexpected(std::move(added.error()));
  }
  return this->desktop(added->number(0, 0));
}

Result<void> PgStore::remove_desktop(DesktopId id) {
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto rows, database_.run("remove " + number_text(id),
                                        "SELECT name, observed, desired FROM desktops WHERE id = $1"
                                        " FOR UPDATE",
                                        {parameter(id)}));
  if (rows.empty()) return fail(ENOENT, "there is no " + number_text(id));
  const std::string observed = rows.text(0, 1);
  // A failed one may still be wanted: nothing of it runs and nobody retries it by itself.
  const bool at_rest =
      observed == "failed" || (observed == "stopped" && rows.text(0, 2) == "stopped");
  if (!at_rest)
    return fail(EBUSY, "desktop " + printable(rows.text(0, 0)) + " is " +
                           (observed == "stopped" ? "about to start" : observed) +
                           "; stop it first");
  PANAL_TRY(database_.run("remove " + number_text(id), "DELETE FROM desktops WHERE id = $1",
                          {parameter(id)}));
  return transaction.commit();
}

Result<std::vector<Desktop>> PgStore::desktops() {
  PANAL_ASSIGN(auto rows, database_.run("list desktops", "SELECT " PANAL_DESKTOP_COLUMNS
                                                         " FROM desktop_records ORDER BY id"));
  return desktops_of_rows(rows);
}

Result<std::vector<Desktop>> PgStore::desktops_of(const std::string& tenant,
                                                  const std::string& login) {
  PANAL_ASSIGN(auto rows, database_.run("list a user's desktops",
                                        "SELECT " PANAL_DESKTOP_COLUMNS
                                        " FROM desktop_records WHERE tenant = $1 AND login = $2"
                                        " ORDER BY id",
                                        {tenant, login}));
  return desktops_of_rows(rows);
}

Result<Desktop> PgStore::desktop(DesktopId id) {
  PANAL_ASSIGN(auto rows,
               database_.run("read " + number_text(id),
                             "SELECT " PANAL_DESKTOP_COLUMNS " FROM desktop_records WHERE id = $1",
                             {parameter(id)}));
  if (rows.empty()) return fail(ENOENT, "there is no " + number_text(id));
  return desktop_of_row(rows, 0);
}

Result<void> PgStore::set_source(DesktopId id, const std::string& version, const std::string& tag,
                                 const std::string& actor) {
  const std::string what = "set what " + number_text(id) + " starts from";
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto rows, database_.run(what,
                                        "SELECT d.name, i.name FROM desktops d JOIN images i"
                                        " ON i.id = d.image_id WHERE d.id = $1 FOR UPDATE OF d",
                                        {parameter(id)}));
  if (rows.empty()) return fail(ENOENT, "there is no " + number_text(id));
  auto changed = database_.run(what, "UPDATE desktops SET version = $2, tag = $3 WHERE id = $1",
                               {parameter(id), parameter_or_null(version), parameter_or_null(tag)});
  if (!changed) {
    PANAL_TRY(explain_source(rows.text(0, 1), version, tag, changed.error().context));
    return tl::make_unexpected(std::move(changed.error()));
  }
  const std::string source = !version.empty() ? version : tag.empty() ? kDefaultTag : tag;
  PANAL_TRY(audit(actor, "desktop.source", rows.text(0, 0), rows.text(0, 1) + ":" + source));
  return transaction.commit();
}

Result<void> PgStore::set_desired(DesktopId id, Desired desired, const std::string& actor) {
  const std::string what = "ask for " + number_text(id);
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto rows,
               database_.run(what,
                             "SELECT d.name, d.node, d.home, u.login, u.blocked, d.tenant_id,"
                             " d.desired FROM desktops d JOIN users u ON u.id = d.user_id"
                             " WHERE d.id = $1 FOR UPDATE OF d",
                             {parameter(id)}));
  if (rows.empty()) return fail(ENOENT, "there is no " + number_text(id));
  if (desired == Desired::kStopped) {
    PANAL_TRY(database_.run(what, "UPDATE desktops SET desired = 'stopped' WHERE id = $1",
                            {parameter(id)}));
  } else {
    if (rows.flag(0, 4)) return fail(EACCES, "user " + rows.text(0, 3) + " is blocked");
    PANAL_ASSIGN(auto rival,
                 database_.run(what,
                               "SELECT name, observed FROM desktops WHERE tenant_id = $1 AND"
                               " home = $2 AND id <> $3 AND (observed NOT IN ('stopped', 'failed')"
                               " OR (desired = 'running' AND observed = 'stopped')) LIMIT 1",
                               {rows.text(0, 5), rows.text(0, 2), parameter(id)}));
    if (!rival.empty())
      return fail(EBUSY, "home " + rows.text(0, 2) + " is in use by desktop " +
                             printable(rival.text(0, 0)) + "; stop that one first");
    std::string node = rows.text(0, 1);
    if (node.empty()) {
      // The living node with the fewest desktops; where none lives, the one that lived last will
      // find the request when it is back. A node seen in the future has been dead since before
      // the clock was set back.
      PANAL_ASSIGN(auto nodes,
                   database_.run(what,
                                 "SELECT n.name FROM nodes n ORDER BY"
                                 " n.seen BETWEEN now() - interval '90 seconds'"
                                 " AND now() + interval '90 seconds' DESC,"
                                 " (SELECT count(*) FROM desktops d WHERE d.node = n.name AND"
                                 "  d.desired = 'running'), n.seen DESC, n.name LIMIT 1"));
      if (nodes.empty())
        return fail(ENOENT, "no node is known to the database; `panal up` starts one");
      node = nodes.text(0, 0);
    }
    PANAL_TRY(database_.run(what,
                            "UPDATE desktops SET desired = 'running', node = $2,"
                            " generation = generation + 1 WHERE id = $1",
                            {parameter(id), node}));
  }
  PANAL_TRY(database_.run(
      what, "INSERT INTO audit_log (actor, action, object) VALUES ($1, $2, $3)",
      {actor, desired == Desired::kRunning ? "desktop.start" : "desktop.stop", rows.text(0, 0)}));
  return transaction.commit();
}

}  // namespace panal::store
