package archive

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Result tells what has been written.
type Result struct {
	Header   Header
	Manifest Manifest
	Size     int64 // of the file in bytes
}

// WriteFile has write fill a new file, reads it back and verifies it, and only then gives it its name. A file that has the
// name already is replaced with force only. It is readable by its owner alone: it holds password hashes and keys.
func WriteFile(path string, force bool, write func(w io.Writer) error) (Result, error) {
	if _, err := os.Lstat(path); err == nil && !force {
		return Result{}, fmt.Errorf("%w: %s exists; --force replaces it", ErrRefused, path)
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*.partial")
	if err != nil {
		return Result{}, fmt.Errorf("make the archive: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // is gone when all went well
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return Result{}, err
	}
	var res Result
	if res.Header, res.Manifest, err = Verify(f.Name()); err != nil {
		return res, fmt.Errorf("read back what was written: %w", err)
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return res, err
	}
	res.Size = info.Size()
	if err := place(f.Name(), path, force); err != nil {
		return res, err
	}
	return res, syncDir(dir)
}

// place gives a file its final name. A hard link fails where the name is taken meanwhile; file systems without links get
// a rename.
func place(from, to string, force bool) error {
	if !force {
		err := os.Link(from, to)
		if err == nil {
			return nil
		}
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%w: %s exists; --force replaces it", ErrRefused, to)
		}
	}
	return os.Rename(from, to)
}

// syncDir makes names in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
