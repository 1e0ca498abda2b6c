-- Versions as commits, and the tags that move over them. Tags are the farm's one shared state: they are
-- here and nowhere else. `head` is the newest version; `default` is what new starts take; others are the
-- operators' own. A desktop follows `default`, or a tag that it names, or keeps to one version.
ALTER TABLE versions
  -- The commit's checksum, the same on all nodes; '' for one that was never committed.
  ADD commit text NOT NULL DEFAULT ''
    CONSTRAINT versions_commit_valid CHECK (commit ~ '^([0-9a-f]{64})?$'),
  ADD message text NOT NULL DEFAULT '' CONSTRAINT versions_message_valid CHECK (length(message) <= 4096),
  ADD author text NOT NULL DEFAULT '' CONSTRAINT versions_author_valid CHECK (length(author) <= 256);

CREATE TABLE image_tags (
  image_id bigint NOT NULL REFERENCES images ON DELETE CASCADE,
  tag text NOT NULL CONSTRAINT image_tags_tag_valid CHECK (tag ~ '^[a-z][a-z0-9._-]{0,31}$'),
  version text NOT NULL,
  moved timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (image_id, tag),
  CONSTRAINT image_tags_version_exists FOREIGN KEY (image_id, version) REFERENCES versions
);

-- History: no foreign keys, and nobody may change it. Rolling back reads it.
CREATE TABLE tag_moves (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  db_role text NOT NULL DEFAULT session_user,
  actor text NOT NULL,
  how text NOT NULL
    CHECK (how IN ('commit', 'publish', 'rollback', 'tag', 'untag', 'remove')),
  image text NOT NULL,
  tag text NOT NULL,
  from_version text,
  to_version text
);
CREATE INDEX tag_moves_of_tag ON tag_moves (image, tag);

-- A trigger with its owner's rights rather than each writer's duty: a move that is not written down
-- cannot be made, and who may move tags still cannot write history. Who and how come from the
-- transaction's settings.
CREATE FUNCTION note_tag_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
DECLARE
  former text := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.version END;
  latter text := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE NEW.version END;
  whose bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.image_id ELSE NEW.image_id END;
  which text := CASE WHEN TG_OP = 'DELETE' THEN OLD.tag ELSE NEW.tag END;
BEGIN
  IF former IS NOT DISTINCT FROM latter THEN
    RETURN NULL;
  END IF;
  INSERT INTO tag_moves (actor, how, image, tag, from_version, to_version)
    VALUES (coalesce(nullif(current_setting('panal.actor', true), ''), session_user::text),
            coalesce(nullif(current_setting('panal.how', true), ''), 'tag'),
            coalesce((SELECT name FROM images WHERE id = whose), ''), which, former, latter);
  RETURN NULL;
END
$$;
CREATE TRIGGER image_tags_note AFTER INSERT OR UPDATE OR DELETE ON image_tags
  FOR EACH ROW EXECUTE FUNCTION note_tag_move();

-- Until when desktops that follow a tag may go on with a version that the tag has left: past `soft` they
-- are started again once nobody is connected, past `hard` in any case. By version and not by desktop: one
-- that is started with the old version in the very moment of a publication is not missed.
CREATE TABLE tag_deadlines (
  image_id bigint NOT NULL,
  tag text NOT NULL,
  version text NOT NULL,
  soft timestamptz,
  hard timestamptz,
  PRIMARY KEY (image_id, tag, version),
  FOREIGN KEY (image_id, tag) REFERENCES image_tags ON DELETE CASCADE,
  FOREIGN KEY (image_id, version) REFERENCES versions ON DELETE CASCADE,
  CONSTRAINT tag_deadlines_in_order CHECK (soft <= hard)
);

-- What was taken away, written down before anything is deleted: a node that finds such a version among its
-- own deletes it, whenever it looks. Without this, one that was removed and one that is not registered
-- yet could not be told apart.
CREATE TABLE removals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  image text NOT NULL,
  version text NOT NULL,
  commit text NOT NULL DEFAULT '',
  done_on text[] NOT NULL DEFAULT '{}',
  CONSTRAINT removals_once UNIQUE (image, version, commit)
);

SET LOCAL panal.actor = 'migration 0003';
SET LOCAL panal.how = 'commit';
INSERT INTO image_tags (image_id, tag, version)
  SELECT DISTINCT ON (image_id) image_id, 'head', version FROM versions
   ORDER BY image_id, created DESC, version DESC;
INSERT INTO image_tags (image_id, tag, version)
  SELECT id, 'default', default_version FROM images WHERE default_version IS NOT NULL;
ALTER TABLE images DROP COLUMN default_version;

ALTER TABLE desktops
  ADD tag text,
  ADD CONSTRAINT desktops_tag_exists FOREIGN KEY (image_id, tag) REFERENCES image_tags,
  ADD CONSTRAINT desktops_follow_one CHECK (version IS NULL OR tag IS NULL);

CREATE OR REPLACE VIEW desktop_records AS
  SELECT d.id, t.name AS tenant, u.login, d.name, i.name AS image, coalesce(d.version, '') AS version,
         d.persistent, d.home, coalesce(d.node, '') AS node, d.desired, d.observed, d.reason,
         coalesce(d.running_version, '') AS running_version, d.id_slot, d.session_state, d.idle_ms,
         to_char(d.changed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed,
         d.generation, d.claimed_generation, u.trust, t.share_memory,
         coalesce(d.tag, '') AS tag, coalesce(d.version, g.version, '') AS next_version,
         floor(extract(epoch FROM l.soft - now()) * 1000)::bigint AS soft_left_ms,
         floor(extract(epoch FROM l.hard - now()) * 1000)::bigint AS hard_left_ms
    FROM desktops d JOIN tenants t ON t.id = d.tenant_id JOIN users u ON u.id = d.user_id
    JOIN images i ON i.id = d.image_id
    LEFT JOIN image_tags g ON g.image_id = d.image_id AND g.tag = coalesce(d.tag, 'default')
    LEFT JOIN tag_deadlines l ON d.version IS NULL AND l.image_id = g.image_id AND l.tag = g.tag
         AND l.version = d.running_version AND l.version <> g.version;

GRANT SELECT, INSERT, UPDATE, DELETE ON image_tags, tag_deadlines TO panal_admin;
GRANT SELECT ON tag_moves TO panal_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON removals TO panal_admin;

GRANT SELECT ON image_tags TO panal_node, panal_broker;
GRANT SELECT, UPDATE (done_on) ON removals TO panal_node;
