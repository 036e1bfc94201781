// Package node runs the real program for stations that others wrote: it is built and started as an operator would, and
// asked only by what it offers to the outside.
package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Node is a running program.
type Node struct {
	// URL is the base of the API, Socket the base of the stations' URLs; neither ends with a slash.
	URL, Socket string
	// Key is an API key of an owner.
	Key string

	cmd  *exec.Cmd
	log  output
	done chan struct{}
}

const (
	apiKey    = "a-key-for-tests-only"
	startTime = 30 * time.Second
	stopTime  = 15 * time.Second // the program promises 10 s
)

// Main starts a node for all tests of a package, runs them, and stops it. It gives the exit code: a node that does not
// start, does not end cleanly or that complained of an error fails the package.
func Main(m *testing.M, shared **Node) int {
	dir, err := os.MkdirTemp("", "lumela-thirdparty-")
	if err != nil {
		return fail("make a folder: %v", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system empties its folder sooner or later
	n, err := start(dir)
	if err != nil {
		return fail("%v", err)
	}
	*shared = n
	code := m.Run()
	if err := n.stop(); err != nil {
		return fail("%v\n%s", err, n.log.String())
	}
	if bad := n.complaints(); bad != "" {
		return fail("the node complained:\n%s", bad)
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "log of the node:\n"+n.log.String())
	}
	return code
}

func fail(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 1
}

// start builds the program, unless LUMELA_BIN names one, and runs it on a free port.
func start(dir string) (*Node, error) {
	bin := os.Getenv("LUMELA_BIN")
	if bin == "" {
		bin = filepath.Join(dir, "lumela")
		_, file, _, _ := runtime.Caller(0)
		build := exec.Command("go", "build", "-o", bin, "./cmd/lumela")
		build.Dir = filepath.Join(filepath.Dir(file), "../../..")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build lumela: %w\n%s", err, out)
		}
	}
	n := &Node{Key: apiKey, done: make(chan struct{})}
	n.cmd = exec.Command(bin, "serve", "--data-dir", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--admission", "open")
	n.cmd.Env = append(os.Environ(), "LUMELA_BOOTSTRAP_API_KEY="+apiKey)
	n.cmd.Stderr = &n.log
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start lumela: %w", err)
	}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start lumela: %w", err)
	}
	address := make(chan string, 1)
	go func() {
		defer close(n.done)
		readAddress(io.TeeReader(stdout, &n.log), address)
	}()
	select {
	case socket := <-address:
		n.Socket = strings.TrimSuffix(socket, "/{stationId}")
		n.URL = "http://" + strings.TrimSuffix(strings.TrimPrefix(n.Socket, "ws://"), "/ocpp") + "/api/v1"
		return n, nil
	case <-n.done:
		err = errors.New("lumela ended before it was ready")
	case <-time.After(startTime):
		err = errors.New("lumela did not say where it listens")
	}
	return nil, errors.Join(err, n.cmd.Process.Kill(), errors.New(n.log.String()))
}

// readAddress finds the stations' URL in what the program prints, and reads on until it ends.
func readAddress(r io.Reader, address chan<- string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) == 2 && words[0] == "Stations" {
			address <- words[1]
		}
	}
}

// stop ends the program as a service manager does.
func (n *Node) stop() error {
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop lumela: %w", err)
	}
	select {
	case <-n.done: // its output has ended, and so it has
	case <-time.After(stopTime):
		return errors.Join(errors.New("lumela did not end in time"), n.cmd.Process.Kill())
	}
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("lumela ended badly: %w", err)
	}
	return nil
}

// complaints are the lines of the log that tell of an error of the program.
func (n *Node) complaints() string {
	var bad []string
	for line := range strings.Lines(n.log.String()) {
		if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") {
			bad = append(bad, line)
		}
	}
	return strings.Join(bad, "")
}

// output collects what the program prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
