-- The first schema. Every statement about rights is here, so that one page answers "who may do what":
--   panal_admin   the CLI: everything but changing history
--   panal_node    panald: reads, writes what it observes and its own node row
--   panal_broker  the HTTPS front, the program most likely to be taken over: reads; may ask for a
--                 desktop to run or stop, open sessions and append to the audit log; nothing else
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['panal_admin', 'panal_node', 'panal_broker'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      EXECUTE format('CREATE ROLE %I LOGIN', wanted);
    END IF;
  END LOOP;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO panal_admin, panal_node, panal_broker',
                 current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO panal_admin, panal_node, panal_broker;
GRANT SELECT ON schema_migrations TO panal_admin, panal_node, panal_broker;

CREATE TABLE tenants (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CONSTRAINT tenants_name_unique UNIQUE
    CONSTRAINT tenants_name_valid CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
  created timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenants (name) VALUES ('default');

-- uid and gid are canonical, as inside desktops: below 65534, because a desktop has 65,536 ids.
CREATE TABLE users (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id bigint NOT NULL REFERENCES tenants,
  login text NOT NULL
    CONSTRAINT users_login_valid CHECK (login ~ '^[a-z_][a-z0-9_.-]{0,31}$'),
  uid integer NOT NULL CONSTRAINT users_uid_valid CHECK (uid BETWEEN 1000 AND 65533),
  gid integer NOT NULL CONSTRAINT users_gid_valid CHECK (gid BETWEEN 1 AND 65533),
  groups text NOT NULL DEFAULT ''
    CONSTRAINT users_groups_valid CHECK (groups ~ '^([a-z_][a-z0-9_-]{0,31}:[0-9]{1,5}( |$))*$'),
  shell text NOT NULL DEFAULT '/bin/bash',
  lang text NOT NULL DEFAULT 'C.UTF-8',
  timezone text NOT NULL DEFAULT 'Etc/UTC',
  keyboard text NOT NULL DEFAULT 'pc105/us',
  blocked boolean NOT NULL DEFAULT false,
  created timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT users_login_unique UNIQUE (tenant_id, login),
  CONSTRAINT users_uid_unique UNIQUE (tenant_id, uid),
  UNIQUE (id, tenant_id)
);

-- Apart from users, so that a node can read whom a desktop is for without reading hashes.
CREATE TABLE passwords (
  user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  hash text NOT NULL CHECK (length(hash) BETWEEN 1 AND 512),
  changed timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE images (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CONSTRAINT images_name_unique UNIQUE
    CONSTRAINT images_name_valid CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,63}$'),
  description text NOT NULL DEFAULT '',
  default_version text
);

CREATE TABLE versions (
  image_id bigint NOT NULL REFERENCES images ON DELETE CASCADE,
  version text NOT NULL
    CONSTRAINT versions_version_valid CHECK (version ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  recipe_digest text NOT NULL DEFAULT '',
  session text[] NOT NULL,
  browser_sandbox boolean NOT NULL DEFAULT false,
  size_bytes bigint NOT NULL DEFAULT 0,
  created timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (image_id, version)
);
ALTER TABLE images ADD CONSTRAINT images_default_version_exists
  FOREIGN KEY (id, default_version) REFERENCES versions (image_id, version)
  DEFERRABLE INITIALLY DEFERRED;

-- A node's name is part of its channel's name (63 bytes at most).
CREATE TABLE nodes (
  name text PRIMARY KEY CONSTRAINT nodes_name_valid CHECK (length(name) BETWEEN 1 AND 48),
  version text NOT NULL,
  pid bigint NOT NULL,
  started timestamptz NOT NULL DEFAULT now(),
  seen timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE desktops (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id bigint NOT NULL,
  user_id bigint NOT NULL,
  name text NOT NULL CONSTRAINT desktops_name_valid CHECK (length(name) BETWEEN 1 AND 64),
  image_id bigint NOT NULL REFERENCES images,
  version text,
  persistent boolean NOT NULL DEFAULT false,
  home text NOT NULL
    CONSTRAINT desktops_home_valid CHECK (home ~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$'),
  -- wanted
  desired text NOT NULL DEFAULT 'stopped' CHECK (desired IN ('stopped', 'running')),
  node text REFERENCES nodes,
  generation bigint NOT NULL DEFAULT 0,
  -- seen
  observed text NOT NULL DEFAULT 'stopped' CHECK (observed IN
    ('stopped', 'composing', 'starting', 'running', 'stopping', 'failed')),
  reason text NOT NULL DEFAULT '',
  running_version text,
  id_slot integer CHECK (id_slot >= 0),
  claimed_generation bigint NOT NULL DEFAULT 0,
  session_state text NOT NULL DEFAULT 'none' CHECK (session_state IN ('none', 'starting',
    'listening', 'connected', 'suspending', 'suspended', 'resuming', 'ended')),
  idle_ms bigint NOT NULL DEFAULT 0 CHECK (idle_ms >= 0),
  changed timestamptz NOT NULL DEFAULT now(),
  created timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT desktops_name_unique UNIQUE (tenant_id, name),
  CONSTRAINT desktops_user_exists FOREIGN KEY (user_id, tenant_id)
    REFERENCES users (id, tenant_id),
  CONSTRAINT desktops_version_exists FOREIGN KEY (image_id, version) REFERENCES versions,
  CONSTRAINT desktops_running_version_exists FOREIGN KEY (image_id, running_version)
    REFERENCES versions
);
-- A home has one writer; a node's id range has one desktop.
CREATE UNIQUE INDEX desktops_home_once ON desktops (tenant_id, home)
  WHERE observed IN ('composing', 'starting', 'running', 'stopping');
CREATE UNIQUE INDEX desktops_slot_once ON desktops (node, id_slot) WHERE id_slot IS NOT NULL;
CREATE INDEX desktops_of_node ON desktops (node);
CREATE INDEX desktops_of_user ON desktops (user_id);

-- History: no foreign keys, a removed desktop's sessions stay readable.
CREATE TABLE sessions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  desktop_id bigint NOT NULL,
  desktop_name text NOT NULL,
  tenant text NOT NULL,
  login text NOT NULL,
  client_address text NOT NULL,
  client_kind text NOT NULL,
  started timestamptz NOT NULL DEFAULT now(),
  ended timestamptz,
  bytes_up bigint NOT NULL DEFAULT 0,
  bytes_down bigint NOT NULL DEFAULT 0,
  end_reason text NOT NULL DEFAULT ''
);
CREATE INDEX sessions_of_desktop ON sessions (desktop_id);

-- Appended to, never changed: nobody has UPDATE or DELETE. db_role is not the writer's to choose.
CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT now(),
  db_role text NOT NULL DEFAULT session_user,
  actor text NOT NULL,
  action text NOT NULL,
  object text NOT NULL DEFAULT '',
  detail text NOT NULL DEFAULT ''
);

-- The hash only for roles that may read passwords (the others get ''). A view runs with its owner's
-- rights on the tables but has_table_privilege() asks about the caller.
CREATE VIEW user_records WITH (security_barrier) AS
  SELECT u.id, t.name AS tenant, u.login,
         CASE WHEN has_table_privilege(current_user, 'passwords', 'SELECT')
              THEN coalesce(p.hash, '') ELSE '' END AS hash,
         u.uid, u.gid, u.groups, u.shell, u.lang, u.timezone, u.keyboard, u.blocked
    FROM users u JOIN tenants t ON t.id = u.tenant_id LEFT JOIN passwords p ON p.user_id = u.id;

CREATE VIEW desktop_records AS
  SELECT d.id, t.name AS tenant, u.login, d.name, i.name AS image, coalesce(d.version, '') AS version,
         d.persistent, d.home, coalesce(d.node, '') AS node, d.desired, d.observed, d.reason,
         coalesce(d.running_version, '') AS running_version, d.id_slot, d.session_state, d.idle_ms,
         to_char(d.changed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed,
         d.generation, d.claimed_generation
    FROM desktops d JOIN tenants t ON t.id = d.tenant_id JOIN users u ON u.id = d.user_id
    JOIN images i ON i.id = d.image_id;

-- A trigger rather than each writer's duty: nobody can forget to wake the node.
CREATE FUNCTION notify_desktop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.node IS NOT NULL AND (TG_OP = 'INSERT' OR NEW.desired <> OLD.desired
      OR NEW.generation <> OLD.generation OR NEW.node IS DISTINCT FROM OLD.node) THEN
    PERFORM pg_notify('panal_node_' || NEW.node, NEW.id::text);
  END IF;
  IF TG_OP = 'INSERT' OR NEW.observed <> OLD.observed OR NEW.reason <> OLD.reason THEN
    PERFORM pg_notify('panal_desktop', NEW.id::text);
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER desktops_notify AFTER INSERT OR UPDATE ON desktops
  FOR EACH ROW EXECUTE FUNCTION notify_desktop();

GRANT SELECT, INSERT, UPDATE, DELETE
  ON tenants, users, passwords, images, versions, nodes, desktops, sessions TO panal_admin;
GRANT SELECT ON user_records, desktop_records TO panal_admin, panal_node, panal_broker;
GRANT SELECT ON audit_log TO panal_admin;
GRANT INSERT (actor, action, object, detail) ON audit_log
  TO panal_admin, panal_node, panal_broker;

GRANT SELECT ON tenants, users, images, versions, nodes, desktops TO panal_node, panal_broker;

GRANT INSERT, UPDATE ON nodes TO panal_node;
GRANT UPDATE (observed, reason, running_version, id_slot, claimed_generation, session_state,
              idle_ms, changed) ON desktops TO panal_node;

GRANT SELECT ON passwords, sessions TO panal_broker;
GRANT UPDATE (desired, node, generation) ON desktops TO panal_broker;
GRANT INSERT (desktop_id, desktop_name, tenant, login, client_address, client_kind) ON sessions
  TO panal_broker;
GRANT UPDATE (ended, bytes_up, bytes_down, end_reason) ON sessions TO panal_broker;
