package app_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"lumela/internal/app"
	"lumela/internal/app/apptest"
	"lumela/internal/tool/soak"
)

// outage is a way to take the database away from a node that runs as a process of its own, and to give it back.
type outage struct {
	node        *soak.Node
	begin, over func() error
}

// smallDisk gives a folder on a disk of 48 MiB of its own; the test is skipped where it may not mount one.
func smallDisk(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("a disk of its own needs Linux and root: the full disk is tested by the limit of the size of files only")
	}
	dir := t.TempDir()
	if err := syscall.Mount("lumela-test", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v): the full disk is tested by the limit of the size of files only", err)
	}
	t.Cleanup(func() { // after the node that uses it
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fullDisk is an outage by a disk without a free byte.
func fullDisk(t *testing.T) *outage {
	disk := smallDisk(t)
	ballast := filepath.Join(disk, "ballast")
	return &outage{
		node: startChild(t, filepath.Join(disk, "data"), ""),
		begin: func() error {
			f, err := os.Create(ballast)
			if err != nil {
				return err
			}
			for block := make([]byte, 1<<20); len(block) > 0; {
				if _, err := f.Write(block); err != nil {
					block = block[:len(block)/2] // to the last byte
				}
			}
			return f.Close()
		},
		over: func() error { return os.Remove(ballast) },
	}
}

// fileLimit is an outage by the limit of the size of files (RLIMIT_FSIZE), which needs no rights: what would make a file
// larger than nothing fails.
func fileLimit(t *testing.T) *outage {
	if runtime.GOOS != "linux" {
		t.Skip("the limits of another process can be set on Linux only")
	}
	n := startChild(t, t.TempDir(), "")
	set := func(limit uint64) error {
		const fsize = 1 // RLIMIT_FSIZE
		lim := syscall.Rlimit{Cur: limit, Max: ^uint64(0)}
		_, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(n.Pid()), fsize, uintptr(unsafe.Pointer(&lim)), 0, 0, 0)
		if errno != 0 {
			return fmt.Errorf("set the limit of files: %w", errno)
		}
		return nil
	}
	return &outage{node: n, begin: func() error { return set(0) }, over: func() error { return set(^uint64(0)) }}
}

// stoppedServer is an outage by a PostgreSQL server that is stopped at once and started again.
func stoppedServer(t *testing.T) *outage {
	p := ownPostgres(t)
	return &outage{node: startChild(t, t.TempDir(), p.url), begin: p.stop, over: p.start}
}

// postgresServer is a server of the test's own.
type postgresServer struct{ script, dir, url string }

// ownPostgres starts a PostgreSQL server that a test may stop.
func ownPostgres(t *testing.T) *postgresServer {
	t.Helper()
	base, err := os.MkdirTemp("", "lumela-pg-own-") // a short path: it holds the server's socket
	if err != nil {
		t.Fatal(err)
	}
	p := &postgresServer{script: "../../scripts/test-postgres.sh", dir: filepath.Join(base, "pg")}
	if err := os.Chmod(base, 0o755); err != nil { // the server may run as another user
		t.Fatal(err)
	}
	out, err := exec.Command(p.script, "start", p.dir).Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 3 {
		t.Skip("no PostgreSQL server is installed here")
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	p.url = strings.TrimSpace(string(out))
	// A shell stops it at the end of a pipe that only this process can write to: also when the test is killed.
	watch := exec.Command("/bin/sh", "-c", `cat >/dev/null; "$0" stop "$1"; rm -rf "$2"`, p.script, p.dir, base)
	watch.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // not reached by the terminal's interrupt
	end, err := watch.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatalf("watch over PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := end.Close(); err != nil {
			t.Error(err)
		}
		if err := watch.Wait(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
	return p
}

// stop ends the server as a crash would.
func (p *postgresServer) stop() error { return p.control("-m", "immediate", "-w", "stop") }

// start starts it again; it recovers from its log.
func (p *postgresServer) start() error {
	if out, err := exec.Command(p.script, "start", p.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w: %s", err, out)
	}
	return nil
}

func (p *postgresServer) control(args ...string) error {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_ctl")
	if err != nil || len(found) == 0 {
		return errors.Join(errors.New("no pg_ctl"), err)
	}
	args = append([]string{found[len(found)-1], "-D", p.dir + "/data"}, args...)
	if os.Getuid() == 0 {
		args = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "env", "HOME=/"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_ctl: %w: %s", err, out)
	}
	return nil
}

var outages = map[string]func(t *testing.T) *outage{"full disk": fullDisk, "limit of files": fileLimit, "stopped server": stoppedServer}

// testOutages plays a test in each kind of outage.
func testOutages(t *testing.T, test func(t *testing.T, o *outage)) {
	for name, prepare := range outages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, prepare(t))
		})
	}
}

// outageUnderLoad: what is answered before, during and after an outage is stored, once.
func outageUnderLoad(t *testing.T, o *outage, d time.Duration) {
	harm := func(rng *rand.Rand, _ int) error {
		if err := o.begin(); err != nil {
			return err
		}
		time.Sleep(200*time.Millisecond + time.Duration(rng.IntN(800))*time.Millisecond) // the length of the outage
		return o.over()
	}
	r := soakRun(t, o.node, soak.Options{Database: o.node.Database, Stations: 12, Duration: d, Between: 1500 * time.Millisecond,
		Pace: 30 * time.Millisecond, Patience: 10 * time.Second, Kill: harm})
	if r.Kills == 0 {
		t.Error("there was no outage")
	}
	if err := o.node.Await(200); err != nil {
		t.Error(err)
	}
}

// TestFaultT26: a station's messages of transactions are not answered while they cannot be stored, in every version and
// mode; it is told to wait; reading works where the database can be read; everything is stored afterwards, once.
func TestFaultT26(t *testing.T) {
	t.Parallel()
	testOutages(t, func(t *testing.T, o *outage) {
		n := nodeOf(o.node)
		type player struct {
			id, version string
			*apptest.Station
		}
		var players []*player
		for _, version := range []string{"1.6", "2.0.1", "2.1"} {
			for _, mode := range []string{"lenient", "strict"} {
				id := "T26-" + version + "-" + mode
				if mode == "strict" {
					n.Want(t, 201, "POST", "/stations", `{"id":"`+id+`"}`)
					n.Want(t, 200, "PATCH", "/stations/"+id, `{"strict":true}`)
				}
				p := &player{id, version, n.Dial(t, id, version, apptest.Dial{}).Boot(version)}
				p.Ask(startFrame(version, "1"), `[3,"start","<any>"]`)
				players = append(players, p)
			}
		}
		idle := n.Dial(t, "T26-idle", "2.1", apptest.Dial{}).Boot("2.1")
		if err := o.begin(); err != nil {
			t.Fatal(err)
		}
		for _, p := range players {
			p.Send(startFrame(p.version, "2"))
		}
		for _, p := range players {
			if code, reason := p.WaitClosed(); code != 1013 {
				t.Errorf("%s: the link was closed with %d %q, want 1013", p.id, code, reason)
			}
			if text := p.Unread(); text != "" {
				t.Errorf("%s: answered before it was stored: %s", p.id, text)
			}
		}
		duringOutage(t, n, o.node, idle)
		if err := o.over(); err != nil {
			t.Fatal(err)
		}
		if err := o.node.Await(200); err != nil {
			t.Fatal(err)
		}
		idle.Ask(apptest.BootFrame("2.1"), `[3,"boot",{"status":"Accepted","currentTime":"<time>","interval":"<any>"}]`)
		for _, p := range players {
			again := n.Dial(t, p.id, p.version, apptest.Dial{})
			again.Ask(startFrame(p.version, "2"), `[3,"start","<any>"]`)
			again.Ask(startFrame(p.version, "2"), `[3,"start","<any>"]`)
			var list struct{ Items []struct{ ID string } }
			if n.Get(t, "/sessions?station="+p.id, &list); len(list.Items) != 2 {
				t.Errorf("%s has %d sessions, want 2", p.id, len(list.Items))
			}
		}
		log, err := o.node.Log()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"the database does not write", "the database writes again"} {
			if got := strings.Count(log, text); got < 1 || got > 4 { // the ledger's and the frames', each once, and the last byte of the disk
				t.Errorf("the log says %d times %q:\n%s", got, text, log)
			}
		}
		if lines := strings.Count(log, "level=ERROR"); lines > 10 {
			t.Errorf("the log has %d errors:\n%s", lines, log)
		}
	})
}

// duringOutage looks at what the node says to everybody while nothing can be stored.
func duringOutage(t *testing.T, n *apptest.Node, process *soak.Node, idle *apptest.Station) {
	t.Helper()
	if status, text := process.Ready(); status != 503 || !strings.Contains(text, "database") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if text := n.Want(t, 200, "GET", "//metrics", "").Body; !strings.Contains(text, "\nlumela_database_healthy 0\n") {
		t.Error("lumela_database_healthy is not 0")
	}
	n.Want(t, 200, "GET", "//healthz", "")
	n.Want(t, 200, "GET", "//", "") // the console
	if process.Database == "" {
		n.Want(t, 200, "GET", "/sessions", "")
		n.Want(t, 200, "GET", "/stations", "")
		n.Want(t, 503, "POST", "/stations", `{"id":"T26-made-during-the-outage"}`)
	}
	idle.Quiet() // a Heartbeat needs no disk
	idle.Ask(apptest.BootFrame("2.1"), `[3,"boot",{"status":"Pending","currentTime":"<time>","interval":"<any>"}]`)
	resp := n.Refused(t, "T26-new", "1.6", apptest.Dial{})
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a station that connects: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
}

// nodeOf lets the tools of apptest work on a process.
func nodeOf(n *soak.Node) *apptest.Node {
	cfg := app.Default()
	cfg.DataDir, cfg.Database = n.Dir, n.Database
	return &apptest.Node{Config: cfg, Client: &apptest.Client{Base: "http://" + n.Addr, Key: n.Key}, HTTPAddr: n.Addr}
}

// startFrame begins a transaction; which tells it from others.
func startFrame(version, which string) string {
	at := "2026-11-01T10:00:0" + which + "Z"
	if version == "1.6" {
		return `[2,"start","StartTransaction",{"connectorId":` + which + `,"idTag":"50A4B07E","meterStart":` + which + `000,"timestamp":"` + at + `"}]`
	}
	return `[2,"start","TransactionEvent",{"eventType":"Started","timestamp":"` + at + `","triggerReason":"Authorized","seqNo":0,"transactionInfo":{"transactionId":"tx-` + which +
		`"},"evse":{"id":` + which + `,"connectorId":1},"idToken":{"idToken":"50A4B07E","type":"ISO14443"},"meterValue":[{"timestamp":"` + at +
		`","sampledValue":[{"value":` + which + `000,"context":"Transaction.Begin"}]}]}]`
}
