#include <charconv>

#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

#define PANAL_USER_COLUMNS \
  "id, tenant, login, hash, uid, gid, groups, shell, lang, timezone, keyboard, blocked, trust"

/// "audio:29 video:44"; the schema's CHECK sees to the form.
std::string join_groups(const std::vector<std::pair<std::string, std::uint32_t>>& groups) {
  std::string text;
  for (const auto& [name, gid] : groups) {
    if (!text.empty()) text += ' ';
    text.append(name).append(":").append(std::to_string(gid));
  }
  return text;
}

std::vector<std::pair<std::string, std::uint32_t>> split_groups(std::string_view text) {
  std::vector<std::pair<std::string, std::uint32_t>> groups;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view item = text.substr(0, end);
    const std::size_t colon = item.find(':');
    std::uint32_t gid = 0;
    if (colon != std::string_view::npos) {
      std::from_chars(item.data() + colon + 1, item.data() + item.size(), gid);
      groups.emplace_back(std::string(item.substr(0, colon)), gid);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return groups;
}

User user_of_row(const Rows& rows, int row) {
  User user;
  user.id = rows.number(row, 0);
  user.tenant = rows.text(row, 1);
  user.login = rows.text(row, 2);
  user.password_hash = rows.text(row, 3);
  user.uid = static_cast<std::uint32_t>(rows.number(row, 4));
  user.gid = static_cast<std::uint32_t>(rows.number(row, 5));
  user.groups = split_groups(rows.text(row, 6));
  user.shell = rows.text(row, 7);
  user.lang = rows.text(row, 8);
  user.timezone = rows.text(row, 9);
  user.keyboard = rows.text(row, 10);
  user.blocked = rows.flag(row, 11);
  user.trust = rows.text(row, 12);
  return user;
}

Failure explain(const User& user, Error error) {
  if (error.code == EEXIST && error.context.find("users_login_unique") != std::string::npos)
    return fail(EEXIST, "there is a user " + user.login + " already");
  if (error.code == EEXIST && error.context.find("users_uid_unique") != std::string::npos)
    return fail(EEXIST, "uid " + std::to_string(user.uid) + " belongs to another user already");
  if (error.context.find("users_login_valid") != std::string::npos)
    return fail(EINVAL, "login \"" + printable(user.login) +
                            "\" must begin with a-z or _ and have only a-z 0-9 _ . - (32 at most)");
  if (error.context.find("users_uid_valid") != std::string::npos)
    return fail(EINVAL, "uid " + std::to_string(user.uid) + " must be 1000 to 65533");
  if (error.context.find("users_groups_valid") != std::string::npos)
    return fail(EINVAL, "groups of " + user.login + " must be name:gid, such as audio:29");
  if (error.context.find("users_trust_valid") != std::string::npos)
    return fail(EINVAL, "trust level \"" + printable(user.trust) +
                            "\" must begin with a-z or 0-9 and have only a-z 0-9 _ - (32 at most)");
  return tl::make_unexpected(std::move(error));
}

}  // namespace

Result<User> PgStore::add_user(User user) {
  if (user.tenant.empty()) user.tenant = "default";
  if (user.shell.empty()) user.shell = "/bin/bash";
  if (user.lang.empty()) user.lang = "C.UTF-8";
  if (user.timezone.empty()) user.timezone = "Etc/UTC";
  if (user.keyboard.empty()) user.keyboard = "pc105/us";
  if (user.trust.empty()) user.trust = kUsualTrust;
  PANAL_ASSIGN(auto transaction, database_.begin());
  // The tenant's row is the lock under which the next free uid is looked for.
  PANAL_ASSIGN(auto tenant,
               database_.run("find the tenant", "SELECT id FROM tenants WHERE name = $1 FOR UPDATE",
                             {user.tenant}));
  if (tenant.empty()) return fail(ENOENT, "there is no tenant " + printable(user.tenant));
  const Parameter tenant_id = tenant.text(0, 0);
  if (user.uid == 0) {
    PANAL_ASSIGN(auto free, database_.run("choose a uid",
                                          "SELECT coalesce(max(uid), 999) + 1 FROM users"
                                          " WHERE tenant_id = $1",
                                          {tenant_id}));
    user.uid = static_cast<std::uint32_t>(free.number(0, 0));
  }
  if (user.gid == 0) user.gid = user.uid;
  auto added = database_.run(
      "add user " + printable(user.login),
      "INSERT INTO users (tenant_id, login, uid, gid, groups, shell, lang, timezone, keyboard,"
      " blocked, trust) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
      {tenant_id, user.login, parameter(std::int64_t{user.uid}), parameter(std::int64_t{user.gid}),
       join_groups(user.groups), user.shell, user.lang, user.timezone, user.keyboard,
       parameter(user.blocked), user.trust});
  if (!added) return explain(user, std::move(added.error()));
  user.id = added->number(0, 0);
  if (!user.password_hash.empty())
    PANAL_TRY(database_.run("keep the password's hash",
                            "INSERT INTO passwords (user_id, hash) VALUES ($1, $2)",
                            {parameter(user.id), user.password_hash}));
  PANAL_TRY(transaction.commit());
  return user;
}

Result<void> PgStore::set_password(const std::string& tenant, const std::string& login,
                                   const std::string& password_hash) {
  return change("set the password of " + printable(login), "such user",
                "INSERT INTO passwords (user_id, hash)"
                " SELECT u.id, $3 FROM users u JOIN tenants t ON t.id = u.tenant_id"
                " WHERE t.name = $1 AND u.login = $2"
                " ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, changed = now()",
                {tenant, login, password_hash});
}

Result<void> PgStore::set_blocked(const std::string& tenant, const std::string& login,
                                  bool blocked) {
  return change("block user " + printable(login), "such user",
                "UPDATE users u SET blocked = $3 FROM tenants t"
                " WHERE t.id = u.tenant_id AND t.name = $1 AND u.login = $2",
                {tenant, login, parameter(blocked)});
}

Result<void> PgStore::set_trust(const std::string& tenant, const std::string& login,
                                const std::string& trust) {
  auto changed = change("set the trust level of " + printable(login), "such user",
                        "UPDATE users u SET trust = $3 FROM tenants t"
                        " WHERE t.id = u.tenant_id AND t.name = $1 AND u.login = $2",
                        {tenant, login, trust});
  if (changed) return changed;
  User user;
  user.login = login;
  user.trust = trust;
  return explain(user, std::move(changed.error()));
}

Result<void> PgStore::remove_user(const std::string& tenant, const std::string& login) {
  auto removed = change("remove user " + printable(login), "such user",
                        "DELETE FROM users u USING tenants t"
                        " WHERE t.id = u.tenant_id AND t.name = $1 AND u.login = $2",
                        {tenant, login});
  if (!removed && removed.error().code == EBUSY)
    return fail(EBUSY, "user " + printable(login) + " has desktops; remove those first");
  return removed;
}

Result<std::vector<User>> PgStore::users() {
  PANAL_ASSIGN(auto rows, database_.run("list users", "SELECT " PANAL_USER_COLUMNS
                                                      " FROM user_records ORDER BY tenant, login"));
  std::vector<User> users;
  for (int row = 0; row < rows.count(); ++row) users.push_back(user_of_row(rows, row));
  return users;
}

Result<std::optional<User>> PgStore::find_user(const std::string& tenant,
                                               const std::string& login) {
  PANAL_ASSIGN(auto rows, database_.run("find a user",
                                        "SELECT " PANAL_USER_COLUMNS
                                        " FROM user_records WHERE tenant = $1 AND login = $2",
                                        {tenant, login}));
  if (rows.empty()) return std::optional<User>();
  return std::optional<User>(user_of_row(rows, 0));
}

}  // namespace panal::store
