package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// stagingPrefix begins the folder in which new content is put together.
	stagingPrefix = ".restore-"
	// asidePrefix begins the folder that keeps what was replaced.
	asidePrefix = "before-restore-"
	// unfinishedMark is a file that says that a data directory is between its old content and its new one.
	unfinishedMark = "RESTORE-UNFINISHED"
	// lockFile is held by the node that uses a data directory.
	lockFile = "lumela.lock"
)

// Unfinished is an error when a restore was interrupted in the short moment in which it moves files: a node must not start
// on what is there.
func Unfinished(dir string) error {
	_, err := os.Lstat(filepath.Join(dir, unfinishedMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an interrupted restore: %w", err)
	}
	return fmt.Errorf("a restore into %s was interrupted: run it again with --force; what was there before is in its folder %s…", dir, asidePrefix)
}

// install gives a data directory new content. fill puts it together in a folder within dir, so that a volume that is
// mounted at dir will do; then files change places, the old ones to a folder that is told. Up to that moment a failure
// leaves dir as it was.
func install(ctx context.Context, dir string, force bool, fill func(staging string) error) (aside string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	release, err := lockDir(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := vacant(ctx, dir, force); err != nil {
		return "", err
	}
	staging, err := os.MkdirTemp(dir, stagingPrefix+"*")
	if err != nil {
		return "", fmt.Errorf("make a folder for the new content: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	if err := fill(staging); err != nil {
		return "", err
	}
	if err := syncTree(staging); err != nil {
		return "", err
	}
	return exchange(dir, staging)
}

// vacant refuses a directory that is in use, and one that is not empty unless that is allowed.
func vacant(ctx context.Context, dir string, force bool) error {
	names, err := present(dir)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return nil
	}
	main := filepath.Join(dir, MainFile)
	if _, err := os.Lstat(main); err == nil {
		if inUse(ctx, main) {
			return fmt.Errorf("%w: a node runs on %s: stop it first", ErrRefused, dir)
		}
	}
	if !force {
		return fmt.Errorf("%w: %s is not empty (it holds %s); --force keeps its content aside", ErrRefused, dir, names[0])
	}
	return nil
}

// present are the names in a directory that a restore would replace.
func present(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the data directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		n := e.Name()
		if strings.HasPrefix(n, stagingPrefix) || strings.HasPrefix(n, asidePrefix) || n == lockFile || n == "lost+found" {
			continue
		}
		names = append(names, n)
	}
	return names, nil
}

// exchange moves the present content aside and the new one to its place. A file that stands there from the first move to
// the last one keeps nodes from starting on the half of it.
func exchange(dir, staging string) (aside string, err error) {
	old, err := present(dir)
	if err != nil {
		return "", err
	}
	mark := filepath.Join(dir, unfinishedMark)
	if err := errors.Join(os.WriteFile(mark, []byte("A restore is moving files, or was interrupted.\n"), 0o600), syncDir(dir)); err != nil {
		return "", err
	}
	if len(old) > 0 {
		aside = filepath.Join(dir, asidePrefix+time.Now().UTC().Format("20060102T150405.000000Z"))
		if err := os.Mkdir(aside, 0o700); err != nil {
			return "", err
		}
		if err := moveAll(dir, aside, old); err != nil {
			return aside, fmt.Errorf("keep the old content aside: %w", err)
		}
	}
	fresh, err := os.ReadDir(staging)
	if err != nil {
		return aside, err
	}
	var names []string
	for _, e := range fresh {
		names = append(names, e.Name())
	}
	if err := moveAll(staging, dir, names); err != nil {
		return aside, fmt.Errorf("put the new content in its place: %w", err)
	}
	return aside, errors.Join(os.Remove(mark), syncDir(dir))
}

func moveAll(from, to string, names []string) error {
	for _, n := range names {
		if n == unfinishedMark {
			continue
		}
		if err := os.Rename(filepath.Join(from, n), filepath.Join(to, n)); err != nil {
			return err
		}
	}
	return syncDir(to)
}

// syncTree makes everything below a folder survive a power cut.
func syncTree(root string) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
