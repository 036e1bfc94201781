-- +goose Up
-- Frames are partitioned by day, so that forgetting a day is dropping a table. What is there stays in one partition until
-- all of it is past its retention.
-- +goose StatementBegin
DO $$
DECLARE
    -- Midnight UTC after the conversion, as Unix microseconds.
    edge BIGINT := (EXTRACT(EPOCH FROM date_trunc('day', now() AT TIME ZONE 'UTC') + INTERVAL '1 day') * 1000000)::BIGINT;
BEGIN
    ALTER TABLE frames RENAME TO frames_past;
    ALTER INDEX frames_pkey RENAME TO frames_past_pkey;
    CREATE TABLE frames (LIKE frames_past INCLUDING ALL) PARTITION BY RANGE (at);
    CREATE TABLE frames_default PARTITION OF frames DEFAULT;
    IF EXISTS (SELECT FROM frames_past) THEN
        WITH ahead AS (DELETE FROM frames_past WHERE at >= edge RETURNING *) INSERT INTO frames_default SELECT * FROM ahead;
        EXECUTE format('ALTER TABLE frames ATTACH PARTITION frames_past FOR VALUES FROM (MINVALUE) TO (%s)', edge);
    ELSE
        DROP TABLE frames_past;
    END IF;
END
$$;
-- +goose StatementEnd
