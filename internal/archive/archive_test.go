package archive

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// schema is like the product's: text keys, clustered tables, references, partitions on PostgreSQL, and seeds.
var schema = fstest.MapFS{
	"m/00010_base.sql": {Data: []byte(`-- +goose Up
CREATE TABLE zoo (id TEXT PRIMARY KEY, t TEXT, i BIGINT, small INTEGER, b BOOLEAN, x BYTEA, always TEXT NOT NULL);
CREATE TABLE animal (zoo_id TEXT NOT NULL REFERENCES zoo (id), at BIGINT NOT NULL, PRIMARY KEY (zoo_id, at)) /*CLUSTERED*/;
CREATE TABLE heap (t TEXT, i BIGINT);
INSERT INTO heap (t, i) VALUES ('seed', 1);
`)},
	"m/00020_later.sql": {Data: []byte(`-- +goose Up
CREATE TABLE "order" (id TEXT PRIMARY KEY, "select" BIGINT NOT NULL);
`)},
}

var frameSchema = fstest.MapFS{"m/00001_frames.sql": {Data: []byte(`-- +goose Up
CREATE TABLE frames (station TEXT NOT NULL, at BIGINT NOT NULL, body TEXT, PRIMARY KEY (station, at)) /*CLUSTERED*/;
`)}}

// next is a migration of a newer version, that changes what is there.
var next = fstest.MapFS{"m/00030_next.sql": {Data: []byte(`-- +goose Up
ALTER TABLE zoo ADD COLUMN fresh TEXT NOT NULL DEFAULT 'x';
UPDATE zoo SET fresh = id;
`)}}

func databases(extra ...fs.FS) []Database {
	return []Database{{File: MainFile, Migrations: append([]fs.FS{schema}, extra...)}, {File: "frames.db", Migrations: []fs.FS{frameSchema}}}
}

func known(t testing.TB, extra ...fs.FS) []int64 {
	t.Helper()
	v, err := Versions(append([]fs.FS{schema, frameSchema}, extra...)...)
	must(t, err)
	return v
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dataDir makes a data directory with some rows.
func dataDir(t testing.TB, rows [][]any) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range databases() {
		h, err := db.Open(t.Context(), db.Options{Path: filepath.Join(dir, d.File)})
		must(t, err)
		must(t, h.Migrate(t.Context(), d.Migrations...))
		if d.File == MainFile {
			must(t, h.Write(t.Context(), func(tx *db.Tx) error { return fill(tx, rows) }))
		} else {
			must(t, h.Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.Exec(`INSERT INTO frames VALUES ('a', 1, 'frame'), ('a', 2, NULL)`)
				return err
			}))
		}
		must(t, h.Close())
	}
	must(t, os.WriteFile(filepath.Join(dir, "first-password.txt"), []byte("secret\n"), 0o600))
	return dir
}

func fill(tx *db.Tx, rows [][]any) error {
	for n, r := range rows {
		id := fmt.Sprintf("z%d", n)
		if _, err := tx.Exec(`INSERT INTO zoo (id, t, i, b, x, always, small) VALUES ($1, $2, $3, $4, $5, $6, $7)`, id, r[0], r[1], r[2], r[3], "", n); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO animal VALUES ($1, $2)`, id, n); err != nil {
			return err
		}
		if _, err := tx.Exec(`INSERT INTO "order" VALUES ($1, $2)`, id, int64(n)<<40); err != nil {
			return err
		}
	}
	return nil
}

var someRows = [][]any{
	{"", int64(0), false, []byte{}}, {nil, nil, nil, nil}, {"Lumela é 世界 \U0001f50c \"\\\n\x01", int64(-1 << 63), true, []byte{0, 255, '"'}},
	{strings.Repeat("long ", 100_000), int64(1<<63 - 1), true, bytes.Repeat([]byte{7}, 100_000)},
}

func backUp(t testing.TB, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.backup")
	_, err := WriteFile(file, false, func(w io.Writer) error { return WriteBackup(t.Context(), w, BackupOptions{Dir: dir, Version: "test"}) })
	must(t, err)
	return file
}

func exportFrom(t testing.TB, o ExportOptions) string {
	t.Helper()
	o.Version = "test"
	file := filepath.Join(t.TempDir(), "e.export")
	_, err := WriteFile(file, false, func(w io.Writer) error { return WriteExport(t.Context(), w, o) })
	must(t, err)
	return file
}

// lines are the rows of an export by table.
func lines(t testing.TB, file string) map[string]string {
	t.Helper()
	r, err := openReader(file)
	must(t, err)
	defer func() { _ = r.close() }() // it was only read
	out := map[string]string{}
	for _, table := range r.Header.Tables {
		out[table.Name] = fmt.Sprint(table.Columns, "\n")
	}
	for {
		name, content, err := r.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		raw, err := io.ReadAll(content)
		must(t, err)
		out[strings.Split(name, "/")[1]] += string(raw)
	}
}

func TestBackupWhileTheNodeWritesIsOneMoment(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, someRows)
	h, err := db.Open(t.Context(), db.Options{Path: filepath.Join(dir, MainFile)})
	must(t, err)
	defer func() { _ = h.Close() }() // nothing is pending
	// Every transaction adds one row to each of two tables: a backup that mixes moments has more in one than in the other.
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := h.Write(ctx, func(tx *db.Tx) error {
				if _, err := tx.Exec(`INSERT INTO zoo (id, always) VALUES ($1, '')`, fmt.Sprintf("w%d", n)); err != nil {
					return err
				}
				_, err := tx.Exec(`INSERT INTO animal VALUES ($1, 1)`, fmt.Sprintf("w%d", n))
				return err
			}); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
		written <- n
	}()
	for range 5 {
		file := backUp(t, dir)
		target := filepath.Join(t.TempDir(), "new")
		res, err := Restore(t.Context(), file, RestoreOptions{Dir: target, Known: known(t)})
		must(t, err)
		rows := res.Manifest.Rows()
		if rows["zoo"] != rows["animal"] || rows["zoo"] < int64(len(someRows)) {
			t.Errorf("rows of two moments: %v", rows)
		}
		if raw, err := os.ReadFile(filepath.Join(target, "first-password.txt")); err != nil || string(raw) != "secret\n" {
			t.Errorf("other files: %q %v", raw, err)
		}
	}
	stop()
	if n := <-written; n < 5 {
		t.Errorf("the writer was held up: %d rows", n)
	}
}

func TestRestoreOfWhatIsNotWholeChangesNothing(t *testing.T) {
	t.Parallel()
	file := backUp(t, dataDir(t, someRows))
	good, err := os.ReadFile(file)
	must(t, err)
	target := dataDir(t, nil)
	before := tree(t, target)
	for name, raw := range map[string][]byte{"empty": {}, "cut": good[:len(good)/2], "cut at the end": good[:len(good)-1],
		"changed": append(bytes.Clone(good[:len(good)/3]), append([]byte{^good[len(good)/3]}, good[len(good)/3+1:]...)...), "other": []byte("PK\x03\x04")} {
		bad := filepath.Join(t.TempDir(), "bad")
		must(t, os.WriteFile(bad, raw, 0o600))
		if _, err := Restore(t.Context(), bad, RestoreOptions{Dir: target, Force: true, Known: known(t)}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Check(t.Context(), bad, known(t)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: checked: %v", name, err)
		}
	}
	for name, o := range map[string]RestoreOptions{
		"not empty":     {Dir: target, Known: known(t)},
		"newer schema":  {Dir: target, Known: []int64{10}, Force: true},
		"failed finish": {Dir: target, Known: known(t), Force: true, Finish: func(context.Context, string, time.Time) error { return ErrRefused }},
	} {
		if _, err := Restore(t.Context(), file, o); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(before, tree(t, target)); diff != "" {
		t.Errorf("the target was changed: %s", diff)
	}
	if _, err := Check(t.Context(), file, known(t)); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// tree lists a folder with the sizes of its files, but for what SQLite makes beside a database that is looked at.
func tree(t testing.TB, dir string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	must(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(p, "-wal") || strings.HasSuffix(p, "-shm") || filepath.Base(p) == lockFile {
			return err
		}
		info, err := e.Info()
		if !e.IsDir() {
			out[p] = info.Size()
		} else {
			out[p] = -1
		}
		return err
	}))
	return out
}

func TestRestoreWithForceKeepsTheOldAside(t *testing.T) {
	t.Parallel()
	file := backUp(t, dataDir(t, someRows))
	target := dataDir(t, nil)
	h, err := db.Open(t.Context(), db.Options{Path: filepath.Join(target, MainFile)})
	must(t, err)
	if _, err := Restore(t.Context(), file, RestoreOptions{Dir: target, Force: true, Known: known(t)}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "a node runs") {
		t.Fatalf("restored under a running node: %v", err)
	}
	must(t, h.Close())
	res, err := Restore(t.Context(), file, RestoreOptions{Dir: target, Force: true, Known: known(t)})
	must(t, err)
	if n := count(t, filepath.Join(res.Aside, MainFile), "zoo"); n != 0 {
		t.Errorf("aside are %d rows", n)
	}
	if n := count(t, filepath.Join(target, MainFile), "zoo"); n != len(someRows) {
		t.Errorf("restored are %d rows", n)
	}
	again := backUp(t, target) // without what is aside
	_, m, err := Verify(again)
	must(t, err)
	for _, p := range m.Parts {
		if strings.Contains(p.Name, asidePrefix) {
			t.Errorf("a backup carries %s", p.Name)
		}
	}
}

func TestInterruptedRestoreIsKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, Unfinished(dir))
	must(t, os.WriteFile(filepath.Join(dir, unfinishedMark), nil, 0o600))
	if Unfinished(dir) == nil {
		t.Error("a node would start on the half of a restore")
	}
	file := backUp(t, dataDir(t, nil))
	_, err := Restore(t.Context(), file, RestoreOptions{Dir: dir, Force: true, Known: known(t)})
	must(t, err)
	must(t, Unfinished(dir))
}

func count(t testing.TB, path, table string) (n int) {
	t.Helper()
	h, err := sql.Open("sqlite", "file:"+path+"?mode=rw")
	must(t, err)
	defer func() { _ = h.Close() }() // nothing is pending
	must(t, h.QueryRow(`SELECT COUNT(*) FROM `+table).Scan(&n))
	return n
}

func TestWriteFileNeverLeavesHalfAFile(t *testing.T) {
	t.Parallel()
	dir := dataDir(t, nil)
	out := t.TempDir()
	file := filepath.Join(out, "b.backup")
	good := func(w io.Writer) error { return WriteBackup(t.Context(), w, BackupOptions{Dir: dir}) }
	boom := errors.New("disk full")
	if _, err := WriteFile(file, false, func(w io.Writer) error { return errors.Join(good(w), boom) }); !errors.Is(err, boom) {
		t.Errorf("failed writing: %v", err)
	}
	if _, err := WriteFile(file, false, func(w io.Writer) error { _, err := io.WriteString(w, "short"); return err }); !errors.Is(err, ErrDamaged) {
		t.Errorf("bad writing: %v", err)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	_, err := WriteFile(file, false, good)
	must(t, err)
	if _, err := WriteFile(file, false, good); !errors.Is(err, ErrRefused) {
		t.Errorf("overwritten: %v", err)
	}
	_, err = WriteFile(file, true, good)
	must(t, err)
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := WriteFile(filepath.Join(out, "x"), false, func(w io.Writer) error { return WriteBackup(t.Context(), w, BackupOptions{Dir: out}) }); !errors.Is(err, ErrRefused) {
		t.Errorf("backup of a folder that is none: %v", err)
	}
}

func TestExportsGoFromEngineToEngineAndBack(t *testing.T) {
	t.Parallel()
	server := dbtest.Fresh(t, db.Postgres).URL
	from := exportFrom(t, ExportOptions{Dir: dataDir(t, someRows)})
	want := lines(t, from)
	if len(want) != 5 {
		t.Fatalf("tables: %d", len(want))
	}
	o := ImportOptions{URL: server, Databases: databases(), Known: known(t)}
	im, err := Import(t.Context(), from, o)
	must(t, err)
	if im.Rows["zoo"] != 4 || im.Rows["frames"] != 2 || im.Rows["heap"] != 1 || im.Mended != 0 {
		t.Errorf("imported %+v", im)
	}
	middle := exportFrom(t, ExportOptions{URL: server})
	if diff := cmp.Diff(want, lines(t, middle)); diff != "" {
		t.Errorf("SQLite → PostgreSQL: %s", diff)
	}
	dir := filepath.Join(t.TempDir(), "back")
	_, err = Import(t.Context(), middle, ImportOptions{Dir: dir, Databases: databases(), Known: known(t)})
	must(t, err)
	if diff := cmp.Diff(want, lines(t, exportFrom(t, ExportOptions{Dir: dir}))); diff != "" {
		t.Errorf("SQLite → PostgreSQL → SQLite: %s", diff)
	}
	without := exportFrom(t, ExportOptions{URL: server, WithoutFrames: true})
	if l := lines(t, without); l["frames"] != "" || len(l) != 4 {
		t.Errorf("without frames: %v", l)
	}
}

func TestAnyRowsGoRound(t *testing.T) {
	t.Parallel()
	server := dbtest.Fresh(t, db.Postgres).URL
	dir := t.TempDir()
	rows := rapid.Custom(func(t *rapid.T) [][]any {
		var rows [][]any
		for range rapid.IntRange(50, 100).Draw(t, "rows") {
			r := anyRow(t)
			if s, ok := r[0].(string); ok {
				r[0] = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "") // what PostgreSQL takes
			}
			rows = append(rows, r)
		}
		return rows
	})
	for seed := range 3 {
		from := exportFrom(t, ExportOptions{Dir: dataDir(t, rows.Example(seed))})
		want := lines(t, from)
		_, err := Import(t.Context(), from, ImportOptions{URL: server, Force: true, Databases: databases(), Known: known(t)})
		must(t, err)
		back := filepath.Join(dir, "data")
		_, err = Import(t.Context(), exportFrom(t, ExportOptions{URL: server}), ImportOptions{Dir: back, Force: true, Databases: databases(), Known: known(t)})
		must(t, err)
		if diff := cmp.Diff(want, lines(t, exportFrom(t, ExportOptions{Dir: back}))); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

func TestImportOfAnOlderSchemaIsMigrated(t *testing.T) {
	t.Parallel()
	file := exportFrom(t, ExportOptions{Dir: dataDir(t, someRows)})
	server := dbtest.Fresh(t, db.Postgres).URL
	_, err := Import(t.Context(), file, ImportOptions{URL: server, Databases: databases(next), Known: known(t, next)})
	must(t, err)
	dir := filepath.Join(t.TempDir(), "new")
	_, err = Import(t.Context(), file, ImportOptions{Dir: dir, Databases: databases(next), Known: known(t, next)})
	must(t, err)
	for _, o := range []ExportOptions{{URL: server}, {Dir: dir}} {
		newer := exportFrom(t, o)
		if got := lines(t, newer)["zoo"]; !strings.Contains(got, `"z3"]`) {
			t.Errorf("not migrated: %.300s", got)
		}
		if _, err := Import(t.Context(), newer, ImportOptions{Dir: filepath.Join(t.TempDir(), "x"), Databases: databases(), Known: known(t)}); !errors.Is(err, ErrRefused) {
			t.Errorf("a newer schema was imported: %v", err)
		}
	}
}

func TestFailedImportLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	server := dbtest.Fresh(t, db.Postgres).URL
	first := exportFrom(t, ExportOptions{Dir: dataDir(t, someRows[:1])})
	_, err := Import(t.Context(), first, ImportOptions{URL: server, Databases: databases(), Known: known(t)})
	must(t, err)
	want := lines(t, exportFrom(t, ExportOptions{URL: server}))
	boom := errors.New("power cut")
	file := exportFrom(t, ExportOptions{Dir: dataDir(t, someRows)})
	dir := filepath.Join(t.TempDir(), "data")
	fail := func(context.Context, db.Options, time.Time) error { return boom }
	if _, err := Import(t.Context(), file, ImportOptions{URL: server, Force: true, Databases: databases(), Known: known(t), Finish: fail}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), file, ImportOptions{Dir: dir, Databases: databases(), Known: known(t), Finish: fail}); !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, lines(t, exportFrom(t, ExportOptions{URL: server}))); diff != "" {
		t.Errorf("changed: %s", diff)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != lockFile {
		t.Errorf("left in the data directory: %v %v", left, err)
	}
	node, err := db.Open(t.Context(), db.Options{URL: server})
	must(t, err)
	must(t, node.Ping(t.Context()))
	if _, err := Import(t.Context(), file, ImportOptions{URL: server, Force: true, Databases: databases(), Known: known(t)}); !errors.Is(err, ErrRefused) {
		t.Errorf("imported under a running node: %v", err)
	}
	must(t, node.Close())
}

func TestImportIntoAnInstallation(t *testing.T) {
	t.Parallel()
	o := dbtest.Fresh(t, db.Postgres, fstest.MapFS{"m/00200_x.sql": {Data: []byte("-- +goose Up\nCREATE TABLE organisations (id TEXT PRIMARY KEY);\nINSERT INTO organisations VALUES ('1');\nCREATE TABLE zoo (mine TEXT);\n")}})
	file := exportFrom(t, ExportOptions{Dir: dataDir(t, someRows)})
	im := ImportOptions{URL: o.URL, Databases: databases(), Known: known(t)}
	if _, err := Import(t.Context(), file, im); !errors.Is(err, ErrRefused) {
		t.Fatalf("imported over an installation: %v", err)
	}
	im.Force = true
	res, err := Import(t.Context(), file, im)
	must(t, err)
	conn, err := connect(t.Context(), o.URL)
	must(t, err)
	defer func() { _ = conn.Close(context.Background()) }() // nothing is pending
	var kept, others int
	must(t, conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = $1 AND table_name = 'zoo' AND column_name = 'mine'`, res.Aside).Scan(&kept))
	must(t, conn.QueryRow(t.Context(), `SELECT COUNT(*) FROM organisations`).Scan(&others))
	if kept != 1 || others != 1 {
		t.Errorf("the old table is not aside, or another one is gone: %d %d", kept, others)
	}
}

func TestTextsThatPostgreSQLDoesNotTakeAreReplacedAndCounted(t *testing.T) {
	t.Parallel()
	file := exportFrom(t, ExportOptions{Dir: dataDir(t, [][]any{{"a\x00b", nil, nil, nil}, {"\xff", nil, nil, nil}, {"fine", nil, nil, nil}})})
	server := dbtest.Fresh(t, db.Postgres).URL
	im, err := Import(t.Context(), file, ImportOptions{URL: server, Databases: databases(), Known: known(t)})
	must(t, err)
	if im.Mended != 2 {
		t.Errorf("mended %d", im.Mended)
	}
	dir := filepath.Join(t.TempDir(), "same")
	_, err = Import(t.Context(), file, ImportOptions{Dir: dir, Databases: databases(), Known: known(t)})
	must(t, err)
	if diff := cmp.Diff(lines(t, file), lines(t, exportFrom(t, ExportOptions{Dir: dir}))); diff != "" {
		t.Errorf("SQLite → SQLite: %s", diff)
	}
}
