package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/archive"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
)

// lumela runs a command line and gives what it printed.
func lumela(t testing.TB, code int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := app.Main(args, &out, &errs); got != code {
		t.Fatalf("lumela %s: exit code %d instead of %d\n%s%s", strings.Join(args, " "), got, code, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

func inDir(dir string) apptest.Option {
	return apptest.With(func(c *app.Config) { c.DataDir = dir })
}

const startOf16 = `[2,"%s","StartTransaction",{"connectorId":1,"idTag":"TAG","meterStart":100,"timestamp":"2026-03-01T10:00:00Z"}]`

// transactionNumber has a station start a transaction, always the same one, and gives the number that it gets.
func transactionNumber(t testing.TB, s *apptest.Station, id string) int {
	t.Helper()
	s.Send(fmt.Sprintf(startOf16, id))
	var answer []json.RawMessage
	var conf struct{ TransactionID int }
	if err := json.Unmarshal([]byte(s.Next()), &answer); err != nil || len(answer) != 3 || json.Unmarshal(answer[2], &conf) != nil || conf.TransactionID == 0 {
		t.Fatalf("the start was answered %s", answer)
	}
	return conf.TransactionID
}

// TestBackupOfARunningNode: what a node has answered before the backup is in it, and what starts from it believes nothing
// that was only true then.
func TestBackupOfARunningNode(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	s := n.Dial(t, "CP-16", "1.6", apptest.Dial{}).Boot("1.6")
	number := transactionNumber(t, s, "a")
	n.Want(t, 201, "POST", "/stations", `{"id":"OFF","securityProfile":1}`)
	n.Want(t, 202, "POST", "/stations/OFF/commands/ClearCache?queue=true", `{}`)
	file := filepath.Join(t.TempDir(), "node.backup")
	if out := lumela(t, 0, "backup", "--data-dir", n.Config.DataDir, file); !strings.Contains(out, "verified") || !strings.Contains(out, "sessions") {
		t.Errorf("said %s", out)
	}
	s.Ask(`[2,"m","Heartbeat",{}]`, `[3,"m",{"currentTime":"<time>"}]`) // it still serves
	lumela(t, 2, "backup", "--data-dir", n.Config.DataDir, file)
	if out := lumela(t, 2, "restore", file, "--data-dir", n.Config.DataDir, "--force"); !strings.Contains(out, "a node runs on") {
		t.Errorf("under a running node: %s", out)
	}
	if out := lumela(t, 0, "restore", "--check", file); !strings.Contains(out, "whole") {
		t.Errorf("checked: %s", out)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	lumela(t, 0, "restore", file, "--data-dir", dir)
	lumela(t, 2, "restore", file, "--data-dir", dir)

	again := apptest.Start(t, inDir(dir))
	var sessions struct {
		Items []struct{ ID, Station, State string }
	}
	again.Get(t, "/sessions?station=CP-16", &sessions)
	if len(sessions.Items) != 1 {
		t.Fatalf("sessions: %+v", sessions)
	}
	var commands struct {
		Items []struct{ Status, Error string }
	}
	again.Get(t, "/stations/OFF/commands", &commands)
	if len(commands.Items) != 1 || commands.Items[0].Status != "expired" || !strings.Contains(commands.Items[0].Error, "restored") {
		t.Errorf("the queued command: %+v", commands)
	}
	var st struct{ Online bool }
	again.Get(t, "/stations/CP-16", &st)
	if st.Online {
		t.Error("a station is online that has not connected since")
	}
	// The secret of the installation is the same: a station that repeats its start gets the same number, and no second session.
	s2 := again.Dial(t, "CP-16", "1.6", apptest.Dial{}).Boot("1.6")
	if got := transactionNumber(t, s2, "b"); got != number {
		t.Errorf("the start has the number %d, and had %d", got, number)
	}
	again.Get(t, "/sessions?station=CP-16", &sessions)
	if len(sessions.Items) != 1 {
		t.Errorf("sessions after the repeated start: %+v", sessions)
	}
}

func TestRestoreCanKeepFreshCommands(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	n.Want(t, 201, "POST", "/stations", `{"id":"OFF","securityProfile":1}`)
	n.Want(t, 202, "POST", "/stations/OFF/commands/ClearCache?queue=true", `{}`)
	file := filepath.Join(t.TempDir(), "node.backup")
	lumela(t, 0, "backup", "--data-dir", n.Config.DataDir, file, "--without-frames")
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	out := lumela(t, 0, "restore", file, "--data-dir", n.Config.DataDir, "--force", "--keep-commands", "1h")
	if !strings.Contains(out, "before-restore-") {
		t.Errorf("the old content: %s", out)
	}
	again := apptest.Start(t, inDir(n.Config.DataDir))
	var commands struct{ Items []struct{ Status string } }
	again.Get(t, "/stations/OFF/commands", &commands)
	if len(commands.Items) != 1 || commands.Items[0].Status != "queued" {
		t.Errorf("the queued command: %+v", commands)
	}
}

// exported reads an export: header, and rows by table.
func exported(t testing.TB, file string) (archive.Header, map[string][]string) {
	t.Helper()
	h, _, err := archive.Verify(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	err = archive.Rows(file, func(table, row string) error {
		rows[table] = append(rows[table], row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		slices.Sort(r) // engines sort texts differently
	}
	return h, rows
}

// TestEverythingGoesFromSQLiteToPostgreSQLAndBack takes what a node with virtual stations has kept around, and finds every
// row of every table again.
func TestEverythingGoesFromSQLiteToPostgreSQLAndBack(t *testing.T) {
	t.Parallel()
	server := dbtest.Fresh(t, db.Postgres).URL
	n := apptest.Start(t, apptest.With(func(c *app.Config) { c.Demo = 3 }))
	apptest.Poll(t, "meter values of the demonstration", func() bool {
		return n.Count(t, `SELECT COUNT(*) FROM session_events`)+n.Count(t, `SELECT COUNT(*) FROM session_journal`) > 2
	})
	n.Want(t, 201, "POST", "/tokens", `{"uid":"Zoë \"電\"","type":"Central","note":"\n"}`)
	n.Want(t, 201, "POST", "/stations", `{"id":"OFF","securityProfile":1}`)
	n.Want(t, 202, "POST", "/stations/OFF/commands/ClearCache?queue=true", `{}`, "Idempotency-Key: once")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	lumela(t, 0, "export", "--data-dir", n.Config.DataDir, "--out", file("running"))
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	// The first import settles what a node must not believe; from then on nothing changes.
	lumela(t, 0, "import", file("running"), "--data-dir", file("first"))
	lumela(t, 0, "export", "--data-dir", file("first"), "--out", file("1"))
	lumela(t, 0, "import", file("1"), "--database", server)
	lumela(t, 2, "import", file("1"), "--database", server)
	lumela(t, 0, "export", "--database", server, "--out", file("2"))
	lumela(t, 0, "import", file("2"), "--data-dir", file("last"))
	lumela(t, 0, "export", "--data-dir", file("last"), "--out", file("3"))

	before, want := exported(t, file("1"))
	for _, name := range []string{"2", "3"} {
		h, got := exported(t, file(name))
		if diff := cmp.Diff(tables(before), tables(h)); diff != "" {
			t.Errorf("%s: tables: %s", name, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: rows: %.4000s", name, diff)
		}
	}
	for _, table := range []string{"sessions", "session_events", "frames", "events", "stations", "secrets", "tokens", "commands", "status_history", "idempotency"} {
		if len(want[table]) == 0 {
			t.Errorf("no rows of %s went around", table)
		}
	}
	// And a node starts on it.
	again := apptest.Start(t, apptest.With(func(c *app.Config) { c.Database = server }))
	again.Want(t, 200, "GET", "/stations/OFF", "")
	var frames struct{ Items []json.RawMessage }
	again.Get(t, "/stations/DEMO-000001/frames", &frames)
	if len(frames.Items) == 0 {
		t.Error("no frames on PostgreSQL")
	}
	embedded := apptest.Start(t, inDir(file("last")))
	embedded.Get(t, "/stations/DEMO-000001/frames", &frames)
	if len(frames.Items) == 0 {
		t.Error("no frames on SQLite")
	}
}

// tables are the columns of each table, in no order.
func tables(h archive.Header) map[string][]string {
	out := map[string][]string{}
	for _, t := range h.Tables {
		for _, c := range t.Columns {
			out[t.Name] = append(out[t.Name], c.Name+" "+string(c.Kind))
		}
		slices.Sort(out[t.Name])
	}
	return out
}

// TestEveryTableIsExported: an export of an empty installation names exactly the tables that the migrations make, with types
// that it knows, and the same ones on both engines. A table that only one engine has could not be moved.
func TestEveryTableIsExported(t *testing.T) {
	t.Parallel()
	server := dbtest.Fresh(t, db.Postgres).URL
	lite := apptest.Start(t)
	apptest.Start(t, apptest.With(func(c *app.Config) { c.Database = server }))
	dir := t.TempDir()
	lumela(t, 0, "export", "--data-dir", lite.Config.DataDir, "--out", filepath.Join(dir, "lite"))
	lumela(t, 0, "export", "--database", server, "--out", filepath.Join(dir, "pg"))
	a, _ := exported(t, filepath.Join(dir, "lite"))
	b, _ := exported(t, filepath.Join(dir, "pg"))
	inLite, inPG := tables(a), tables(b)
	if inLite["frames"] == nil { // no frame yet, no file yet
		delete(inPG, "frames")
	}
	if diff := cmp.Diff(inLite, inPG); diff != "" {
		t.Errorf("SQLite (-) and PostgreSQL (+) have other tables: %s", diff)
	}
	made := lite.Count(t, `SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version'`)
	delete(inLite, "frames")
	if made != len(inLite) || made < 15 {
		t.Errorf("the database has %d tables, the export %d", made, len(inLite))
	}
}

func TestExportAndBackupAreNotMixedUp(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	dir := t.TempDir()
	backup, export := filepath.Join(dir, "b"), filepath.Join(dir, "e")
	lumela(t, 0, "backup", "--data-dir", n.Config.DataDir, backup)
	lumela(t, 0, "export", "--data-dir", n.Config.DataDir, "--out", export)
	for _, c := range []struct {
		want string
		code int
		args []string
	}{
		{"use lumela restore", 2, []string{"import", backup, "--data-dir", filepath.Join(dir, "x")}},
		{"use lumela import", 2, []string{"restore", export, "--data-dir", filepath.Join(dir, "x")}},
		{"own tools", 2, []string{"backup", "--database", "postgres://localhost/x", filepath.Join(dir, "y")}},
		{"is not the data directory", 2, []string{"backup", "--data-dir", dir, filepath.Join(dir, "y")}},
		{"is not the data directory", 2, []string{"export", "--data-dir", dir, "--out", filepath.Join(dir, "y")}},
		{"no archive of Lumela", 3, []string{"restore", "--check", "archive_test.go"}},
		{"no such file", 1, []string{"restore", "--check", filepath.Join(dir, "none")}},
		{"no such file", 1, []string{"backup", "--data-dir", n.Config.DataDir, filepath.Join(dir, "no", "folder")}},
		{"out", 1, []string{"export", "--data-dir", n.Config.DataDir}},
	} {
		if out := lumela(t, c.code, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("lumela %s said %s", strings.Join(c.args, " "), out)
		}
	}
	var out bytes.Buffer
	if code := app.Main([]string{"backup", "--data-dir", n.Config.DataDir, "-"}, &out, io.Discard); code != 0 {
		t.Fatalf("to the standard output: %d", code)
	}
	piped := filepath.Join(dir, "piped")
	if err := os.WriteFile(piped, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	lumela(t, 0, "restore", "--check", piped)
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestScheduledBackupsOfANode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := apptest.Start(t) // which makes the database, in which the job is due then
	n.Exec(t, `INSERT INTO jobs (name, due_at, holder, lease_until, runs, failures, error) VALUES ('backup', 0, '', 0, 0, 0, '')`)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = apptest.Start(t, inDir(n.Config.DataDir), apptest.With(func(c *app.Config) { c.BackupDir, c.BackupEvery = dir, time.Minute }))
	var files []string
	apptest.Poll(t, "a backup", func() bool {
		files, _ = filepath.Glob(filepath.Join(dir, "lumela-*.backup")) // the pattern is good
		return len(files) == 1
	})
	lumela(t, 0, "restore", "--check", files[0])
	apptest.Poll(t, "the metric", func() bool {
		r := n.Do(t, "GET", "//metrics", "")
		return strings.Contains(r.Body, "lumela_backups_made 1") && !strings.Contains(r.Body, "backup_last_success_timestamp_seconds 0\n")
	})
}

func TestMoreStationsThanANodeMayHaveAreSentAway(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t, apptest.With(func(c *app.Config) { c.MaxStations = 2 }))
	a := n.Dial(t, "A", "1.6", apptest.Dial{}).Boot("1.6")
	n.Dial(t, "B", "2.0.1", apptest.Dial{}).Boot("2.0.1")
	r := n.Refused(t, "C", "2.1", apptest.Dial{})
	if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
	}
	n.Dial(t, "B", "2.0.1", apptest.Dial{}) // replaces its own link
	a.Cut()
	apptest.Poll(t, "a place", func() bool {
		s, _, err := n.TryDial(t, "C", "2.1", apptest.Dial{})
		return err == nil && s != nil
	})
}

// program is how this binary of tests becomes the program itself: its arguments, one on a line.
const program = "LUMELA_TEST_PROGRAM"

// TestProgram is not a test of its own: see smallNode.
func TestProgram(_ *testing.T) {
	if args, ok := os.LookupEnv(program); ok {
		os.Exit(app.Main(strings.Split(args, "\n"), os.Stdout, os.Stderr))
	}
}

// smallNode is a node as a process of its own that may have 1024 files open.
func smallNode(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"serve", "--http", "127.0.0.1:0", "--data-dir", t.TempDir()}, args...)
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `ulimit -n 1024 && exec "$0" -test.run='^TestProgram$'`, os.Args[0])
	cmd.Env = append(os.Environ(), program+"="+strings.Join(args, "\n"))
	return cmd
}

func TestStartWithALowLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	out, err := smallNode(t, "--max-stations", "2000").CombinedOutput()
	if exit := new(exec.ExitError); !errors.As(err, &exit) || !strings.Contains(string(out), "needs 2612 open files, and the limit of this process is 1024") ||
		!strings.Contains(string(out), "LimitNOFILE=2612") {
		t.Errorf("%v: %s", err, out)
	}
	cmd := smallNode(t)
	var told bytes.Buffer
	cmd.Stderr = &told
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 4096)); err != nil { // it says that it runs
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the small node did not end well: %v", err)
	}
	if !strings.Contains(told.String(), "max-stations=487") {
		t.Errorf("the default did not fit itself to the limit: %s", told.String())
	}
}

// TestBackupBesideAnotherProcess: what a backup leaves behind when it closes the database is the node's log, and no restore
// goes under the node.
func TestBackupBesideAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProgram$")
	cmd.Env = append(os.Environ(), program+"="+strings.Join([]string{"serve", "--http", "127.0.0.1:0", "--data-dir", dir}, "\n"))
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := said.Read(make([]byte, 4096)); err != nil { // it says that it runs
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "node.backup")
	lumela(t, 0, "backup", "--data-dir", dir, file)
	if _, err := os.Stat(filepath.Join(dir, "lumela.db-wal")); err != nil {
		t.Errorf("the backup took the write-ahead log from under the node: %v", err)
	}
	if out := lumela(t, 2, "restore", file, "--data-dir", dir, "--force"); !strings.Contains(out, "a node runs on") {
		t.Errorf("a restore under a running node: %s", out)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the node did not end well: %v", err)
	}
	lumela(t, 0, "restore", file, "--data-dir", dir, "--force")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	n := apptest.Start(t)
	u := url.URL{Scheme: "http", Host: n.HTTPAddr}
	if out := lumela(t, 0, "health", "--url", u.String()); !strings.Contains(out, "ready") {
		t.Errorf("said %s", out)
	}
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	lumela(t, 1, "health", "--url", u.String(), "--timeout", "1s")
}
