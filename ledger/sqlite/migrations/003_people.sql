-- Which subjects some fact holds to be one person, or states under one address or number; each
-- in both directions. The other end may be the token of an address, which is a subject as well.
CREATE TABLE ties (
    subject  TEXT    NOT NULL,
    other    TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (subject, other, position)
) STRICT, WITHOUT ROWID;
INSERT INTO ties
SELECT subject, other, position FROM (
    SELECT json_extract(CAST(e.state AS TEXT), '$.subject') AS subject,
           json_extract(CAST(e.state AS TEXT), '$.data.other') AS other,
           g.position AS position
    FROM governing_facts AS g JOIN stored_events AS e ON e.notification_id = g.position
    WHERE g.topic IN ('customer.linked.v1', 'customer.merged.v1')
    UNION
    SELECT s.subject, s.token, min(e.notification_id)
    FROM search_tokens AS s JOIN stored_events AS e
        ON e.topic = 'customer.described.v1'
        AND json_extract(CAST(e.state AS TEXT), '$.subject') = s.subject
    GROUP BY s.subject, s.token
);
INSERT INTO ties SELECT other, subject, position FROM ties WHERE true
ON CONFLICT DO NOTHING;

-- Whose keys are destroyed: nothing personal of these is ever recorded again.
CREATE TABLE erased_subjects (
    subject        TEXT    PRIMARY KEY,
    certificate_id TEXT    NOT NULL,
    erased_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who may come through the doors: the secret itself is told once and kept nowhere.
CREATE TABLE access_tokens (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
