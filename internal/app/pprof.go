package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime/debug"
	"time"
)

// profileEnv names the address of the profiles; without it there are none.
const profileEnv = "LUMELA_PPROF"

// serveProfiles serves Go's profiles at the address that the environment names, for whoever measures a node. A profile
// shows what is in memory, so only addresses of this machine are taken. stop ends it.
func serveProfiles(log *slog.Logger) (stop func(), err error) {
	addr := os.Getenv(profileEnv)
	if addr == "" {
		return func() {}, nil
	}
	if err := loopback(addr); err != nil {
		return nil, fmt.Errorf("%s: %w", profileEnv, err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profileEnv, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	// What is not used any more goes back to the system, so that a measurement sees what is.
	mux.HandleFunc("POST /debug/settle", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		w.WriteHeader(http.StatusNoContent)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("profiles not served", "error", err)
		}
	}()
	return func() { _ = srv.Close() }, nil // nobody waits for what is cut
}

// loopback checks that an address is one of this machine's own.
func loopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not an address of the loopback interface", addr)
	}
	return nil
}
