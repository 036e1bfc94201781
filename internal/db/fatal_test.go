package db_test

import "runtime"

// goexit ends the calling goroutine as testing's Fatal does.
func goexit() { runtime.Goexit() }
