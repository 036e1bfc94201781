//go:build unix

package app

import "syscall"

// openFiles is how many files this process may have open, after asking for as many as it may ask for.
func openFiles() (uint64, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	if r.Cur < r.Max { // Go has done so at its start, unless somebody set it since
		raised := syscall.Rlimit{Cur: r.Max, Max: r.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
			r = raised
		}
	}
	return uint64(r.Cur), nil //nolint:unconvert // signed on some systems
}
