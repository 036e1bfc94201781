package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// MainFile is the ledger's database within a data directory.
const MainFile = "lumela.db"

// Extension ends the names of the files that scheduled backups make.
const Extension = ".backup"

// BackupOptions say what to back up.
type BackupOptions struct {
	Dir           string // data directory; its node may be running
	WithoutFrames bool   // leave out the log of raw frames, often the larger part
	Version       string // of the program
}

// WriteBackup writes the data directory of an embedded node as one archive. Each database is read as it is at one moment,
// in a transaction beside the node's own, which are not held up; what the node writes meanwhile makes its write-ahead log
// longer until the backup has ended. Files that are no databases are copied as they are.
func WriteBackup(ctx context.Context, w io.Writer, o BackupOptions) error {
	files, err := dataFiles(o.Dir, o.WithoutFrames)
	if err != nil {
		return err
	}
	if !slices.Contains(files, MainFile) {
		return fmt.Errorf("%w: %s holds no %s: it is not the data directory of an embedded node", ErrRefused, o.Dir, MainFile)
	}
	b := &backup{dir: o.Dir}
	return withSnapshot(ctx, filepath.Join(o.Dir, MainFile), func(s *snapshot) error {
		if b.w, err = newWriter(w, Header{Format: Backup, Version: o.Version, TakenAt: time.Now().UTC().Truncate(time.Microsecond), Engine: "sqlite",
			Schema: s.schema, WithoutFrames: o.WithoutFrames}); err != nil {
			return err
		}
		if err := b.add(ctx, MainFile, s); err != nil {
			return err
		}
		for _, name := range files {
			if name == MainFile {
				continue
			}
			if err := b.file(ctx, name); err != nil {
				return fmt.Errorf("back up %s: %w", name, err)
			}
		}
		return b.w.close()
	})
}

type backup struct {
	dir string
	w   *writer
}

// add writes the snapshot of a database.
func (b *backup) add(ctx context.Context, name string, s *snapshot) error {
	pages := s.reader(ctx)
	defer func() { _ = pages.Close() }() // ends the reading when the writing failed
	if err := b.w.add(filesPrefix+name, s.pages*s.pageSize, pages, s.rows); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, pages) // the reading itself has ended, and well
	return err
}

// filesPrefix begins the names of the parts that are files of the data directory.
const filesPrefix = "files/"

func (b *backup) file(ctx context.Context, name string) error {
	path := filepath.Join(b.dir, filepath.FromSlash(name))
	// A database is never opened as a mere file: to close that file would end all locks that SQLite has on it in this
	// process, and this process may be the node.
	if strings.HasSuffix(name, ".db") {
		err := withSnapshot(ctx, path, func(s *snapshot) error { return b.add(ctx, name, s) })
		if err != nil {
			if _, gone := os.Lstat(path); errors.Is(gone, fs.ErrNotExist) {
				return nil // forgotten meanwhile, as frames past their retention are
			}
		}
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = b.w.add(filesPrefix+name, info.Size(), f, nil)
	}
	return errors.Join(err, f.Close())
}

// dataFiles lists what of a data directory is kept, by slash-separated relative name: everything but what SQLite makes
// again, what other archives hold, and what an earlier restore has put aside.
func dataFiles(dir string, withoutFrames bool) ([]string, error) {
	var out []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name != "." {
			return nil // gone since its folder was read
		}
		if err != nil || name == "." {
			return err
		}
		if e.IsDir() {
			if passing(e.Name()) || withoutFrames && e.Name() == "frames" {
				return fs.SkipDir
			}
			return nil
		}
		if e.Type().IsRegular() && !passing(e.Name()) && !(withoutFrames && isFrames(name)) {
			out = append(out, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the data directory: %w", err)
	}
	return out, nil
}

// isFrames reports whether a file belongs to the log of raw frames.
func isFrames(name string) bool {
	base := filepath.Base(name)
	return strings.HasPrefix(base, "frames") && strings.HasSuffix(base, ".db")
}

// passing reports whether a name within a data directory is of no worth by itself.
func passing(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, asidePrefix) || name == unfinishedMark || name == lockFile {
		return true
	}
	for _, end := range []string{"-wal", "-shm", "-journal", ".partial", Extension} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}
