package archive

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// postgresSource reads a PostgreSQL database in one read-only transaction.
type postgresSource struct {
	conn     *pgx.Conn
	tx       pgx.Tx
	list     []Table
	versions []int64
}

func connect(ctx context.Context, address string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("parse the database URL: %w", err)
	}
	cfg.RuntimeParams["application_name"] = toolName
	return pgx.ConnectConfig(ctx, cfg)
}

// toolName tells the connections of this package from those of nodes, which call themselves "lumela".
const toolName = "lumela-archive"

func openPostgresSource(ctx context.Context, o ExportOptions) (_ source, err error) {
	s := &postgresSource{}
	if s.conn, err = connect(ctx, o.URL); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		return nil, err
	}
	tables, err := postgresTables(ctx, s.tx)
	if err != nil {
		return nil, err
	}
	s.list = slices.DeleteFunc(tables, func(t Table) bool { return left(t.Name, o.WithoutFrames) })
	rows, err := s.tx.Query(ctx, `SELECT DISTINCT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY 1`)
	if err == nil {
		s.versions, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this is no database of Lumela: %w", ErrRefused, err)
	}
	return s, nil
}

func (s *postgresSource) engine() string  { return "postgres" }
func (s *postgresSource) schema() []int64 { return s.versions }
func (s *postgresSource) tables() []Table { return s.list }

func (s *postgresSource) close() error { return s.conn.Close(context.Background()) }

func (s *postgresSource) each(ctx context.Context, t *Table, use func(values []any) error) error {
	rows, err := s.tx.Query(ctx, selectAll(t))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		for i, v := range values {
			switch v := v.(type) {
			case int16:
				values[i] = int64(v)
			case int32:
				values[i] = int64(v)
			}
		}
		if err := use(values); err != nil {
			return err
		}
	}
	return rows.Err()
}

// postgresTables reads the server's catalogue: the tables of the current schema, of partitioned ones the parent alone. A
// column that is filled with the server's own transaction numbers means nothing elsewhere: it is left out, and an import
// into a server fills it anew.
func postgresTables(ctx context.Context, tx pgx.Tx) ([]Table, error) {
	rows, err := tx.Query(ctx, `SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL),
		ARRAY(SELECT k.attname::text FROM pg_index i, unnest(i.indkey::int[]) WITH ORDINALITY AS o (num, pos), pg_attribute k
			WHERE i.indrelid = c.oid AND i.indisprimary AND k.attrelid = c.oid AND k.attnum = o.num ORDER BY o.pos),
		ARRAY(SELECT DISTINCT r.relname::text FROM pg_constraint f JOIN pg_class r ON r.oid = f.confrelid
			WHERE f.conrelid = c.oid AND f.contype = 'f' AND NOT r.relispartition)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
			LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE COALESCE(pg_get_expr(d.adbin, d.adrelid), '') NOT LIKE '%pg\_current\_%' AND n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND c.relname <> $1 ORDER BY c.relname, a.attnum`, gooseTable)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Table
	for rows.Next() {
		var t Table
		var c Column
		var typ string
		if err := rows.Scan(&t.Name, &c.Name, &typ, &t.Key, &t.refers); err != nil {
			return nil, err
		}
		if c.Kind, err = kindOf(typ); err != nil {
			return nil, fmt.Errorf("table %s: column %s: %w", t.Name, c.Name, err)
		}
		if n := len(out); n == 0 || out[n-1].Name != t.Name {
			out = append(out, t)
		}
		last := &out[len(out)-1]
		last.Columns = append(last.Columns, c)
	}
	return out, rows.Err()
}

// postgresLoader fills the tables of a schema that nobody else uses yet, in one transaction.
type postgresLoader struct {
	conn   *pgx.Conn
	tx     pgx.Tx
	known  []Table
	mended int64
}

func openPostgresLoader(ctx context.Context, address string) (_ *postgresLoader, err error) {
	l := &postgresLoader{}
	if l.conn, err = connect(ctx, address); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.tx, err = l.conn.Begin(ctx); err != nil {
		return nil, err
	}
	if l.known, err = postgresTables(ctx, l.tx); err != nil {
		return nil, err
	}
	for _, t := range l.known { // what migrations put there is in the archive
		if _, err := l.tx.Exec(ctx, `TRUNCATE `+quote(t.Name)+` CASCADE`); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *postgresLoader) table(name string) (Table, bool) {
	i := slices.IndexFunc(l.known, func(t Table) bool { return t.Name == name })
	if i < 0 {
		return Table{}, false
	}
	return l.known[i], true
}

func (l *postgresLoader) load(ctx context.Context, t *Table, next func() ([]any, error)) error {
	_, err := l.tx.CopyFrom(ctx, pgx.Identifier{t.Name}, t.columnNames(), pgx.CopyFromFunc(func() ([]any, error) {
		values, err := next()
		for i, v := range values {
			if s, ok := v.(string); ok && t.Columns[i].Kind == Text {
				values[i] = l.storable(s)
			}
		}
		return values, err
	}))
	return err
}

// storable replaces what PostgreSQL takes in no text, NUL and broken UTF-8, and counts it.
func (l *postgresLoader) storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	l.mended++
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", string(utf8.RuneError)), string(utf8.RuneError))
}

// finish sets what counts rows to go on after those that have come, and commits.
func (l *postgresLoader) finish(ctx context.Context) error {
	for _, t := range l.known {
		for _, c := range t.Columns {
			if c.Kind != Int {
				continue
			}
			_, err := l.tx.Exec(ctx, `SELECT setval(s::regclass, m) FROM pg_get_serial_sequence($1, $2) AS s,
				(SELECT MAX(`+quote(c.Name)+`) AS m FROM `+quote(t.Name)+`) AS x WHERE s IS NOT NULL AND m IS NOT NULL`, quote(t.Name), c.Name)
			if err != nil {
				return fmt.Errorf("set the sequence of %s.%s: %w", t.Name, c.Name, err)
			}
		}
	}
	return l.tx.Commit(ctx)
}

func (l *postgresLoader) close() error { return l.conn.Close(context.Background()) }

// stagingSchema is where an import puts tables together, beside the place where they belong.
const stagingSchema = "lumela_import"

// withSearchPath is the same database, seen from another schema by a tool.
func withSearchPath(address, schema string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the database URL cannot be read") // the parser's error would show the password
	}
	q := u.Query()
	q.Set("search_path", schema)
	q.Set("application_name", toolName)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// placePostgres makes the staged tables those of the database, all at the same moment. Those of the same names that were
// there before go to a schema of their own, which is told.
func placePostgres(ctx context.Context, conn *pgx.Conn, home string) (aside string, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after the commit it does nothing
	moving, err := movable(ctx, tx, stagingSchema, stagingSchema)
	if err != nil {
		return "", err
	}
	old, err := movable(ctx, tx, home, stagingSchema)
	if err != nil {
		return "", err
	}
	if len(old) > 0 {
		aside = "before_import_" + strings.ReplaceAll(time.Now().UTC().Format("20060102t150405.000000"), ".", "_")
		if err := run(ctx, tx, append([]string{`CREATE SCHEMA ` + quote(aside)}, moves(old, aside)...)); err != nil {
			return "", fmt.Errorf("keep the old tables aside: %w", err)
		}
	}
	if err := run(ctx, tx, append(moves(moving, home), `DROP SCHEMA `+quote(stagingSchema))); err != nil {
		return "", fmt.Errorf("put the tables in their place: %w", err)
	}
	return aside, tx.Commit(ctx)
}

func run(ctx context.Context, tx pgx.Tx, texts []string) error {
	for _, text := range texts {
		if _, err := tx.Exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func moves(alter []string, to string) []string {
	out := make([]string, len(alter))
	for i, a := range alter {
		out[i] = a + ` SET SCHEMA ` + quote(to)
	}
	return out
}

// movable are the beginnings of ALTER statements for all in schema that has the name of something in the schema like, and
// for the partitions of such tables. Indexes and sequences of columns go with their tables.
func movable(ctx context.Context, tx pgx.Tx, schema, like string) ([]string, error) {
	rows, err := tx.Query(ctx, `WITH RECURSIVE named AS (
			SELECT c.oid FROM pg_class c WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
			AND EXISTS (SELECT FROM pg_class l WHERE l.relnamespace = to_regnamespace($2) AND l.relname = c.relname)
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN named ON named.oid = i.inhparent)
		SELECT 'ALTER ' || CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' WHEN 'v' THEN 'VIEW ' WHEN 'm' THEN 'MATERIALIZED VIEW ' ELSE 'TABLE ' END
			|| format('%I.%I', n.nspname, c.relname)
		FROM named JOIN pg_class c ON c.oid = named.oid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.oid = to_regnamespace($1)
		AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
		UNION ALL
		SELECT 'ALTER ROUTINE ' || format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
		FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.oid = to_regnamespace($1)
		AND EXISTS (SELECT FROM pg_proc l WHERE l.pronamespace = to_regnamespace($2) AND l.proname = p.proname
			AND pg_get_function_identity_arguments(l.oid) = pg_get_function_identity_arguments(p.oid))
		ORDER BY 1`, quote(schema), quote(like))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// vacantPostgres refuses a database that nodes use, and one with tables of Lumela that hold rows unless that is allowed.
func vacantPostgres(ctx context.Context, conn *pgx.Conn, force bool) error {
	var nodes int
	if err := conn.QueryRow(ctx, `SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'lumela'`).Scan(&nodes); err != nil {
		return err
	}
	if nodes > 0 {
		return fmt.Errorf("%w: nodes use this database (%d connections): stop them first", ErrRefused, nodes)
	}
	if force {
		return nil
	}
	var used bool
	if err := conn.QueryRow(ctx, `SELECT to_regclass('organisations') IS NOT NULL`).Scan(&used); err != nil {
		return err
	}
	if used {
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM organisations)`).Scan(&used); err != nil {
			return err
		}
	}
	if used {
		return fmt.Errorf("%w: the database holds an installation of Lumela already; --force keeps its tables aside", ErrRefused)
	}
	return nil
}
