-- Whose memory may be merged with whose (KSM): desktops of one tenant and one trust level form a merge
-- domain. Whether a tenant takes part at all under a profile that asks (enlist = "consent") is its own
-- decision, so the answer is no until an operator writes down another one. The rights of the first
-- schema cover both columns: panal_admin writes, panal_node and panal_broker read.
ALTER TABLE tenants ADD share_memory boolean NOT NULL DEFAULT false;
ALTER TABLE users ADD trust text NOT NULL DEFAULT 'standard'
  CONSTRAINT users_trust_valid CHECK (trust ~ '^[a-z0-9][a-z0-9_-]{0,31}$');

CREATE OR REPLACE VIEW user_records WITH (security_barrier) AS
  SELECT u.id, t.name AS tenant, u.login,
         CASE WHEN has_table_privilege(current_user, 'passwords', 'SELECT')
              THEN coalesce(p.hash, '') ELSE '' END AS hash,
         u.uid, u.gid, u.groups, u.shell, u.lang, u.timezone, u.keyboard, u.blocked, u.trust
    FROM users u JOIN tenants t ON t.id = u.tenant_id LEFT JOIN passwords p ON p.user_id = u.id;

CREATE OR REPLACE VIEW desktop_records AS
  SELECT d.id, t.name AS tenant, u.login, d.name, i.name AS image, coalesce(d.version, '') AS version,
         d.persistent, d.home, coalesce(d.node, '') AS node, d.desired, d.observed, d.reason,
         coalesce(d.running_version, '') AS running_version, d.id_slot, d.session_state, d.idle_ms,
         to_char(d.changed AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS changed,
         d.generation, d.claimed_generation, u.trust, t.share_memory
    FROM desktops d JOIN tenants t ON t.id = d.tenant_id JOIN users u ON u.id = d.user_id
    JOIN images i ON i.id = d.image_id;
