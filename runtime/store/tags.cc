#include "runtime/store/tags.h"

#include "engine/base/log.h"
#include "runtime/store/pg_store.h"

namespace panal::store {
namespace {

constexpr std::chrono::seconds kFarthestDeadline{std::chrono::hours(24 * 3650)};

bool is_tag_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > 32 || name[0] < 'a' || name[0] > 'z') return false;
  for (const char c : name)
    if (!plain(c) && c != '.' && c != '_' && c != '-') return false;
  return true;
}

Result<void> check_change(const TagChange& change) {
  if (!is_tag_name(change.tag))
    return fail(EINVAL, "tag \"" + printable(change.tag, 80) +
                            "\" must begin with a-z and have only a-z 0-9 . _ - (32 at most)");
  if (change.tag == kHeadTag)
    return fail(EINVAL, "head follows the newest version by itself; use another tag");
  if (change.tag == kDefaultTag && change.to.empty())
    return fail(EINVAL, "default cannot be taken away: new starts would have no version");
  return check_deadlines(change.deadlines);
}

Parameter seconds_of(const std::optional<std::chrono::seconds>& span) {
  return span ? parameter(std::int64_t{span->count()}) : Parameter();
}

std::string described(const TagChange& change) {
  const auto named = [](const std::string& version) { return version.empty() ? "none" : version; };
  std::string text = named(change.expected) + " -> " + named(change.to);
  if (change.deadlines.soft)
    text += ", soft " + std::to_string(change.deadlines.soft->count()) + " s";
  if (change.deadlines.hard)
    text += ", hard " + std::to_string(change.deadlines.hard->count()) + " s";
  if (!change.forced.empty()) text += ", forced: " + printable(change.forced, 2000);
  return text;
}

}  // namespace

Result<void> check_deadlines(const Deadlines& deadlines) {
  for (const auto& span : {deadlines.soft, deadlines.hard})
    if (span && (span->count() < 0 || *span > kFarthestDeadline))
      return fail(EINVAL, "a deadline lies between now and 10 years from now");
  if (deadlines.soft && deadlines.hard && *deadlines.hard < *deadlines.soft)
    return fail(EINVAL, "the hard deadline must not come before the soft one");
  return {};
}

Result<void> PgStore::sign_moves(std::string_view what, const std::string& actor,
                                 TagMoveKind kind) {
  PANAL_TRY(database_.run(
      what, "SELECT set_config('panal.actor', $1, true), set_config('panal.how', $2, true)",
      {actor, std::string(to_string(kind))}));
  return {};
}

Result<void> PgStore::settle_head(std::string_view what, const Parameter& image_id) {
  PANAL_TRY(database_.run(what,
                          "INSERT INTO image_tags (image_id, tag, version)"
                          " SELECT image_id, 'head', version FROM versions WHERE image_id = $1"
                          " ORDER BY created DESC, version DESC LIMIT 1"
                          " ON CONFLICT (image_id, tag) DO UPDATE SET version = excluded.version,"
                          " moved = now() WHERE image_tags.version <> excluded.version",
                          {image_id}));
  return {};
}

Result<std::vector<Tag>> PgStore::tags() {
  PANAL_ASSIGN(auto rows,
               database_.run("list tags",
                             "SELECT i.name, g.tag, g.version, to_char(g.moved AT TIME ZONE 'UTC',"
                             " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM image_tags g"
                             " JOIN images i ON i.id = g.image_id ORDER BY i.name, g.tag"));
  std::vector<Tag> tags;
  for (int row = 0; row < rows.count(); ++row)
    tags.push_back({rows.text(row, 0), rows.text(row, 1), rows.text(row, 2), rows.text(row, 3)});
  return tags;
}

Result<void> PgStore::move_tag(const TagChange& wanted) {
  PANAL_TRY(check_change(wanted));
  const std::string name = printable(wanted.image + ":" + wanted.tag);
  const std::string what = "move " + name;
  PANAL_ASSIGN(auto transaction, database_.begin());
  // Read after the lock, by a statement of its own: the locking one sees what was before it waited.
  PANAL_ASSIGN(auto image, database_.run(what, "SELECT id FROM images WHERE name = $1 FOR UPDATE",
                                         {wanted.image}));
  if (image.empty()) return fail(ENOENT, "there is no image " + printable(wanted.image));
  const Parameter image_id = image.text(0, 0);
  PANAL_ASSIGN(auto at, database_.run(
                            what, "SELECT version FROM image_tags WHERE image_id = $1 AND tag = $2",
                            {image_id, wanted.tag}));
  const std::string now = at.empty() ? "" : at.text(0, 0);
  if (now != wanted.expected)
    return fail(EBUSY,
                name + " is at " + (now.empty() ? "no version" : now) + " meanwhile, not at " +
                    (wanted.expected.empty() ? "none" : wanted.expected) + "; nothing was changed");
  PANAL_TRY(sign_moves(what, wanted.actor, wanted.kind));
  if (wanted.to.empty()) {
    auto gone = database_.run(what, "DELETE FROM image_tags WHERE image_id = $1 AND tag = $2",
                              {image_id, wanted.tag});
    if (!gone && gone.error().code == EBUSY)
      return fail(EBUSY, "desktops follow " + name + "; give them another tag first");
    if (!gone) return tl::make_unexpected(std::move(gone.error()));
    if (gone->affected() == 0) return fail(ENOENT, "there is no tag " + name);
  } else {
    PANAL_ASSIGN(auto version,
                 database_.run(what,
                               "SELECT version = $3 FROM versions WHERE image_id = $1 AND"
                               " version IN ($2, $3) ORDER BY 1",
                               {image_id, wanted.to, wanted.tag}));
    for (int row = 0; row < version.count(); ++row)
      if (version.flag(row, 0))
        return fail(EINVAL, name + ": the image has a version of that name; use another tag");
    if (version.empty())
      return fail(ENOENT,
                  "image " + printable(wanted.image) + " has no version " + printable(wanted.to));
    PANAL_TRY(database_.run(what,
                            "INSERT INTO image_tags (image_id, tag, version) VALUES ($1, $2, $3)"
                            " ON CONFLICT (image_id, tag) DO UPDATE SET version = excluded.version,"
                            " moved = now()",
                            {image_id, wanted.tag, wanted.to}));
    PANAL_TRY(database_.run(what,
                            "DELETE FROM tag_deadlines WHERE image_id = $1 AND tag = $2 AND"
                            " version = $3",
                            {image_id, wanted.tag, wanted.to}));
  }
  if (wanted.deadlines.any() && !wanted.to.empty())
    PANAL_TRY(database_.run(
        what,
        "INSERT INTO tag_deadlines (image_id, tag, version, soft, hard)"
        " SELECT image_id, $2, version, now() + make_interval(secs => $4),"
        " now() + make_interval(secs => $5) FROM versions WHERE image_id = $1 AND version <> $3"
        " ON CONFLICT (image_id, tag, version) DO UPDATE SET soft = excluded.soft,"
        " hard = excluded.hard",
        {image_id, wanted.tag, wanted.to, seconds_of(wanted.deadlines.soft),
         seconds_of(wanted.deadlines.hard)}));
  PANAL_TRY(audit(wanted.actor, "image." + std::string(to_string(wanted.kind)),
                  wanted.image + ":" + wanted.tag, described(wanted)));
  return transaction.commit();
}

Result<std::vector<TagMove>> PgStore::tag_moves(const std::string& image, const std::string& tag) {
  PANAL_ASSIGN(auto rows,
               database_.run("read the tags' history",
                             "SELECT to_char(at AT TIME ZONE 'UTC',"
                             " 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), actor, how, image, tag,"
                             " coalesce(from_version, ''), coalesce(to_version, '')"
                             " FROM tag_moves WHERE image = $1 AND ($2 = '' OR tag = $2)"
                             " ORDER BY id",
                             {image, tag}));
  std::vector<TagMove> moves;
  for (int row = 0; row < rows.count(); ++row) {
    PANAL_ASSIGN(const TagMoveKind kind, parse_tag_move_kind(rows.text(row, 2)));
    moves.push_back({rows.text(row, 0), rows.text(row, 1), kind, rows.text(row, 3),
                     rows.text(row, 4), rows.text(row, 5), rows.text(row, 6)});
  }
  return moves;
}

}  // namespace panal::store
