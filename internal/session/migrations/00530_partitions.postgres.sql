-- +goose Up
-- What stations report is partitioned by month of the station's time. What is there stays in one partition; times that
-- no partition is for, of stations whose clocks are wrong, go to the default one.
-- +goose StatementBegin
DO $$
DECLARE
    -- The first of the month after the conversion, UTC, as Unix microseconds.
    edge BIGINT := (EXTRACT(EPOCH FROM date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '1 month') * 1000000)::BIGINT;
    t TEXT;
    filled BOOLEAN;
BEGIN
    FOREACH t IN ARRAY ARRAY['session_events', 'meter_readings'] LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', t, t || '_past');
        EXECUTE format('ALTER INDEX %I RENAME TO %I', t || '_pkey', t || '_past_pkey');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (at)', t, t || '_past');
        EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', t || '_default', t);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', t || '_past') INTO filled;
        IF filled THEN
            EXECUTE format('WITH ahead AS (DELETE FROM %I WHERE at >= %s RETURNING *) INSERT INTO %I SELECT * FROM ahead',
                t || '_past', edge, t || '_default');
            EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%s)', t, t || '_past', edge);
        ELSE
            EXECUTE format('DROP TABLE %I', t || '_past');
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd
