#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

// Between the words of a session's argv on their way to and from text[]: saves a parser of
// PostgreSQL's array syntax. No program's name or option holds it.
constexpr char kUnitSeparator = '\x1f';

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += kUnitSeparator;
    text += word;
  }
  return text;
}

std::vector<std::string> split_words(const std::string& text) {
  std::vector<std::string> words;
  std::size_t begin = 0;
  while (!text.empty()) {
    const std::size_t end = text.find(kUnitSeparator, begin);
    words.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return words;
}

}  // namespace

Result<void> PgStore::add_version(const Version& version, const std::string& description) {
  const std::string what = "register " + printable(version.image + " " + version.version);
  for (const std::string& word : version.session)
    if (word.find(kUnitSeparator) != std::string::npos)
      return fail(EINVAL, what + ": a session's argument holds a control character");
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto image, database_.run(what,
                                         "INSERT INTO images (name, description) VALUES ($1, $2)"
                                         " ON CONFLICT (name) DO UPDATE SET description = CASE"
                                         " WHEN excluded.description = '' THEN images.description"
                                         " ELSE excluded.description END RETURNING id",
                                         {version.image, description}));
  const Parameter image_id = image.text(0, 0);
  PANAL_TRY(
      database_.run(what,
                    "INSERT INTO versions (image_id, version, recipe_digest, session, "
                    "browser_sandbox, size_bytes,"
                    " created) VALUES ($1, $2, $3, string_to_array($4, E'\\x1f'), $5, $6,"
                    " coalesce($7::timestamptz, now())) ON CONFLICT (image_id, version) DO NOTHING",
                    {image_id, version.version, version.recipe_digest, join_words(version.session),
                     parameter(version.browser_sandbox), std::to_string(version.size_bytes),
                     parameter_or_null(version.created)}));
  PANAL_TRY(database_.run(what, "UPDATE images SET default_version = $2 WHERE id = $1",
                          {image_id, version.version}));
  return transaction.commit();
}

Result<std::vector<Image>> PgStore::images() {
  PANAL_ASSIGN(auto rows, database_.run("list images",
                                        "SELECT name, description, coalesce(default_version, '')"
                                        " FROM images ORDER BY name"));
  std::vector<Image> images;
  for (int row = 0; row < rows.count(); ++row)
    images.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2)});
  return images;
}

Result<std::vector<Version>> PgStore::versions() {
  PANAL_ASSIGN(auto rows, database_.run("list versions",
                                        "SELECT i.name, v.version, v.recipe_digest,"
                                        " array_to_string(v.session, E'\\x1f'), v.browser_sandbox,"
                                        " v.size_bytes, to_char(v.created AT TIME ZONE 'UTC',"
                                        " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                                        " FROM versions v JOIN images i ON i.id = v.image_id"
                                        " ORDER BY i.name, v.created DESC, v.version DESC"));
  std::vector<Version> versions;
  for (int row = 0; row < rows.count(); ++row)
    versions.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2),
                        split_words(rows.text(row, 3)), rows.flag(row, 4), rows.size(row, 5),
                        rows.text(row, 6)});
  return versions;
}

Result<void> PgStore::remove_version(const std::string& image, const std::string& version) {
  const std::string name = printable(image + " " + version);
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(auto found, database_.run("find " + name,
                                         "SELECT id, coalesce(default_version, '') FROM images"
                                         " WHERE name = $1 FOR UPDATE",
                                         {image}));
  if (found.empty()) return fail(ENOENT, "there is no image " + printable(image));
  const Parameter image_id = found.text(0, 0);
  // The default counts as used by the desktops that follow it, unless another version can take
  // over.
  PANAL_ASSIGN(auto users,
               database_.run("find users of " + name,
                             "SELECT name FROM desktops WHERE image_id = $1 AND"
                             " (version = $2 OR running_version = $2) ORDER BY name LIMIT 1",
                             {image_id, version}));
  if (!users.empty())
    return fail(EBUSY, name + " is used by desktop " + printable(users.text(0, 0)));
  PANAL_TRY(database_.run(
      "choose the default of " + printable(image),
      "UPDATE images SET default_version = (SELECT v.version FROM versions v WHERE v.image_id = $1"
      " AND v.version <> $2 ORDER BY v.created DESC, v.version DESC LIMIT 1)"
      " WHERE id = $1 AND default_version = $2",
      {image_id, version}));
  PANAL_TRY(change("remove " + name, "such version",
                   "DELETE FROM versions WHERE image_id = $1 AND version = $2",
                   {image_id, version}));
  auto orphan = database_.run("remove image " + printable(image),
                              "DELETE FROM images i WHERE id = $1 AND NOT EXISTS"
                              " (SELECT FROM versions v WHERE v.image_id = i.id) AND NOT EXISTS"
                              " (SELECT FROM desktops d WHERE d.image_id = i.id)",
                              {image_id});
  if (!orphan) return tl::make_unexpected(std::move(orphan.error()));
  return transaction.commit();
}

}  // namespace panal::store
