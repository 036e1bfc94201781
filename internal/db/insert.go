package db

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// Insert is a plain insertion for [Tx.Append]. Make it once, as a package variable.
//
// The order in which rows of different Inserts arrive in the database is not the
// order of the calls, so appended tables should not refer to each other.
type Insert struct {
	table   string
	columns []string
	suffix  string
	text    string // one row, `$N` parameters
}

// NewInsert describes the insertion of rows into columns of table, whose names are
// taken as they are. suffix, such as "ON CONFLICT DO NOTHING", ends the statement; DO
// UPDATE fails on PostgreSQL when one transaction carries the same key twice.
// Columns of array types cannot be appended to.
func NewInsert(table string, columns []string, suffix string) *Insert {
	params := make([]string, len(columns))
	for i := range columns {
		params[i] = fmt.Sprintf("$%d", i+1)
	}
	return &Insert{
		table: table, columns: columns, suffix: suffix,
		text: strings.TrimSpace(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) %s",
			table, strings.Join(columns, ", "), strings.Join(params, ", "), suffix)),
	}
}

func (ins *Insert) countError(n int) error {
	return fmt.Errorf("append to %s: %d values for %d columns", ins.table, n, len(ins.columns))
}

// maxRows bounds the rows of one statement on PostgreSQL.
const maxRows = 8192

// flush inserts rows, all of one Insert.
func (c *committer) flush(ins *Insert, rows [][]any) error {
	if c.pg == nil {
		for _, args := range rows {
			if _, err := c.exec(ins.text, args); err != nil {
				return fmt.Errorf("append to %s: %w", ins.table, err)
			}
		}
		return nil
	}
	text, err := c.unnest(ins)
	if err != nil {
		return fmt.Errorf("append to %s: %w", ins.table, err)
	}
	for len(rows) > 0 {
		chunk := rows[:min(len(rows), maxRows)]
		rows = rows[len(chunk):]
		args := make([]any, len(ins.columns))
		for i := range args {
			args[i] = column{chunk, i}
		}
		if _, err := c.pg.Exec(c.ctx, text, args...); err != nil {
			return fmt.Errorf("append to %s: %w", ins.table, err)
		}
	}
	return nil
}

// unnest is the text that inserts any number of rows from one array per column. The
// arrays must be cast to the columns' types, which the server knows.
func (c *committer) unnest(ins *Insert) (string, error) {
	if text, ok := c.d.types.Load(ins); ok {
		return text.(string), nil
	}
	rows, err := c.pg.Query(c.ctx, `SELECT lower(attname::text), format_type(atttypid, NULL) FROM pg_attribute
		WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`, ins.table)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	types := map[string]string{}
	for rows.Next() {
		var name, typ string
		if err := rows.Scan(&name, &typ); err != nil {
			return "", err
		}
		types[name] = typ
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	casts := make([]string, len(ins.columns))
	for i, name := range ins.columns {
		typ, ok := types[strings.ToLower(strings.Trim(name, `"`))]
		if !ok {
			return "", fmt.Errorf("no column %s", name)
		}
		casts[i] = fmt.Sprintf("$%d::%s[]", i+1, typ)
	}
	text := strings.TrimSpace(fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s) %s",
		ins.table, strings.Join(ins.columns, ", "), strings.Join(casts, ", "), ins.suffix))
	c.d.types.Store(ins, text)
	return text, nil
}

// column presents one column of the rows to pgx as an array, without a copy.
type column struct {
	rows [][]any
	i    int
}

var _ pgtype.ArrayGetter = column{}

// Dimensions implements pgtype.ArrayGetter.
func (c column) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(c.rows)), LowerBound: 1}}
}

// Index implements pgtype.ArrayGetter.
func (c column) Index(r int) any { return c.rows[r][c.i] }

// IndexType implements pgtype.ArrayGetter; the elements' types may differ.
func (c column) IndexType() any { return nil }
