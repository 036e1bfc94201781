package archive

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Versions are the numbers of all migrations in the folders, sorted.
func Versions(dirs ...fs.FS) ([]int64, error) {
	var out []int64
	for _, dir := range dirs {
		err := fs.WalkDir(dir, ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			if v, ok := versionOf(p); ok {
				out = append(out, v)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// versionOf is the number that the name of a migration begins with.
func versionOf(name string) (int64, bool) {
	name = path.Base(name)
	number, _, ok := strings.Cut(name, "_")
	if !ok || path.Ext(name) != ".sql" {
		return 0, false
	}
	v, err := strconv.ParseInt(number, 10, 64)
	return v, err == nil
}

// only is a folder of migrations without those that an archive's database had not had. Rows are loaded into the schema that
// they come from; the later migrations then change them as they change those of any database.
type only struct {
	fs.FS
	versions []int64
}

// ReadDir implements fs.ReadDirFS.
func (o only) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(o.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		v, ok := versionOf(e.Name())
		return !e.IsDir() && ok && !slices.Contains(o.versions, v)
	}), err
}

func onlyOf(dirs []fs.FS, versions []int64) []fs.FS {
	out := make([]fs.FS, len(dirs))
	for i, d := range dirs {
		out[i] = only{d, versions}
	}
	return out
}
