"""Roles with the least privileges that appending, reading and operating need.

None of them can change or remove a fact. Rows of the log can only be added, by writers; tables of
views, on which nothing depends, belong to operators.
"""

from psycopg.sql import SQL, Composed, Identifier, Literal

READER, WRITER, OPERATOR = "touchstone_reader", "touchstone_writer", "touchstone_operator"
_FACTS = (
    "stored_events, governing_facts, search_tokens, ties, erased_subjects, "
    "quarantine, quarantine_parts"
)
_SEALS = "leaf_hashes, seals"
_VIEWS = "generations, rebuilt_ranges, parked"
_STATEMENTS = (
    *(
        f"DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        for role in (READER, WRITER, OPERATOR)
    ),
    "GRANT {operator} TO CURRENT_USER",
    "GRANT USAGE ON SCHEMA {schema}, {keys} TO {reader}, {writer}, {operator}",
    # A wrapped key is of no use without the key file, which is not in the database.
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema}, {keys} TO {reader}, {writer}, {operator}",
    # Not access_tokens: who could add one would give himself any role.
    f"GRANT INSERT ON {_FACTS} TO {{writer}}",
    "GRANT INSERT ON ALL TABLES IN SCHEMA {keys} TO {writer}",
    "GRANT UPDATE ON head TO {writer}",
    # Enough to hold the lock of the writer, not to move the head.
    "GRANT UPDATE (one) ON head TO {operator}",
    "GRANT UPDATE ON quarantine TO {writer}, {operator}",
    "GRANT DELETE ON quarantine_parts TO {writer}, {operator}",
    "GRANT INSERT, UPDATE ON tracking TO {writer}, {operator}",
    "GRANT DELETE ON tracking TO {operator}",
    f"GRANT INSERT, UPDATE, DELETE ON {_VIEWS} TO {{operator}}",
    f"GRANT INSERT ON {_SEALS} TO {{operator}}",
    "GRANT CREATE ON SCHEMA {schema} TO {operator}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} "
    "GRANT SELECT ON TABLES TO {reader}, {writer}, {operator}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {operator} IN SCHEMA {schema} "
    "GRANT SELECT ON TABLES TO {reader}, {writer}",
    # The tables of views that are there already, and what analysts read them through.
    """DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT relname FROM pg_class JOIN generations
        ON relname IN (view || '_' || generation, view)
        WHERE relnamespace = {schema_name}::regnamespace LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO {operator}', name);
    END LOOP;
END $$""",
)


def role_statements(schema: str) -> list[Composed]:
    """What makes the roles and gives them what they need; it can be repeated."""
    names = {
        "schema": Identifier(schema),
        "schema_name": Literal(schema),
        "keys": Identifier(f"{schema}_keys"),
        "reader": Identifier(READER),
        "writer": Identifier(WRITER),
        "operator": Identifier(OPERATOR),
    }
    return [SQL(statement).format(**names) for statement in _STATEMENTS]
