package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that is measured.
type process struct {
	cmd      *exec.Cmd
	addr     string
	tls      string // address, "" without
	profiles string // address, "" without
	log      *os.File
	ended    chan struct{}
}

const apiKey = "bench-bench-bench-bench"

// startNode starts lumela with an empty data directory and more flags, and waits until it serves, plain and by TLS.
func startNode(o *options, name, database string, more ...string) (*process, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	profiles, err := freeAddress()
	if err != nil {
		return nil, err
	}
	secure, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.work, name+"-")
	if err != nil {
		return nil, err
	}
	cert, key, err := certificate(dir)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--data-dir", dir, "--http", addr, "--admission", "open",
		"--https", secure, "--tls-cert", cert, "--tls-key", key}
	args = append(args, more...)
	if database != "" {
		args = append(args, "--database", database)
	}
	p := &process{cmd: exec.Command(o.binary, args...), addr: addr, tls: secure, profiles: profiles, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "LUMELA_BOOTSTRAP_API_KEY="+apiKey, "LUMELA_PPROF="+profiles)
	if p.log, err = os.Create(filepath.Join(dir, "node.log")); err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.log
	if err := p.start(); err != nil {
		return nil, err
	}
	if err := p.await("/readyz"); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// startEcho starts the bare server.
func startEcho() (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(self, echoArgument), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the bare server: %w", err), p.stop())
	}
	p.addr = strings.TrimSpace(line)
	return p, nil
}

func (p *process) start() error {
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // never left behind
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.ended)
	}()
	return nil
}

// stop ends the server, by force when it does not end by itself.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill() // as above
		<-p.ended
	}
	if p.log != nil {
		return p.log.Close()
	}
	return nil
}

// explain adds the last lines of the node's log to an error.
func (p *process) explain(err error) error {
	if err == nil || p.log == nil {
		return err
	}
	raw, readErr := os.ReadFile(p.log.Name())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return fmt.Errorf("%w\nlast words of the node:\n%s", err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// startTime bounds the start of a node, which makes its tables first.
const startTime = 30 * time.Second

func (p *process) await(path string) error {
	for deadline := time.Now().Add(startTime); ; {
		resp, err := http.Get("http://" + p.addr + path)
		if err == nil {
			_ = resp.Body.Close() // only the status counts
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return p.explain(errors.New("the node has ended"))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return p.explain(fmt.Errorf("the node does not serve after %s", startTime))
		}
	}
}

// post calls the API, or another URL of the server.
func post(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // what there is of the reason
		return fmt.Errorf("POST %s: HTTP %d %s", url, resp.StatusCode, text)
	}
	return nil
}

// cpu is the time that the process has used, user and system.
func (p *process) cpu() (time.Duration, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	if err != nil {
		return 0, err
	}
	own, _, _, err := parseStat(raw)
	return own, err
}

// tick is the unit of times in /proc, USER_HZ, which Linux has fixed.
const tick = 10 * time.Millisecond

// parseStat reads a line of /proc/PID/stat: the CPU time of the process, that of its ended children, and its parent.
func parseStat(raw []byte) (own, children time.Duration, parent int, err error) {
	i := bytes.LastIndexByte(raw, ')') // the name before may hold anything
	fields := strings.Fields(string(raw[i+1:]))
	if i < 0 || len(fields) < 15 {
		return 0, 0, 0, fmt.Errorf("unreadable /proc/PID/stat: %q", raw)
	}
	var n [5]int64
	for k, at := range []int{1, 11, 12, 13, 14} { // ppid utime stime cutime cstime
		if n[k], err = strconv.ParseInt(fields[at], 10, 64); err != nil {
			return 0, 0, 0, fmt.Errorf("unreadable /proc/PID/stat: %w", err)
		}
	}
	return time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick, int(n[0]), nil
}

// metrics reads /metrics. Only figures without labels are kept.
func (p *process) metrics() (map[string]float64, error) {
	resp, err := http.Get("http://" + p.addr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out := map[string]float64{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		if out[name], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, fmt.Errorf("read /metrics: %w", err)
		}
	}
	return out, lines.Err()
}

// settle gives the node's free memory back.
func (p *process) settle() error {
	return post(context.Background(), "http://"+p.profiles+"/debug/settle", "")
}

// save stores a profile of the node, which takes as long as its query says.
func (p *process) save(query, file string) error {
	resp, err := http.Get("http://" + p.profiles + "/debug/pprof/" + query)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("profile %s: HTTP %d", query, resp.StatusCode)
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
