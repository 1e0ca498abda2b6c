-- Which network policy the desktops of a tenant or an image, or one desktop, have. What a policy is says each
-- node's network.toml; here are names only, so that one that a node does not know allows nothing there.
CREATE TABLE net_assignments (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id bigint CONSTRAINT net_assignments_tenant_once UNIQUE REFERENCES tenants ON DELETE CASCADE,
  image_id bigint CONSTRAINT net_assignments_image_once UNIQUE REFERENCES images ON DELETE CASCADE,
  desktop_id bigint CONSTRAINT net_assignments_desktop_once UNIQUE REFERENCES desktops ON DELETE CASCADE,
  policy text NOT NULL
    CONSTRAINT net_assignments_policy_valid CHECK (policy ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
  CONSTRAINT net_assignments_to_one CHECK (num_nonnulls(tenant_id, image_id, desktop_id) = 1)
);

-- Each desktop's policy, and by what it has it: the closest counts.
CREATE VIEW desktop_net_policies AS
  SELECT d.id, d.name, t.name AS tenant, i.name AS image, coalesce(d.node, '') AS node,
         coalesce(of_d.policy, of_i.policy, of_t.policy, '') AS policy,
         CASE WHEN of_d.policy IS NOT NULL THEN 'desktop' WHEN of_i.policy IS NOT NULL THEN 'image'
              WHEN of_t.policy IS NOT NULL THEN 'tenant' ELSE '' END AS given_by
    FROM desktops d JOIN tenants t ON t.id = d.tenant_id JOIN images i ON i.id = d.image_id
    LEFT JOIN net_assignments of_d ON of_d.desktop_id = d.id
    LEFT JOIN net_assignments of_i ON of_i.image_id = d.image_id
    LEFT JOIN net_assignments of_t ON of_t.tenant_id = d.tenant_id;

-- The audit log's entry and the nodes' being woken are not the writer's duty: who reaches what cannot change
-- without either. Who changes it comes from the transaction's setting. Those that go with their tenant,
-- image or desktop are noted too, by number where the name is gone already.
CREATE FUNCTION note_net_assignment() RETURNS trigger LANGUAGE plpgsql
  SET search_path = public, pg_temp AS $$
DECLARE
  one net_assignments%ROWTYPE;
  former text := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE OLD.policy END;
  latter text := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE NEW.policy END;
  whose text;
  waking text;
BEGIN
  IF TG_OP = 'DELETE' THEN one := OLD; ELSE one := NEW; END IF;
  IF former IS NOT DISTINCT FROM latter THEN
    RETURN NULL;
  END IF;
  IF one.tenant_id IS NOT NULL THEN
    whose := 'tenant ' || coalesce((SELECT name FROM tenants WHERE id = one.tenant_id), one.tenant_id::text);
  ELSIF one.image_id IS NOT NULL THEN
    whose := 'image ' || coalesce((SELECT name FROM images WHERE id = one.image_id), one.image_id::text);
  ELSE
    whose := 'desktop ' || coalesce((SELECT t.name || '/' || d.name FROM desktops d
                                       JOIN tenants t ON t.id = d.tenant_id WHERE d.id = one.desktop_id),
                                    one.desktop_id::text);
  END IF;
  INSERT INTO audit_log (actor, action, object, detail)
    VALUES (coalesce(nullif(current_setting('panal.actor', true), ''), session_user::text), 'net.assign',
            whose, coalesce(former, '(nothing)') || ' -> ' || coalesce(latter, '(nothing)'));
  FOR waking IN SELECT DISTINCT node FROM desktops
      WHERE node IS NOT NULL
        AND (id = one.desktop_id OR image_id = one.image_id OR tenant_id = one.tenant_id) LOOP
    PERFORM pg_notify('panal_node_' || waking, 'net');
  END LOOP;
  RETURN NULL;
END
$$;
CREATE TRIGGER net_assignments_note AFTER INSERT OR UPDATE OR DELETE ON net_assignments
  FOR EACH ROW EXECUTE FUNCTION note_net_assignment();

GRANT SELECT, INSERT, UPDATE, DELETE ON net_assignments TO panal_admin;
GRANT SELECT ON desktop_net_policies TO panal_admin, panal_node;
