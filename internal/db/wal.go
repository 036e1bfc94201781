package db

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// LogState is what stands in the write-ahead log of a SQLite file that nobody has open: what a start will recover.
type LogState struct {
	Transactions int // whole ones, which SQLite takes over
	Frames       int // pages of those
	// Unfinished is the number of pages after the last whole transaction: what was being written when the machine or the
	// program stopped. It was never answered.
	Unfinished int
	// Damaged says that the log is broken before transactions that had been flushed to the disk: SQLite will not take over
	// what stands behind the broken place. A crash does not do that, a failing disk does.
	Damaged bool
	// Behind is the number of whole transactions behind the broken place, as far as they can be recognised.
	Behind int
}

// Of the format of SQLite's write-ahead log (sqlite.org/fileformat2.html, 4.1 and 4.2).
const (
	walHeader = 32
	walFrame  = 24
	walMagic  = 0x377f0682 // the lowest bit says in which order the words of the checksums stand
)

// InspectLog reads the write-ahead log beside the SQLite file at path, before the file is opened: SQLite itself ends at the
// first broken frame without a word. A log that does not exist is empty.
func InspectLog(path string) (LogState, error) {
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return LogState{}, nil
	}
	if err != nil {
		return LogState{}, fmt.Errorf("inspect the write-ahead log: %w", err)
	}
	s, err := inspectLog(bufio.NewReaderSize(f, 1<<20))
	if err := errors.Join(err, f.Close()); err != nil {
		return LogState{}, fmt.Errorf("inspect the write-ahead log: %w", err)
	}
	return s, nil
}

func inspectLog(r io.Reader) (s LogState, err error) {
	head := make([]byte, walHeader)
	if ended, err := readFull(r, head); ended || err != nil {
		return s, err
	}
	order := binary.ByteOrder(binary.LittleEndian)
	magic := binary.BigEndian.Uint32(head)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	size := binary.BigEndian.Uint32(head[8:])
	if magic&^1 != walMagic || size < 512 || size > 65536 || size&(size-1) != 0 {
		return s.headless(r)
	}
	sum := checksum{order: order}
	sum.add(head[:24])
	if !sum.is(head[24:]) {
		return s.headless(r)
	}
	frame := make([]byte, walFrame+int(size))
	salts := string(head[16:24])
	open, foreign, broken, commits := 0, 0, false, 0
	for {
		ended, err := readFull(r, frame)
		if err != nil {
			return s, err
		}
		if ended {
			break
		}
		if string(frame[8:16]) != salts { // of an earlier round of the log, unless one of this round follows
			broken = true
			foreign++
			continue
		}
		open, foreign = open+foreign, 0
		commit := binary.BigEndian.Uint32(frame[4:]) != 0
		if !broken {
			sum.add(frame[:8])
			sum.add(frame[walFrame:])
			broken = !sum.is(frame[16:])
		}
		open++
		switch {
		case broken && commits > 0: // a transaction begins only when the one before it has been flushed
			s.Damaged = true
			if commit {
				commits++
			}
		case broken && commit:
			commits++
		case commit:
			s.Transactions++
			s.Frames += open
			open = 0
		}
	}
	s.Unfinished = open
	if s.Damaged {
		s.Behind = commits
	}
	return s, nil
}

// headless judges a log whose head is broken: SQLite takes nothing of it. The head is flushed before what follows.
func (s LogState) headless(r io.Reader) (LogState, error) {
	n, err := io.Copy(io.Discard, r)
	s.Damaged = n > walFrame
	return s, err
}

// readFull reads a whole buffer; ended says that there is no more, or only a part.
func readFull(r io.Reader, b []byte) (ended bool, err error) {
	_, err = io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true, nil
	}
	return false, err
}

// checksum is the running checksum of a log.
type checksum struct {
	order  binary.ByteOrder
	s0, s1 uint32
}

func (c *checksum) add(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		c.s0 += c.order.Uint32(b) + c.s1
		c.s1 += c.order.Uint32(b[4:]) + c.s0
	}
}

// is compares with a stored checksum, which stands in big-endian order whatever the order of its words.
func (c *checksum) is(b []byte) bool {
	return binary.BigEndian.Uint32(b) == c.s0 && binary.BigEndian.Uint32(b[4:]) == c.s1
}
