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
  const std::string name = printable(version.image + " " + version.version);
  const std::string what = "register " + name;
  for (const std::string& word : version.session)
    if (word.find(kUnitSeparator) != std::string::npos)
      return fail(EINVAL, what + ": a session's argument holds a control character");
  PANAL_ASSIGN(auto transaction, database_.begin());
  // The image's row is locked from here on: two registrations see each other's versions.
  PANAL_ASSIGN(auto image, database_.run(what,
                                         "INSERT INTO images (name, description) VALUES ($1, $2)"
                                         " ON CONFLICT (name) DO UPDATE SET description = CASE"
                                         " WHEN excluded.description = '' THEN images.description"
                                         " ELSE excluded.description END RETURNING id",
                                         {version.image, description}));
  const Parameter image_id = image.text(0, 0);
  PANAL_TRY(database_.run(
      what,
      "INSERT INTO versions (image_id, version, recipe_digest, session, "
      "browser_sandbox, size_bytes, created, commit, message, author)"
      " VALUES ($1, $2, $3, string_to_array($4, E'\\x1f'), $5, $6,"
      " coalesce($7::timestamptz, now()), $8, $9, $10)"
      " ON CONFLICT (image_id, version) DO UPDATE SET commit = excluded.commit"
      " WHERE versions.commit = ''",
      {image_id, version.version, version.recipe_digest, join_words(version.session),
       parameter(version.browser_sandbox), std::to_string(version.size_bytes),
       parameter_or_null(version.created), version.commit, version.message, version.author}));
  PANAL_ASSIGN(
      auto there,
      database_.run(what, "SELECT commit FROM versions WHERE image_id = $1 AND version = $2",
                    {image_id, version.version}));
  if (!version.commit.empty() && there.text(0, 0) != version.commit)
    return fail(EEXIST, name + " is registered with another commit (" +
                            there.text(0, 0).substr(0, 12) + ", not " +
                            version.commit.substr(0, 12) + "), by another node perhaps");
  PANAL_TRY(database_.run(what,
                          "DELETE FROM removals WHERE image = $1 AND version = $2 AND commit = $3",
                          {version.image, version.version, there.text(0, 0)}));
  PANAL_TRY(
      sign_moves(what, version.author.empty() ? "panal" : version.author, TagMoveKind::kCommit));
  PANAL_TRY(settle_head(what, image_id));
  if (!version.untried)
    PANAL_TRY(database_.run(what,
                            "INSERT INTO image_tags (image_id, tag, version)"
                            " VALUES ($1, 'default', $2) ON CONFLICT DO NOTHING",
                            {image_id, version.version}));
  return transaction.commit();
}

Result<std::vector<Image>> PgStore::images() {
  PANAL_ASSIGN(auto rows,
               database_.run("list images",
                             "SELECT i.name, i.description, coalesce(d.version, ''),"
                             " coalesce(h.version, '') FROM images i"
                             " LEFT JOIN image_tags d ON d.image_id = i.id AND d.tag = 'default'"
                             " LEFT JOIN image_tags h ON h.image_id = i.id AND h.tag = 'head'"
                             " ORDER BY i.name"));
  std::vector<Image> images;
  for (int row = 0; row < rows.count(); ++row)
    images.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2), rows.text(row, 3)});
  return images;
}

Result<std::vector<Version>> PgStore::versions() {
  PANAL_ASSIGN(auto rows, database_.run("list versions",
                                        "SELECT i.name, v.version, v.recipe_digest,"
                                        " array_to_string(v.session, E'\\x1f'), v.browser_sandbox,"
                                        " v.size_bytes, to_char(v.created AT TIME ZONE 'UTC',"
                                        " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
                                        " v.commit, v.message, v.author"
                                        " FROM versions v JOIN images i ON i.id = v.image_id"
                                        " ORDER BY i.name, v.created DESC, v.version DESC"));
  std::vector<Version> versions;
  for (int row = 0; row < rows.count(); ++row)
    versions.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2),
                        split_words(rows.text(row, 3)), rows.flag(row, 4), rows.size(row, 5),
                        rows.text(row, 6), rows.text(row, 7), rows.text(row, 8),
                        rows.text(row, 9)});
  return versions;
}

Result<void> PgStore::remove_version(const std::string& image, const std::string& version,
                                     const std::string& actor) {
  const std::string name = printable(image + " " + version);
  const std::string what = "remove " + name;
  PANAL_ASSIGN(auto transaction, database_.begin());
  PANAL_ASSIGN(
      auto found,
      database_.run("find " + name, "SELECT id FROM images WHERE name = $1 FOR UPDATE", {image}));
  if (found.empty()) return fail(ENOENT, "there is no image " + printable(image));
  const Parameter image_id = found.text(0, 0);
  PANAL_ASSIGN(auto row,
               database_.run(what,
                             "SELECT commit, (SELECT count(*) FROM versions o WHERE"
                             " o.image_id = $1) FROM versions WHERE image_id = $1 AND version = $2",
                             {image_id, version}));
  if (row.empty()) return fail(ENOENT, what + ": there is no such version");
  const bool last = row.number(0, 1) == 1;
  // With its last version an image would be gone for those as well that only follow a tag.
  PANAL_ASSIGN(auto users,
               database_.run("find users of " + name,
                             "SELECT name FROM desktops WHERE image_id = $1 AND (version = $2 OR"
                             " running_version = $2 OR $3) ORDER BY name LIMIT 1",
                             {image_id, version, parameter(last)}));
  if (!users.empty())
    return fail(EBUSY, name + " is used by desktop " + printable(users.text(0, 0)));
  PANAL_ASSIGN(auto tags,
               database_.run("find tags of " + name,
                             "SELECT tag FROM image_tags WHERE image_id = $1 AND version = $2 AND"
                             " tag <> 'head' AND NOT ($3 AND tag = 'default')"
                             " ORDER BY tag = 'default' DESC, tag LIMIT 1",
                             {image_id, version, parameter(last)}));
  if (!tags.empty() && tags.text(0, 0) == kDefaultTag)
    return fail(EBUSY, name + " is what new starts take; publish another version first");
  if (!tags.empty())
    return fail(EBUSY, name + " has tag " + tags.text(0, 0) + "; move it or take it away first");
  PANAL_TRY(sign_moves(what, actor, TagMoveKind::kRemove));
  PANAL_TRY(database_.run(what, "DELETE FROM image_tags WHERE image_id = $1 AND version = $2",
                          {image_id, version}));
  PANAL_TRY(database_.run(what, "DELETE FROM versions WHERE image_id = $1 AND version = $2",
                          {image_id, version}));
  PANAL_TRY(settle_head(what, image_id));
  PANAL_TRY(database_.run(what,
                          "INSERT INTO removals (actor, image, version, commit)"
                          " VALUES ($1, $2, $3, $4) ON CONFLICT ON CONSTRAINT removals_once"
                          " DO UPDATE SET actor = excluded.actor, at = now(), done_on = '{}'",
                          {actor, image, version, row.text(0, 0)}));
  PANAL_TRY(database_.run("remove image " + printable(image),
                          "DELETE FROM images i WHERE id = $1 AND NOT EXISTS"
                          " (SELECT FROM versions v WHERE v.image_id = i.id) AND NOT EXISTS"
                          " (SELECT FROM desktops d WHERE d.image_id = i.id)",
                          {image_id}));
  PANAL_TRY(audit(actor, "image.remove", image + ":" + version, row.text(0, 0)));
  return transaction.commit();
}

Result<std::vector<Removal>> PgStore::removals() {
  PANAL_ASSIGN(auto rows,
               database_.run("list removals",
                             "SELECT image, version, commit, actor, to_char(at AT TIME ZONE 'UTC',"
                             " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
                             " array_to_string(done_on, E'\\x1f')"
                             " FROM removals ORDER BY removals.at DESC, id DESC"));
  std::vector<Removal> removals;
  for (int row = 0; row < rows.count(); ++row)
    removals.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2), rows.text(row, 3),
                        rows.text(row, 4), split_words(rows.text(row, 5))});
  return removals;
}

Result<void> PgStore::finish_removal(const Removal& removal, const std::string& node) {
  return change("note the removal of " + printable(removal.image + " " + removal.version),
                "such removal",
                "UPDATE removals SET done_on = CASE WHEN $4 = ANY (done_on) THEN done_on"
                " ELSE array_append(done_on, $4) END"
                " WHERE image = $1 AND version = $2 AND commit = $3",
                {removal.image, removal.version, removal.commit, node});
}

}  // namespace panal::store
