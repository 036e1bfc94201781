//go:build !unix

package app

import "math"

// openFiles: this system has no such limit.
func openFiles() (uint64, error) { return math.MaxInt32, nil }
