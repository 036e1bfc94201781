package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"lumela/internal/account"
	"lumela/internal/archive"
	"lumela/internal/bus"
	"lumela/internal/command"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/frame"
	"lumela/internal/session"
	"lumela/internal/station"
)

// Exit codes of the program.
const (
	exitFailed  = 1
	exitRefused = 2 // nothing was done: the operator has to change or allow something
	exitDamaged = 3 // the file is not a whole archive
)

func exitCode(err error) int {
	switch {
	case errors.Is(err, archive.ErrRefused):
		return exitRefused
	case errors.Is(err, archive.ErrDamaged):
		return exitDamaged
	}
	return exitFailed
}

// place is which installation a tool works on: its flags are a node's, and so are its environment and configuration file.
type place struct {
	file  string
	flags Config
}

func (p *place) add(f *pflag.FlagSet, names ...string) {
	p.flags = Default()
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	p.flags.Flags(all)
	for _, name := range names {
		f.AddFlag(all.Lookup(name))
	}
	f.StringVar(&p.file, "config", os.Getenv("LUMELA_CONFIG"), "YAML file with the node's settings")
}

// load reads the settings. A data directory on the command line means SQLite, whatever database the environment names.
func (p *place) load(f *pflag.FlagSet) (Config, error) {
	cfg, err := load(p.file, f)
	if f.Changed("data-dir") && !f.Changed("database") {
		cfg.Database = ""
	}
	return cfg, err
}

func backupCommand() *cobra.Command {
	var where place
	var o archive.BackupOptions
	var force bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Back up an embedded node, running or not",
		Long: "Writes everything that an embedded node keeps into one file, while the node runs. The file is read back and verified\n" +
			"before it gets its name. - writes to the standard output, unverified: `lumela restore --check` verifies it.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 refused (the text says what to change), 3 damaged archive.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := where.load(cmd.Flags())
			if err != nil {
				return err
			}
			if cfg.Database != "" {
				return fmt.Errorf("%w: backup copies the files of an embedded node; back up PostgreSQL with its own tools, or use lumela export", archive.ErrRefused)
			}
			o.Dir, o.Version = cfg.DataDir, Version
			return writeArchive(cmd, args[0], force, func(w io.Writer) error { return archive.WriteBackup(cmd.Context(), w, o) })
		},
	}
	where.add(cmd.Flags(), "data-dir", "database")
	cmd.Flags().BoolVar(&o.WithoutFrames, "without-frames", false, "leave out the log of raw frames")
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE when it exists")
	return cmd
}

// writeArchive writes to a file or, for "-", to the standard output, and tells what was written.
func writeArchive(cmd *cobra.Command, file string, force bool, write func(w io.Writer) error) error {
	if file == "-" {
		return write(cmd.OutOrStdout())
	}
	res, err := archive.WriteFile(file, force, write)
	if err != nil {
		return err
	}
	return report(cmd.OutOrStdout(), fmt.Sprintf("%s: %d bytes, verified", file, res.Size), res.Manifest.Rows())
}

// report prints the number of rows of each table.
func report(w io.Writer, title string, rows map[string]int64) error {
	if _, err := fmt.Fprintln(w, title); err != nil {
		return err
	}
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range names {
		_, _ = fmt.Fprintf(t, "  %s\t%d\n", name, rows[name]) // Flush tells
	}
	return t.Flush()
}

func restoreCommand() *cobra.Command {
	var where place
	var check, force bool
	var keep time.Duration
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Make a data directory of a backup",
		Long: "Verifies a backup, puts its content together, has the database checked, brings it up to date, and moves it to its\n" +
			"place at the very end. Links of then are marked as ended and sign-ins end; queued commands end as expired, unless\n" +
			"--keep-commands says otherwise.\n\nExit codes: 0 done, 1 failed, 2 refused (the text says what to change), 3 damaged archive.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := where.load(cmd.Flags())
			if err != nil {
				return err
			}
			known, err := knownMigrations()
			if err != nil {
				return err
			}
			if check {
				res, err := archive.Check(cmd.Context(), args[0], known)
				if err != nil {
					return err
				}
				h := res.Header
				return report(cmd.OutOrStdout(), fmt.Sprintf("%s: whole. %s of %s by Lumela %s", args[0], h.Format, h.TakenAt.Format(time.RFC3339), h.Version), res.Manifest.Rows())
			}
			if cfg.Database != "" {
				return fmt.Errorf("%w: a backup is restored to a data directory; --database is set", archive.ErrRefused)
			}
			s := settling{log: quietLogger(cmd.ErrOrStderr()), keep: keep}
			res, err := archive.Restore(cmd.Context(), args[0], archive.RestoreOptions{Dir: cfg.DataDir, Force: force, Known: known,
				Finish: func(ctx context.Context, dir string, taken time.Time) error {
					return s.settle(ctx, db.Options{Path: filepath.Join(dir, archive.MainFile)}, taken)
				}})
			if err != nil {
				return err
			}
			return reportPlaced(cmd.OutOrStdout(), cfg.DataDir, res)
		},
	}
	where.add(cmd.Flags(), "data-dir", "database")
	cmd.Flags().BoolVar(&check, "check", false, "only verify FILE, as far as it can be without restoring it")
	cmd.Flags().BoolVar(&force, "force", false, "restore into a directory that is not empty; what it holds is kept aside")
	cmd.Flags().DurationVar(&keep, "keep-commands", 0, "keep queued commands that were made within this time before now")
	return cmd
}

func reportPlaced(w io.Writer, where string, res archive.Restored) error {
	title := fmt.Sprintf("%s holds what was taken on %s", where, res.Header.TakenAt.Format(time.RFC3339))
	if res.Aside != "" {
		title += "; what was there before is in " + res.Aside
	}
	return report(w, title, res.Manifest.Rows())
}

// quietLogger tells of warnings only: a tool's result is what it prints.
func quietLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// knownMigrations are the numbers of all migrations of this program, on either engine.
func knownMigrations() ([]int64, error) {
	return archive.Versions(append(migrations(), frame.Migrations)...)
}

// settling puts right what a node must not believe of a database that comes from a backup or from elsewhere.
type settling struct {
	log  *slog.Logger
	keep time.Duration // queued commands made within this time before now stay
}

func (s settling) settle(ctx context.Context, o db.Options, taken time.Time) (err error) {
	o.Log = s.log
	d, err := db.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Migrate(ctx, s.migrations(d)...); err != nil {
		return err
	}
	b, err := bus.Open(ctx, bus.Options{Log: s.log}) // nobody listens; events are kept for streams that resume
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	events := event.NewLog(d, b, s.log)
	stations := station.New(d, events, s.log, station.Closed, "")
	if err := stations.Restored(ctx, taken); err != nil {
		return err
	}
	commands := command.New(d, events, stations, nil, s.log, nil)
	if err := commands.Restored(ctx, taken, time.Now().Add(-s.keep)); err != nil {
		return err
	}
	return errors.Join(account.New(d, s.log).Restored(ctx), session.Restored(ctx, d))
}

// migrations are those of the main database of an engine.
func (s settling) migrations(d *db.DB) []fs.FS {
	if d.Engine() == db.Postgres {
		return append(migrations(), frame.Migrations)
	}
	return migrations()
}
