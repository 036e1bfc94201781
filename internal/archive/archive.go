// Package archive takes what a node keeps out of its databases and brings it back: a backup is the files of an embedded
// node, taken while it runs; an export is every row in a form that SQLite and PostgreSQL both take.
//
// Both are one file: a tar inside zstd. It begins with a header that says what it is, and ends with a manifest that
// counts and hashes every part before it, so that a file that was cut, damaged or mixed is known as such before anything
// is done with it. What comes from an archive is put together beside the place where it belongs and takes that place at
// the very end: a restore or import that fails leaves everything as it was.
package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

var (
	// ErrRefused marks what is possible once the operator has changed or allowed something; the text says what.
	ErrRefused = errors.New("refused")
	// ErrDamaged marks a file that is not a whole archive.
	ErrDamaged = errors.New("damaged archive")
)

// Format is the kind of an archive.
type Format string

// The formats.
const (
	Backup Format = "lumela-backup" // files of a data directory
	Export Format = "lumela-export" // rows of all tables
)

// formatVersion changes when older programs could not read what newer ones write.
const formatVersion = 1

// Header is the first part of an archive.
type Header struct {
	Format        Format    `json:"format"`
	FormatVersion int       `json:"formatVersion"`
	Version       string    `json:"version"` // of the program that wrote it
	TakenAt       time.Time `json:"takenAt"` // the moment whose state it holds, within the seconds that its beginning took
	Engine        string    `json:"engine"`
	Schema        []int64   `json:"schema"` // numbers of the migrations that had been applied
	WithoutFrames bool      `json:"withoutFrames,omitempty"`
	Tables        []Table   `json:"tables,omitempty"` // of an export, in the order of their rows
}

// Part is one piece of an archive as its manifest tells of it.
type Part struct {
	Name   string           `json:"name"`
	Size   int64            `json:"size"`
	SHA256 string           `json:"sha256"`
	Rows   map[string]int64 `json:"rows,omitempty"` // by table, where the part holds rows
}

// Manifest is the last part of an archive.
type Manifest struct {
	Parts []Part `json:"parts"`
}

// Rows is the number of rows of each table.
func (m *Manifest) Rows() map[string]int64 {
	sum := map[string]int64{}
	for _, p := range m.Parts {
		for table, n := range p.Rows {
			sum[table] += n
		}
	}
	return sum
}

const (
	headerName   = "header.json"
	manifestName = "manifest.json"
	// maxManifest bounds what is read into memory before it is trusted.
	maxManifest = 64 << 20
)

// writer writes an archive part by part.
type writer struct {
	zip      *zstd.Encoder
	tar      *tar.Writer
	manifest Manifest
	at       time.Time
}

// newWriter begins an archive. One goroutine compresses: the node beside it has better use for the other cores.
func newWriter(w io.Writer, h Header) (*writer, error) {
	zip, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	h.FormatVersion = formatVersion
	out := &writer{zip: zip, tar: tar.NewWriter(zip), at: h.TakenAt}
	raw, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return nil, err
	}
	return out, out.add(headerName, int64(len(raw)), bytes.NewReader(raw), nil)
}

// add writes one part of a size that is known before. rows may be filled until add returns.
func (w *writer) add(name string, size int64, r io.Reader, rows map[string]int64) error {
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: w.at, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	sum := sha256.New()
	n, err := io.Copy(w.tar, io.TeeReader(io.LimitReader(r, size), sum))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes came instead of %d", n, size)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	w.manifest.Parts = append(w.manifest.Parts, Part{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)), Rows: rows})
	return nil
}

// close writes the manifest and ends the archive. Without it the archive is not whole.
func (w *writer) close() error {
	raw, err := json.MarshalIndent(w.manifest, "", " ")
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(raw)), ModTime: w.at, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if _, err := w.tar.Write(raw); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := errors.Join(w.tar.Close(), w.zip.Close()); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

// reader reads an archive part by part.
type reader struct {
	Header Header
	head   Part // the header itself
	file   *os.File
	zip    *zstd.Decoder
	tar    *tar.Reader
}

func openReader(path string) (*reader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f}
	// A window of 8 MiB is what the writer uses; a file that asks for gigabytes is not ours.
	if r.zip, err = zstd.NewReader(bufio.NewReaderSize(f, 1<<20), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20)); err != nil {
		return nil, errors.Join(damaged("%s: %v", path, err), f.Close())
	}
	r.tar = tar.NewReader(r.zip)
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), r.close())
	}
	return r, nil
}

func (r *reader) readHeader() error {
	h, err := r.tar.Next()
	if err != nil || h.Name != headerName || h.Size > maxManifest {
		return damaged("this is no archive of Lumela")
	}
	raw, err := io.ReadAll(r.tar)
	if err != nil {
		return damaged("%v", err)
	}
	if err := json.Unmarshal(raw, &r.Header); err != nil {
		return damaged("header: %v", err)
	}
	sum := sha256.Sum256(raw)
	r.head = Part{Name: headerName, Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:])}
	if r.Header.FormatVersion > formatVersion {
		return fmt.Errorf("%w: the archive is of format %d, this program reads up to %d: use a newer Lumela", ErrRefused, r.Header.FormatVersion, formatVersion)
	}
	return nil
}

// next gives the next part; io.EOF before the manifest.
func (r *reader) next() (string, io.Reader, error) {
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return "", nil, damaged("it ends too early")
	case err != nil:
		return "", nil, damaged("%v", err)
	case h.Name == manifestName:
		return "", nil, io.EOF
	}
	return h.Name, r.tar, nil
}

func (r *reader) close() error {
	r.zip.Close()
	return r.file.Close()
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Verify reads a whole archive and holds every part against the manifest. The error is ErrDamaged when it does not agree,
// and ErrRefused when the archive is of a newer format.
func Verify(path string) (Header, Manifest, error) {
	r, err := openReader(path)
	if err != nil {
		return Header{}, Manifest{}, err
	}
	m, err := r.verify()
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return r.Header, m, errors.Join(err, r.close())
}

func (r *reader) verify() (Manifest, error) {
	var m Manifest
	found := map[string]Part{headerName: r.head}
	for {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			return m, damaged("it ends before its manifest")
		}
		if err != nil {
			return m, damaged("%v", err)
		}
		if h.Name == manifestName {
			break
		}
		if _, twice := found[h.Name]; twice {
			return m, damaged("part %s comes twice", h.Name)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, r.tar)
		if err != nil {
			return m, damaged("part %s: %v", h.Name, err)
		}
		found[h.Name] = Part{Name: h.Name, Size: n, SHA256: sumText(sum)}
	}
	raw, err := io.ReadAll(io.LimitReader(r.tar, maxManifest))
	if err != nil {
		return m, damaged("manifest: %v", err)
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, damaged("manifest: %v", err)
	}
	if _, err := io.Copy(io.Discard, r.zip); err != nil { // to the checksum at the end of the compressed file
		return m, damaged("%v", err)
	}
	return m, m.agrees(found)
}

// agrees holds the parts that were found against the manifest.
func (m *Manifest) agrees(found map[string]Part) error {
	for _, p := range m.Parts {
		got, ok := found[p.Name]
		switch {
		case !ok:
			return damaged("part %s is missing", p.Name)
		case got.Size != p.Size, got.SHA256 != p.SHA256:
			return damaged("part %s is not what was written", p.Name)
		}
		delete(found, p.Name)
	}
	for name := range found {
		return damaged("part %s is not in the manifest", name)
	}
	return nil
}

func sumText(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
