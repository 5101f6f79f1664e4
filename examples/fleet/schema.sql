-- Tables and views for the messages of a fleet of ferds, for PostgreSQL 13 and newer. Run it again after an upgrade:
--   psql -v ON_ERROR_STOP=1 -f schema.sql ferd
-- The only entry is ferd.store(topic, payload). It is idempotent: a message that is delivered twice is stored once.
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE SCHEMA IF NOT EXISTS ferd;

-- One row for each message on .../event. The time is part of the key because TimescaleDB requires it.
CREATE TABLE IF NOT EXISTS ferd.event (
    id text NOT NULL,
    at timestamptz NOT NULL,
    site text NOT NULL,
    node text NOT NULL,
    camera text NOT NULL,
    event_type text NOT NULL,
    track integer,
    from_expression text,
    to_expression text,
    confidence real,
    held_s double precision CHECK (held_s >= 0),
    name text,
    level text,
    reason text,
    cause text,
    gesture text,
    late boolean NOT NULL,
    PRIMARY KEY (id, at)
);
CREATE INDEX IF NOT EXISTS event_by_type ON ferd.event (event_type, at);
CREATE INDEX IF NOT EXISTS event_of_alert ON ferd.event (site, node, camera, name, at) WHERE name IS NOT NULL;

-- Seconds of each expression in each hour, added up as the events arrive: an answer reads these rows, not all events, and
-- they may stay when the events are deleted (ferd.forget). An episode is divided among the hours that it touches.
CREATE TABLE IF NOT EXISTS ferd.expression_by_hour (
    site text NOT NULL,
    node text NOT NULL,
    hour timestamptz NOT NULL,
    expression text NOT NULL,
    seconds double precision NOT NULL,
    PRIMARY KEY (hour, site, node, expression)
);

-- One row for each health report: a report is identified by when ferd started and its uptime.
CREATE TABLE IF NOT EXISTS ferd.health (
    site text NOT NULL,
    node text NOT NULL,
    at timestamptz NOT NULL,
    started timestamptz NOT NULL,
    uptime_s integer NOT NULL,
    rss_mb real,
    temperature_c real,
    mqtt_reconnects integer,
    throttled text[],
    slowed boolean,
    cameras jsonb NOT NULL,
    PRIMARY KEY (site, node, at)
);

-- The present: one row for each node and camera. "seen" is the time of the newest event or health report, by the clock
-- of the node but never in the future. The last will of a dead node sets its status, not "seen".
CREATE TABLE IF NOT EXISTS ferd.node (
    site text NOT NULL,
    node text NOT NULL,
    status text CHECK (status IN ('online', 'offline')),
    seen timestamptz,
    version text,
    model text,
    PRIMARY KEY (site, node)
);
CREATE TABLE IF NOT EXISTS ferd.camera (
    site text NOT NULL,
    node text NOT NULL,
    camera text NOT NULL,
    status text NOT NULL CHECK (status IN ('online', 'offline', 'disabled')),
    PRIMARY KEY (site, node, camera)
);

-- TimescaleDB, where this database has it: partitions by time, so that deleting old data is cheap.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        PERFORM create_hypertable('ferd.event', 'at', if_not_exists => true, migrate_data => true);
        PERFORM create_hypertable('ferd.health', 'at', if_not_exists => true, migrate_data => true);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION ferd.note_seen(its_site text, its_node text, t timestamptz) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO ferd.node AS n (site, node, seen) VALUES (its_site, its_node, least(t, now()))
    ON CONFLICT (site, node) DO UPDATE SET seen = greatest(n.seen, excluded.seen)
$$;

-- Add an episode that ended at t.
CREATE OR REPLACE FUNCTION ferd.add_episode(
    its_site text, its_node text, its_expression text, t timestamptz, held_s double precision
) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO ferd.expression_by_hour AS e
    SELECT its_site, its_node, h, its_expression,
           extract(epoch FROM least(t, h + interval '1 hour') - greatest(t - make_interval(secs => held_s), h))
    FROM generate_series(date_trunc('hour', t - make_interval(secs => held_s)), t, interval '1 hour') AS h
    WHERE h < t
    ON CONFLICT (hour, site, node, expression) DO UPDATE SET seconds = e.seconds + excluded.seconds
$$;

-- Store one message. A bridge puts the name of the site in front of the topic (SITE/ferd/NODE/...); "own_site" is the
-- site of the topics without one. Other topics are ignored; a payload that is not as docs/mqtt.md says is an error.
CREATE OR REPLACE FUNCTION ferd.store(topic text, payload text, own_site text DEFAULT 'home') RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    level text[] := string_to_array(topic, '/');
    its_site text := own_site;
    p jsonb;
    t timestamptz;
BEGIN
    IF level[1] <> 'ferd' THEN
        its_site := level[1];
        level := level[2:];
    END IF;
    IF level[1] IS DISTINCT FROM 'ferd' THEN
        RETURN;
    END IF;
    CASE
    WHEN array_length(level, 1) = 4 AND level[4] = 'event' THEN
        p := payload;
        t := p->>'at';
        INSERT INTO ferd.event VALUES (
            p->>'id', t, its_site, level[2], level[3], p->>'event_type', (p->>'track')::integer, p->>'from', p->>'to',
            (p->>'confidence')::real, (p->>'held_s')::double precision, p->>'name', p->>'level', p->>'reason',
            p->>'cause', p->>'gesture', coalesce((p->>'late')::boolean, false)
        ) ON CONFLICT DO NOTHING;
        IF FOUND AND p->>'event_type' = 'expression_changed' AND p->>'from' IS NOT NULL AND p->>'held_s' IS NOT NULL THEN
            PERFORM ferd.add_episode(its_site, level[2], p->>'from', t, (p->>'held_s')::double precision);
        END IF;
        PERFORM ferd.note_seen(its_site, level[2], t);
    WHEN array_length(level, 1) = 3 AND level[3] = 'health' AND payload <> '' THEN
        p := payload;
        t := (p->>'started')::timestamptz + make_interval(secs => (p->>'uptime_s')::integer);
        INSERT INTO ferd.health VALUES (
            its_site, level[2], t, (p->>'started')::timestamptz, (p->>'uptime_s')::integer, (p->>'rss_mb')::real,
            (p->>'temperature_c')::real, (p->>'mqtt_reconnects')::integer,
            CASE WHEN p->'throttled' <> 'null' THEN ARRAY(SELECT jsonb_array_elements_text(p->'throttled')) END,
            (p->>'slowed')::boolean,
            coalesce(p->'cameras', '{}')
        ) ON CONFLICT DO NOTHING;
        PERFORM ferd.note_seen(its_site, level[2], t);
    WHEN array_length(level, 1) = 3 AND level[3] = 'info' AND payload <> '' THEN
        p := payload;
        INSERT INTO ferd.node AS n (site, node, version, model) VALUES (its_site, level[2], p->>'version', p->>'model')
        ON CONFLICT (site, node) DO UPDATE SET version = excluded.version, model = excluded.model;
    -- An empty status means that the node was taken out of service (`ferd mqtt purge`): it is not silent but gone.
    WHEN array_length(level, 1) = 3 AND level[3] = 'status' AND payload = '' THEN
        DELETE FROM ferd.camera AS c WHERE c.site = its_site AND c.node = level[2];
        DELETE FROM ferd.node AS n WHERE n.site = its_site AND n.node = level[2];
    WHEN array_length(level, 1) = 3 AND level[3] = 'status' THEN
        INSERT INTO ferd.node AS n (site, node, status) VALUES (its_site, level[2], payload)
        ON CONFLICT (site, node) DO UPDATE SET status = excluded.status;
    WHEN array_length(level, 1) = 4 AND level[4] = 'status' AND payload = '' THEN
        DELETE FROM ferd.camera AS c WHERE c.site = its_site AND c.node = level[2] AND c.camera = level[3];
    WHEN array_length(level, 1) = 4 AND level[4] = 'status' THEN
        INSERT INTO ferd.camera AS c VALUES (its_site, level[2], level[3], payload)
        ON CONFLICT (site, node, camera) DO UPDATE SET status = excluded.status;
    ELSE
        NULL;
    END CASE;
END $$;

-- Delete what is older, such as ferd.forget('90 days'). Readings of people are kept no longer than they are needed.
CREATE OR REPLACE FUNCTION ferd.forget(older_than interval) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM ferd.event WHERE at < now() - older_than;
    DELETE FROM ferd.health WHERE at < now() - older_than;
$$;

-- For how long the main face kept an expression; NULL while nobody, or no clear expression, was seen. An expression that
-- still lasts is not there yet.
CREATE OR REPLACE VIEW ferd.expression_episode AS
SELECT site, node, camera, track, from_expression AS expression, at - make_interval(secs => held_s) AS began,
       at AS ended, held_s AS seconds
FROM ferd.event
WHERE event_type = 'expression_changed' AND held_s IS NOT NULL;

-- Share of smiling: of the time with a clear expression.
CREATE OR REPLACE VIEW ferd.smiling_by_hour AS
SELECT site, hour, sum(seconds) AS seen_s, coalesce(sum(seconds) FILTER (WHERE expression = 'happiness'), 0) AS smiling_s,
       coalesce(sum(seconds) FILTER (WHERE expression = 'happiness'), 0) / nullif(sum(seconds), 0) AS share
FROM ferd.expression_by_hour
GROUP BY site, hour;

-- Alerts with their beginning and end. The end of an alert is missing while it lasts, or if ferd died meanwhile: then
-- the next one of the same name begins without an end before it.
CREATE OR REPLACE VIEW ferd.alert AS
SELECT b.site, b.node, b.camera, b.name, coalesce(e.level, b.level) AS level, coalesce(e.reason, b.reason) AS reason,
       b.at AS began, e.at AS ended, e.held_s AS seconds, e.cause, e.at IS NULL AND b.next_began IS NULL AS active
FROM (
    SELECT *, lead(at) OVER (PARTITION BY site, node, camera, name ORDER BY at) AS next_began
    FROM ferd.event WHERE event_type = 'alert_began'
) AS b
LEFT JOIN LATERAL (
    SELECT * FROM ferd.event AS e
    WHERE e.event_type = 'alert_ended' AND e.site = b.site AND e.node = b.node AND e.camera = b.camera
      AND e.name = b.name AND e.at >= b.at AND (b.next_began IS NULL OR e.at <= b.next_began)
    ORDER BY e.at LIMIT 1
) AS e ON true;

CREATE OR REPLACE VIEW ferd.alerts_by_site AS
SELECT site, date_trunc('day', began) AS day, name, level, count(*) AS alerts, count(*) FILTER (WHERE active) AS active,
       max(seconds) AS longest_s
FROM ferd.alert
GROUP BY site, day, name, level;

-- Nodes, those that were silent for longest first: WHERE silent_for > interval '5 minutes'. A ferd reports its health
-- once a minute.
CREATE OR REPLACE VIEW ferd.node_silence AS
SELECT site, node, status, version, seen, now() - seen AS silent_for
FROM ferd.node
ORDER BY seen NULLS FIRST;
COMMIT;
