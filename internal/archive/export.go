package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// ExportOptions say what to export: the database at URL, or the embedded databases in Dir.
type ExportOptions struct {
	URL           string // postgres://…
	Dir           string // data directory, when URL is empty
	WithoutFrames bool   // leave out the log of raw frames
	Version       string // of the program
}

// source gives the rows of a database as they are at one moment.
type source interface {
	engine() string
	schema() []int64
	tables() []Table
	// each calls use with every row of a table, in the order of its key. The values are use's until it returns.
	each(ctx context.Context, t *Table, use func(values []any) error) error
	close() error
}

// WriteExport writes every row of every table, whatever its package: which there are is read from the database itself. The
// ledger is exported as it is at one moment; nodes may write meanwhile. Memory is bounded by a few parts of 4 MiB.
func WriteExport(ctx context.Context, w io.Writer, o ExportOptions) error {
	open := openSQLiteSource
	if o.URL != "" {
		open = openPostgresSource
	}
	src, err := open(ctx, o)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return errors.Join(export(ctx, w, src, o), src.close())
}

func export(ctx context.Context, w io.Writer, src source, o ExportOptions) error {
	tables, err := ordered(src.tables())
	if err != nil {
		return err
	}
	out, err := newWriter(w, Header{Format: Export, Version: o.Version, TakenAt: time.Now().UTC().Truncate(time.Microsecond), Engine: src.engine(),
		Schema: src.schema(), Tables: tables, WithoutFrames: o.WithoutFrames})
	if err != nil {
		return err
	}
	for i := range tables {
		p := parts{w: out, table: &tables[i]}
		if err := src.each(ctx, p.table, p.row); err != nil {
			return fmt.Errorf("export %s: %w", p.table.Name, err)
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return out.close()
}

const (
	// rowsPrefix begins the names of parts that hold rows.
	rowsPrefix = "rows/"
	// partSize is when a part ends: it is in memory until then.
	partSize = 4 << 20
)

// parts writes the rows of a table as parts.
type parts struct {
	w     *writer
	table *Table
	buf   []byte
	rows  int64
	n     int
}

func (p *parts) row(values []any) (err error) {
	if p.buf, err = appendRow(p.buf, p.table, values); err != nil {
		return err
	}
	if p.rows++; len(p.buf) >= partSize {
		return p.flush()
	}
	return nil
}

func (p *parts) flush() error {
	if p.rows == 0 {
		return nil
	}
	p.n++
	name := fmt.Sprintf("%s%s/%06d.jsonl", rowsPrefix, p.table.Name, p.n)
	err := p.w.add(name, int64(len(p.buf)), bytes.NewReader(p.buf), map[string]int64{p.table.Name: p.rows})
	p.buf, p.rows = p.buf[:0], 0
	return err
}

// ordered puts tables after those that their foreign keys name.
func ordered(tables []Table) ([]Table, error) {
	rest := slices.Clone(tables)
	slices.SortFunc(rest, func(a, b Table) int { return strings.Compare(a.Name, b.Name) })
	var out []Table
	waits := func(t Table) bool {
		return slices.ContainsFunc(t.refers, func(name string) bool {
			return name != t.Name && slices.ContainsFunc(rest, func(o Table) bool { return o.Name == name })
		})
	}
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(t Table) bool { return !waits(t) })
		if i < 0 {
			return nil, fmt.Errorf("the foreign keys of %s form a circle", rest[0].Name)
		}
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return out, nil
}

// left reports whether a table is not exported: what the migrations note stands in the header.
func left(name string, withoutFrames bool) bool {
	return name == gooseTable || withoutFrames && (name == "frames" || strings.HasPrefix(name, "frames_"))
}
