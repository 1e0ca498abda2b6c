#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {

Result<std::int64_t> PgStore::begin_session(DesktopId desktop, const std::string& client_address,
                                            const std::string& client_kind) {
  PANAL_ASSIGN(auto rows,
               database_.run("begin a session",
                             "INSERT INTO sessions (desktop_id, desktop_name, tenant, login,"
                             " client_address, client_kind) SELECT id, name, tenant, login, $2, $3"
                             " FROM desktop_records WHERE id = $1 RETURNING id",
                             {parameter(desktop), printable(client_address, 128),
                              printable(client_kind, 64)}));
  if (rows.empty()) return fail(ENOENT, "there is no desktop " + std::to_string(desktop));
  return rows.number(0, 0);
}

Result<void> PgStore::end_session(std::int64_t session, std::uint64_t bytes_up,
                                  std::uint64_t bytes_down, const std::string& reason) {
  return change(
      "end a session", "session " + std::to_string(session),
      "UPDATE sessions SET ended = greatest(now(), started), bytes_up = $2, bytes_down = $3,"
      " end_reason = $4 WHERE id = $1",
      {parameter(session), std::to_string(bytes_up), std::to_string(bytes_down),
       printable(reason, 512)});
}

Result<void> PgStore::audit(const std::string& actor, const std::string& action,
                            const std::string& object, const std::string& detail) {
  PANAL_TRY(database_.run("write the audit log",
                          "INSERT INTO audit_log (actor, action, object, detail)"
                          " VALUES ($1, $2, $3, $4)",
                          {printable(actor, 256), printable(action, 64), printable(object, 256),
                           printable(detail, 2048)}));
  return {};
}

Result<std::vector<AuditRow>> PgStore::audit_rows(std::uint32_t most) {
  PANAL_ASSIGN(auto rows, database_.run("read the audit log",
                                        "SELECT to_char(at AT TIME ZONE 'UTC',"
                                        " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), actor, action, object,"
                                        " detail FROM audit_log ORDER BY id DESC LIMIT $1",
                                        {parameter(std::int64_t{most})}));
  std::vector<AuditRow> list;
  for (int row = 0; row < rows.count(); ++row)
    list.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2), rows.text(row, 3),
                    rows.text(row, 4)});
  return list;
}

}  // namespace panal::store
