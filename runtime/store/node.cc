#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

/// Reasons carry log lines as evidence: the lines stay lines, what is in them is made harmless.
std::string printable_lines(std::string_view text) {
  constexpr std::size_t kMost = 4096;
  std::string result;
  while (!text.empty() && result.size() < kMost) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    result += printable(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!text.empty()) result += '\n';
  }
  return result;
}

}  // namespace

Result<void> PgStore::register_node(const std::string& name, const std::string& version,
                                    std::int64_t pid) {
  PANAL_TRY(database_.run("register node " + printable(name),
                          "INSERT INTO nodes (name, version, pid) VALUES ($1, $2, $3)"
                          " ON CONFLICT (name) DO UPDATE SET version = excluded.version,"
                          " seen = now(), pid = excluded.pid, started = CASE"
                          " WHEN nodes.pid = excluded.pid THEN nodes.started ELSE now() END",
                          {name, version, parameter(pid)}));
  return {};
}

Result<std::vector<Desktop>> PgStore::desktops_on(const std::string& node) {
  PANAL_ASSIGN(auto rows, database_.run("list the node's desktops",
                                        "SELECT " PANAL_DESKTOP_COLUMNS
                                        " FROM desktop_records WHERE node = $1 ORDER BY id",
                                        {node}));
  return desktops_of_rows(rows);
}

Result<std::optional<Desktop>> PgStore::claim_start(DesktopId id, const std::string& node,
                                                    std::uint32_t slots) {
  const std::string what = "claim desktop " + std::to_string(id);
  PANAL_ASSIGN(auto transaction, database_.begin());
  // Workers of one node choose slots one after the other.
  PANAL_TRY(database_.run(what, "SELECT pg_advisory_xact_lock(hashtextextended($1, 7))", {node}));
  PANAL_ASSIGN(auto rows,
               database_.run(what,
                             "SELECT coalesce(d.version, g.version, ''), i.name, d.name,"
                             " d.home, u.login, u.blocked"
                             " FROM desktops d JOIN images i ON i.id = d.image_id"
                             " JOIN users u ON u.id = d.user_id"
                             " LEFT JOIN image_tags g ON g.image_id = d.image_id"
                             " AND g.tag = coalesce(d.tag, 'default')"
                             " WHERE d.id = $1 AND d.node = $2 AND d.desired = 'running' AND"
                             " (d.observed = 'stopped' OR (d.observed = 'failed' AND"
                             "  d.generation > d.claimed_generation)) FOR UPDATE OF d",
                             {parameter(id), node}));
  if (rows.empty()) return std::optional<Desktop>();
  if (rows.text(0, 0).empty())
    return fail(EINVAL, "image " + printable(rows.text(0, 1)) +
                            " has no version yet; `panal image build` makes one");
  if (rows.flag(0, 5)) return fail(EACCES, "user " + rows.text(0, 4) + " is blocked");
  PANAL_ASSIGN(auto slot,
               database_.run(what,
                             "SELECT min(s) FROM generate_series(0, $2::int - 1) s WHERE NOT EXISTS"
                             " (SELECT FROM desktops d WHERE d.node = $1 AND d.id_slot = s)",
                             {node, parameter(std::int64_t{slots})}));
  if (slot.is_null(0, 0))
    return fail(ENOSPC, "all " + std::to_string(slots) +
                            " id ranges of this node are in use; give"
                            " it more in /etc/subuid and /etc/subgid");
  auto claimed = database_.run(what,
                               "UPDATE desktops SET observed = 'composing', reason = '',"
                               " changed = now(), id_slot = $2, running_version = $3,"
                               " claimed_generation = generation WHERE id = $1",
                               {parameter(id), slot.text(0, 0), rows.text(0, 0)});
  if (!claimed) {
    if (claimed.error().context.find("desktops_home_once") != std::string::npos)
      return fail(EBUSY, "home " + printable(rows.text(0, 3)) + " is open in another desktop");
    return tl::make_unexpected(std::move(claimed.error()));
  }
  PANAL_ASSIGN(
      auto desktop,
      database_.run(what, "SELECT " PANAL_DESKTOP_COLUMNS " FROM desktop_records WHERE id = $1",
                    {parameter(id)}));
  PANAL_TRY(transaction.commit());
  return std::optional<Desktop>(desktop_of_row(desktop, 0));
}

Result<void> PgStore::observe(DesktopId id, Observed observed, const std::string& reason) {
  const bool gone = observed == Observed::kStopped || observed == Observed::kFailed;
  const std::string object = "desktop " + std::to_string(id);
  const std::vector<Parameter> parameters{parameter(id), std::string(to_string(observed)),
                                          printable_lines(reason)};
  // A failure answers the request it was made for even when the claim itself failed.
  if (gone)
    return change("observe", object,
                  "UPDATE desktops SET observed = $2, reason = $3, id_slot = NULL,"
                  " running_version = NULL, session_state = 'none', idle_ms = 0,"
                  " claimed_generation = CASE WHEN $2 = 'failed' THEN generation"
                  " ELSE claimed_generation END, changed = CASE WHEN observed = $2 THEN changed"
                  " ELSE now() END WHERE id = $1",
                  parameters);
  return change("observe", object,
                "UPDATE desktops SET observed = $2, reason = $3, changed = CASE WHEN observed = $2"
                " THEN changed ELSE now() END WHERE id = $1",
                parameters);
}

Result<void> PgStore::observe_session(DesktopId id, const std::string& state,
                                      std::uint64_t idle_ms) {
  return change("observe session", "desktop " + std::to_string(id),
                // An agent's last words may arrive after the desktop's end.
                "UPDATE desktops SET session_state = CASE WHEN observed IN ('stopped', 'failed')"
                " THEN 'none' ELSE $2 END, idle_ms = $3 WHERE id = $1",
                {parameter(id), state, std::to_string(idle_ms)});
}

}  // namespace panal::store
