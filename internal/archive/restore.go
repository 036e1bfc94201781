package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RestoreOptions say how a backup becomes a data directory.
type RestoreOptions struct {
	Dir   string
	Force bool // a directory with content: keep that aside
	// Known are the migrations of this program: a backup with others is of a newer one.
	Known []int64
	// Finish is called with the folder in which the new content stands complete, before it takes its place: what a node
	// must not believe of an old state is put right there.
	Finish func(ctx context.Context, dir string, taken time.Time) error
}

// Restored tells what has been put in place.
type Restored struct {
	Header   Header
	Manifest Manifest
	Aside    string // folder that keeps what was there before, "" for none
}

// Restore makes a data directory of a backup: verified first, put together beside, checked by SQLite, and then moved to its
// place. No node may run on the directory.
func Restore(ctx context.Context, file string, o RestoreOptions) (Restored, error) {
	res, err := verifyFor(file, Backup, o.Known)
	if err != nil {
		return res, err
	}
	res.Aside, err = install(ctx, o.Dir, o.Force, func(staging string) error {
		if err := extract(ctx, file, staging, &res.Manifest); err != nil {
			return err
		}
		if o.Finish == nil {
			return nil
		}
		return o.Finish(ctx, staging, res.Header.TakenAt)
	})
	return res, err
}

// Check does what a restore does up to the moment in which files change their places, in a folder for temporary files: a
// backup that passes can be restored. Of an export it verifies the checksums.
func Check(ctx context.Context, file string, known []int64) (Restored, error) {
	h, m, err := Verify(file)
	res := Restored{Header: h, Manifest: m}
	if err != nil {
		return res, err
	}
	if err := knows(h, known); err != nil || h.Format != Backup {
		return res, err
	}
	dir, err := os.MkdirTemp("", "lumela-check-")
	if err != nil {
		return res, err
	}
	return res, errors.Join(extract(ctx, file, dir, &m), os.RemoveAll(dir))
}

func verifyFor(file string, format Format, known []int64) (Restored, error) {
	h, m, err := Verify(file)
	res := Restored{Header: h, Manifest: m}
	switch {
	case err != nil:
		return res, err
	case h.Format != format && format == Backup:
		return res, fmt.Errorf("%w: %s is an export: use lumela import", ErrRefused, file)
	case h.Format != format:
		return res, fmt.Errorf("%w: %s is a backup: use lumela restore", ErrRefused, file)
	}
	return res, knows(h, known)
}

// knows refuses the archive of a program that is newer than this one.
func knows(h Header, known []int64) error {
	for _, v := range h.Schema {
		if !slices.Contains(known, v) {
			return fmt.Errorf("%w: the archive was written by Lumela %s, whose database is newer (migration %d) than this program knows: use that version or a newer one",
				ErrRefused, h.Version, v)
		}
	}
	return nil
}

// extract writes the files of a backup into a folder and has SQLite check the databases among them.
func extract(ctx context.Context, file, dir string, m *Manifest) error {
	r, err := openReader(file)
	if err != nil {
		return err
	}
	err = r.extractTo(ctx, dir)
	if err := errors.Join(err, r.close()); err != nil {
		return err
	}
	for _, p := range m.Parts {
		if p.Rows == nil {
			continue
		}
		if err := checkFile(ctx, filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(p.Name, filesPrefix))), p.Rows); err != nil {
			return fmt.Errorf("check %s: %w", p.Name, err)
		}
	}
	return nil
}

func (r *reader) extractTo(ctx context.Context, dir string) error {
	for {
		name, content, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(name, filesPrefix)
		if !ok || !filepath.IsLocal(filepath.FromSlash(rest)) {
			return damaged("part %q is no file of a data directory", name)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeOut(filepath.Join(dir, filepath.FromSlash(rest)), content); err != nil {
			return fmt.Errorf("restore %s: %w", rest, err)
		}
	}
}

func writeOut(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
