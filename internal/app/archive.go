package app

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"lumela/internal/archive"
	"lumela/internal/frame"
)

func exportCommand() *cobra.Command {
	var where place
	var o archive.ExportOptions
	var out string
	var force bool
	cmd := &cobra.Command{
		Use: "export --out FILE", Short: "Write every row of the database in a form that SQLite and PostgreSQL both take",
		Long: "Writes every row of every table into one file that `lumela import` brings into another database, of either kind.\n" +
			"--data-dir or --database says from where. Nodes may be running: the ledger is exported as it is at one moment.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 refused (the text says what to change), 3 damaged archive.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := where.load(cmd.Flags())
			if err != nil {
				return err
			}
			o.URL, o.Dir, o.Version = cfg.Database, cfg.DataDir, Version
			return writeArchive(cmd, out, force, func(w io.Writer) error { return archive.WriteExport(cmd.Context(), w, o) })
		},
	}
	where.add(cmd.Flags(), "data-dir", "database")
	cmd.Flags().StringVar(&out, "out", "", "file to write; - for the standard output")
	cmd.Flags().BoolVar(&o.WithoutFrames, "without-frames", false, "leave out the log of raw frames")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file when it exists")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is made above
	}
	return cmd
}

func importCommand() *cobra.Command {
	var where place
	var force bool
	var keep time.Duration
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Bring an export into an empty database of either kind",
		Long: "Verifies an export, brings its rows in beside the target, brings them up to date, and lets them take the target's\n" +
			"place at once: an import that fails leaves the target as it was. --data-dir or --database says where to.\n" +
			"Links of then are marked as ended and sign-ins end; queued commands end as expired, unless --keep-commands says\n" +
			"otherwise.\n\nExit codes: 0 done, 1 failed, 2 refused (the text says what to change), 3 damaged archive.",
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
			s := settling{log: quietLogger(cmd.ErrOrStderr()), keep: keep}
			res, err := archive.Import(cmd.Context(), args[0], archive.ImportOptions{URL: cfg.Database, Dir: cfg.DataDir, Force: force,
				Databases: databases(), Known: known, Finish: s.settle, Log: s.log})
			if err != nil {
				return err
			}
			where := cfg.DataDir
			if cfg.Database != "" {
				where = "the database"
			}
			if res.Mended > 0 {
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%d texts held characters that PostgreSQL does not take; U+FFFD stands in their place\n", res.Mended); err != nil {
					return err
				}
			}
			return reportPlaced(cmd.OutOrStdout(), where, res.Restored)
		},
	}
	where.add(cmd.Flags(), "data-dir", "database")
	cmd.Flags().BoolVar(&force, "force", false, "import into a place that is not empty; what it holds is kept aside")
	cmd.Flags().DurationVar(&keep, "keep-commands", 0, "keep queued commands that were made within this time before now")
	return cmd
}

// databases are the files of an embedded node. The frame log takes frames.db over when the node starts.
func databases() []archive.Database {
	return []archive.Database{{File: archive.MainFile, Migrations: migrations()}, {File: "frames.db", Migrations: []fs.FS{frame.Migrations}}}
}
