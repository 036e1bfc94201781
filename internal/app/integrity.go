package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/session"
)

// databaseFile is the ledger of an embedded node, in its data directory.
const databaseFile = "lumela.db"

// lockFile is held by the node that uses the data directory.
const lockFile = "lumela.lock"

// errInUse: two nodes would write to one SQLite file, each with figures in memory that the other does not know.
var errInUse = errors.New("another lumela uses this data directory; each node needs its own, or all of them one PostgreSQL (--database)")

// lockDir takes the data directory for this process. The system frees it with the process, however that ends.
func lockDir(dir string) (release func() error, err error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 200)) // who it is only helps
		err = fmt.Errorf("%s: %w", dir, err)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = fmt.Errorf("%s: %w (%s)", dir, errInUse, strings.TrimSpace(string(holder)))
		}
		return nil, errors.Join(err, f.Close())
	}
	// Who holds it is for people; a full disk must not keep the node from starting.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "process %d since %s\n", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	}
	return f.Close, nil
}

// inspect looks at what the last run has left behind, before SQLite recovers it. What is broken is kept beside the
// database, and the node starts all the same: the stations that it has to serve are not to blame.
func (n *node) inspect(path string) error {
	s, err := db.InspectLog(path)
	if err != nil {
		return err
	}
	n.crashed = s.Transactions > 0 || s.Unfinished > 0
	switch {
	case s.Damaged:
		kept := fmt.Sprintf("%s-wal.damaged-%s", path, time.Now().UTC().Format("20060102-150405"))
		if err := copyFile(path+"-wal", kept); err != nil {
			return fmt.Errorf("keep the damaged write-ahead log: %w", err)
		}
		n.complain(fmt.Sprintf("the write-ahead log is damaged in the middle: %d transactions were recovered, at least %d behind the damage are lost; it is kept as %s",
			s.Transactions, s.Behind, kept))
	case n.crashed:
		n.log.Warn("the last run did not end in order: recovered to the last whole transaction", "transactions", s.Transactions, "pages", s.Frames, "unfinishedPages", s.Unfinished)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close(), in.Close())
}

// complain raises the alarm about the database itself: in the log, as a figure, and, when that can be, as an event.
func (n *node) complain(text string) {
	n.log.Error("the database is damaged", "finding", text)
	n.damages.Add(1)
	n.complaints = append(n.complaints, text)
}

// quickCheckLimit is the size of a SQLite file in bytes up to which every start looks through it; larger ones are only
// looked through after a run that did not end in order.
const quickCheckLimit = 1 << 30

// checkStart looks through the database beside the work of the node, and tells the operator what it and the start have
// found.
func (n *node) checkStart(ctx context.Context, organisation string) {
	if n.db.Engine() == db.SQLite && (n.crashed || fileSize(filepath.Join(n.cfg.DataDir, databaseFile)) <= quickCheckLimit) {
		found, err := n.db.Check(ctx, true)
		switch {
		case err != nil && ctx.Err() == nil:
			n.complain(err.Error())
		case len(found) > 0:
			n.complain(strings.Join(found, "; "))
		}
	}
	for _, text := range n.complaints {
		err := n.db.Write(ctx, func(tx *db.Tx) error {
			n.events.Record(tx, event.New(event.Integrity, organisation, "", tx.Now(), map[string]string{"text": text}))
			return nil
		})
		if err != nil && ctx.Err() == nil {
			n.log.Error("event of the damage not recorded", "error", err)
		}
	}
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// startCheck runs checkStart until it ends or the node does.
func (n *node) startCheck(organisation string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.checkStart(ctx, organisation)
	}()
	n.onClose(func() error {
		cancel()
		<-done
		return nil
	})
}

// errDefects: the findings have been printed.
var errDefects = errors.New("the database is damaged")

func checkCommand() *cobra.Command {
	var where place
	cmd := &cobra.Command{
		Use: "check", Short: "Look through the database: its structure, every stored message, every ended session",
		Long: "Reads the whole database and prints what is wrong: pages that are broken (SQLite), messages that are not what they\n" +
			"were when they were stored, ended sessions whose figures are not those of their messages. It changes nothing and may\n" +
			"run beside the node. --data-dir or --database says where.\n\nExit codes: 0 all is well, 1 something is damaged or could not be read.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := where.load(cmd.Flags())
			if err != nil {
				return err
			}
			return check(cmd.Context(), cfg, cmd.OutOrStdout())
		},
	}
	where.add(cmd.Flags(), "data-dir", "database")
	return cmd
}

func check(ctx context.Context, cfg Config, w io.Writer) (err error) {
	o := db.Options{URL: cfg.Database, Log: slog.New(slog.DiscardHandler)}
	if cfg.Database == "" {
		o.Path = filepath.Join(cfg.DataDir, databaseFile)
		if _, err := os.Stat(o.Path); err != nil { // it would be made otherwise
			return fmt.Errorf("there is no database: %w", err)
		}
	}
	d, err := db.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	found, err := d.Check(ctx, false)
	if err != nil {
		found = []string{err.Error()} // what is left is looked at all the same
	}
	for _, text := range found {
		_, _ = fmt.Fprintln(w, "database:", text) // a broken pipe is nothing that could be said
	}
	v, err := session.Verify(ctx, d, func(x session.Defect) { _, _ = fmt.Fprintf(w, "session %s: %s\n", x.Session, x.Text) })
	_, _ = fmt.Fprintf(w, "%d sessions and %d messages looked at, %d defects\n", v.Sessions, v.Messages, v.Defects+len(found))
	switch {
	case err != nil:
		return err
	case v.Defects > 0 || len(found) > 0 && d.Engine() == db.SQLite:
		return errDefects
	}
	return nil
}
