-- Who has a home, anywhere in the farm. desktops_home_once keeps two running desktops of one database
-- apart; a lease also keeps apart what is not a desktop (backup, restore, deletion), names the node, and
-- may expire, so that a home is not lost with the machine that had it. Times are the database's: nodes'
-- clocks do not matter. expires 'infinity': only its holder, or an operator (`panal home unlock`), ends it.
CREATE TABLE home_leases (
  tenant_id bigint NOT NULL REFERENCES tenants,
  home text NOT NULL CONSTRAINT home_leases_home_valid CHECK (length(home) BETWEEN 1 AND 128),
  node text NOT NULL CONSTRAINT home_leases_node_valid CHECK (length(node) BETWEEN 1 AND 64),
  holder text NOT NULL CONSTRAINT home_leases_holder_valid CHECK (length(holder) BETWEEN 1 AND 64),
  -- A removed desktop holds nothing.
  desktop_id bigint REFERENCES desktops ON DELETE CASCADE,
  taken timestamptz NOT NULL DEFAULT now(),
  renewed timestamptz NOT NULL DEFAULT now(),
  expires timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, home)
);
CREATE INDEX home_leases_of_desktop ON home_leases (desktop_id);
CREATE INDEX home_leases_of_node ON home_leases (node);

GRANT SELECT, INSERT, UPDATE, DELETE ON home_leases TO panal_node, panal_admin;
