-- The tables that views are served from: disposable, rebuilt from the log at any time.
CREATE TABLE generations (
    view       text   COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    version    bigint NOT NULL, -- of the view's code that built it
    state      text   COLLATE "C" NOT NULL, -- building, live, retired
    until      bigint NOT NULL, -- the position up to which a rebuild reads
    ranges     bigint NOT NULL, -- into how many ranges of streams it cuts the log
    latest_at  bigint NOT NULL, -- the latest occurrence folded
    started_at bigint NOT NULL,
    built_at   bigint,
    PRIMARY KEY (view, generation)
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX generations_live ON generations (view) WHERE state = 'live';

-- Which ranges of streams an interrupted rebuild has behind it.
CREATE TABLE rebuilt_ranges (
    view       text   COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    number     bigint NOT NULL,
    PRIMARY KEY (view, generation, number)
);

-- Keys on whose touchpoints a fold failed: they wait, everything else goes on.
CREATE TABLE parked (
    view       text   COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    key        text   COLLATE "C" NOT NULL,
    streams    text   NOT NULL,
    position   bigint NOT NULL,
    error      text   NOT NULL,
    parked_at  bigint NOT NULL,
    PRIMARY KEY (view, generation, key)
);
