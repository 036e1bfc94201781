package soak

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Node is a node that runs as a process of its own, so that it can be killed.
type Node struct {
	Addr string // host:port, the same after each start
	Key  string // API key of its first organisation
	Dir  string // data directory
	// Database is the URL of its PostgreSQL, "" for SQLite.
	Database string

	command []string // program and arguments
	env     []string
	log     *os.File

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

// NewNode prepares a node: program is the command line up to "serve", dir its data directory, database the URL of
// PostgreSQL or "". More arguments follow those of this package.
func NewNode(program, env []string, dir, database string, more ...string) (*Node, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	n := &Node{Addr: addr, Key: "soak-soak-soak-soak-soak", Dir: dir, Database: database}
	n.command = append(append([]string{}, program...), "serve", "--data-dir", dir, "--http", addr, "--admission", "open")
	if database != "" {
		n.command = append(n.command, "--database", database)
	}
	n.command = append(n.command, more...)
	n.env = append(append(os.Environ(), env...), "LUMELA_BOOTSTRAP_API_KEY="+n.Key)
	if n.log, err = os.CreateTemp("", "lumela-soak-*.log"); err != nil { // beside the data, which may be full
		return nil, err
	}
	return n, nil
}

// freeAddress is a free port of a loopback address that no other program connects from: while the node is down, nobody's
// connection can take its place.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 100+rand.IntN(100), 1+rand.IntN(250), 1+rand.IntN(250)))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// startTime bounds the start of a node.
const startTime = 30 * time.Second

// Begin starts the process and does not wait for it.
func (n *Node) Begin() error {
	cmd := exec.Command(n.command[0], n.command[1:]...)
	cmd.Env = n.env
	cmd.Stderr = struct{ io.Writer }{n.log}                            // by a pipe: a limit of the node's files must not silence it
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // never left behind
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the node: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cmd, n.ended = cmd, ended
	return nil
}

// Start starts the node and returns when it is ready.
func (n *Node) Start() error {
	if err := n.Begin(); err != nil {
		return err
	}
	return n.Await(http.StatusOK)
}

// Ready asks /readyz: the status and the text, 0 when nobody answers.
func (n *Node) Ready() (int, string) {
	resp, err := http.Get("http://" + n.Addr + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }() // read as far as it is wanted
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, b.String()
}

// Await waits until /readyz has a status.
func (n *Node) Await(status int) error {
	_, ended := n.process()
	for deadline := time.Now().Add(startTime); ; {
		got, text := n.Ready()
		if got == status {
			return nil
		}
		select {
		case <-ended:
			return n.explain(errors.New("the node has ended"))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return n.explain(fmt.Errorf("/readyz is %d %s, want %d, after %s", got, text, status, startTime))
		}
	}
}

func (n *Node) process() (*exec.Cmd, chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd, n.ended
}

// Pid is the process id of the running node.
func (n *Node) Pid() int {
	cmd, _ := n.process()
	return cmd.Process.Pid
}

// Kill ends the node at once, as kill -9 does.
func (n *Node) Kill() error {
	cmd, ended := n.process()
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-ended
	return nil
}

// Stop drains the node.
func (n *Node) Stop() error {
	cmd, ended := n.process()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		return errors.Join(n.explain(errors.New("the node did not stop in time")), n.Kill())
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return n.explain(fmt.Errorf("the node ended with %d", code))
	}
	return nil
}

// Wait waits for the end of a process that is to end by itself and gives its exit code.
func (n *Node) Wait() int {
	cmd, ended := n.process()
	<-ended
	return cmd.ProcessState.ExitCode()
}

// KillAndStart is a harm for [Options.Kill]: kill -9, and a new start; now and then the new start is killed too, at an
// instant of its own.
func (n *Node) KillAndStart(rng *rand.Rand, _ int) error {
	if err := n.Kill(); err != nil {
		return err
	}
	for rng.IntN(4) == 0 {
		if err := n.Begin(); err != nil {
			return err
		}
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond)
		if err := n.Kill(); err != nil {
			return err
		}
	}
	return n.Start()
}

// Log is what the node has written to its log.
func (n *Node) Log() (string, error) {
	raw, err := os.ReadFile(n.log.Name())
	return string(raw), err
}

// Remove ends the node by force when it still runs, and deletes its log.
func (n *Node) Remove() error {
	var err error
	if cmd, _ := n.process(); cmd != nil {
		err = n.Kill()
	}
	return errors.Join(err, n.log.Close(), os.Remove(n.log.Name()))
}

// explain adds the last lines of the node's log to an error.
func (n *Node) explain(err error) error {
	text, readErr := n.Log()
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	const most = 4000
	return fmt.Errorf("%w\nlast words of the node:\n%s", err, text[max(0, len(text)-most):])
}

// Build builds lumela into a folder and gives the path of the binary. It is called in the module's folder or below.
func Build(dir string) (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	binary := filepath.Join(dir, "lumela")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/lumela")
	cmd.Dir, cmd.Stderr, cmd.Env = string(bytes.TrimSpace(root)), os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build lumela: %w", err)
	}
	return binary, nil
}
