-- The hash of each position's leaf, packed: 32 bytes each from the position `first` on. A row never
-- reaches over a multiple of 1024 positions.
CREATE TABLE leaf_hashes (
    first  bigint PRIMARY KEY,
    hashes bytea  NOT NULL
);
ALTER TABLE leaf_hashes ALTER COLUMN hashes SET STORAGE EXTERNAL; -- no hash can be compressed

-- The signed heads of the tree over these leaves.
CREATE TABLE seals (
    number    bigint PRIMARY KEY,
    size      bigint NOT NULL,
    root      bytea  NOT NULL,
    roots     bytea  NOT NULL, -- of its full subtrees, packed: the next seal goes on from them
    sealed_at bigint NOT NULL,
    key_id    text   COLLATE "C" NOT NULL,
    signature bytea  NOT NULL
);

CREATE FUNCTION refuse_to_change_seals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'seals are append-only: they are never changed or removed';
END $$;
CREATE TRIGGER leaf_hashes_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON leaf_hashes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_seals();
CREATE TRIGGER seals_are_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_seals();
