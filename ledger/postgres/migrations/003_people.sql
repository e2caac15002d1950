-- Which subjects some fact holds to be one person, or states under one address or number; each
-- in both directions. The other end may be the token of an address, which is a subject as well.
CREATE TABLE ties (
    subject  text   COLLATE "C" NOT NULL,
    other    text   COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (subject, other, position)
);
INSERT INTO ties
SELECT convert_from(e.state, 'UTF8')::json ->> 'subject',
       convert_from(e.state, 'UTF8')::json #>> '{data,other}',
       g.position
FROM governing_facts AS g JOIN stored_events AS e ON e.notification_id = g.position
WHERE g.topic IN ('customer.linked.v1', 'customer.merged.v1')
UNION
SELECT s.subject, s.token, min(e.notification_id)
FROM search_tokens AS s JOIN stored_events AS e
    ON e.topic = 'customer.described.v1'
    AND convert_from(e.state, 'UTF8')::json ->> 'subject' = s.subject
GROUP BY s.subject, s.token;
INSERT INTO ties SELECT other, subject, position FROM ties ON CONFLICT DO NOTHING;

-- Whose keys are destroyed: nothing personal of these is ever recorded again.
CREATE TABLE erased_subjects (
    subject        text   COLLATE "C" PRIMARY KEY,
    certificate_id text   COLLATE "C" NOT NULL,
    erased_at      bigint NOT NULL
);

-- Who may come through the doors: the secret itself is told once and kept nowhere.
CREATE TABLE access_tokens (
    id         text   COLLATE "C" PRIMARY KEY,
    name       text   COLLATE "C" NOT NULL,
    role       text   COLLATE "C" NOT NULL,
    source     text   COLLATE "C" NOT NULL,
    digest     bytea  NOT NULL UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
