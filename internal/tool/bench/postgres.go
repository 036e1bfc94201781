package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"lumela/internal/tool/load"
)

// measurePostgres measures meter values with PostgreSQL, where there is one.
func measurePostgres(o *options, r *Report) error {
	base, stop, err := o.postgres()
	if err != nil || base == "" {
		return err
	}
	defer stop()
	for _, v := range versions {
		for _, n := range o.links {
			var f *CallFigures
			if f, err = onPostgres(o, base, v, n); err != nil {
				return fmt.Errorf("PostgreSQL, %s, %d stations: %w", v, n, err)
			}
			r.MeterPostgres = append(r.MeterPostgres, *f)
		}
	}
	printCalls(os.Stdout, "Meter values, on disk before the answer, PostgreSQL on the same machine", r.MeterPostgres)
	return nil
}

// ownPostgres starts a server of our own; url is empty where PostgreSQL is not installed.
func ownPostgres(work string) (url string, stop func(), err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", nil, err
	}
	script, dir := filepath.Join(root, "scripts", "test-postgres.sh"), filepath.Join(work, "pg")
	if err := os.Chmod(work, 0o755); err != nil { // the server may run as another user
		return "", nil, err
	}
	cmd := exec.Command(script, "start", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return strings.TrimSpace(string(out)), func() {
		if err := exec.Command(script, "stop", dir).Run(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: PostgreSQL not stopped:", err)
		}
	}, nil
}

// onPostgres measures with a database of its own.
func onPostgres(o *options, base string, v load.Version, n int) (f *CallFigures, err error) {
	err = withDatabase(base, fmt.Sprintf("%s_%d_%d", v, n, os.Getpid()), func(database string) error {
		f, err = measureNode(o, meter, v, n, database)
		return err
	})
	return f, err
}

// withDatabase runs a measurement with the URL of a database of its own, which is dropped again.
func withDatabase(base, name string, measure func(database string) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	name = databaseName(name)
	admin := func(sql string) error {
		conn, err := pgx.Connect(ctx, base)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, sql)
		return errors.Join(err, conn.Close(ctx))
	}
	if err := admin("CREATE DATABASE " + name); err != nil {
		return err
	}
	u, err := url.Parse(base)
	if err != nil {
		return err
	}
	u.Path = "/" + name
	err = measure(u.String())
	return errors.Join(err, admin("DROP DATABASE "+name+" WITH (FORCE)"))
}

// serverCPU is the time that a PostgreSQL server on this machine has used with all its processes, the ended ones
// included; 0 when its processes cannot be seen from here.
func serverCPU(database string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }() // nothing was written
	var backend int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, err
	}
	_, _, server, ok := stat(strconv.Itoa(backend))
	if !ok {
		return 0, nil
	}
	return family(server)
}

// family is the time of a process, its children and its ended children.
func family(server int) (time.Duration, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, e := range entries {
		own, ended, parent, ok := stat(e.Name())
		switch {
		case !ok:
		case e.Name() == strconv.Itoa(server):
			sum += own + ended
		case parent == server:
			sum += own
		}
	}
	return sum, nil
}

// stat reads a process; ok is false when there is none.
func stat(pid string) (own, ended time.Duration, parent int, ok bool) {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, 0, 0, false
	}
	own, ended, parent, err = parseStat(raw)
	return own, ended, parent, err == nil
}
