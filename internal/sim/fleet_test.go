package sim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"lumela/internal/sim"
	"lumela/internal/sim/simtest"
	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// TestFleetIsLight is not parallel: it counts what the process uses.
func TestFleetIsLight(t *testing.T) {
	const count = 300
	c := simtest.New(t)
	measure := func() (int, uint64) {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc + m.StackInuse
	}
	g0, m0 := measure()
	f, err := sim.NewFleet(sim.FleetConfig{Count: count, Station: sim.Config{URL: c.URL, EVSEs: 2}})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(simtest.Limit)
	for quiet := 0; quiet < 10; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("not all online: %+v", f.Totals())
		}
		if n := len(c.Heard()); f.Totals().Online == count && n >= count*4 {
			quiet++
		}
	}
	g1, m1 := measure()
	// Both ends are in this process: each link has a goroutine and a buffer at the other end too, and what was heard is kept.
	if per := float64(g1-g0) / count; per > 2.2 {
		t.Errorf("%.2f goroutines per link, want at most 2 with those of the other end", per)
	}
	per := (int64(m1) - int64(m0)) / count
	t.Logf("%d bytes and %.2f goroutines per link with both ends", per, float64(g1-g0)/count)
	if per > 80<<10 {
		t.Errorf("%d bytes per link with both ends", per)
	}
	cancel()
	check(t, <-done)
}

func TestCarsComeAndGo(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- sim.RunFleet(ctx, sim.FleetConfig{Count: 6, DCEvery: 2, Station: sim.Config{URL: c.URL, Seed: 3, Tokens: []string{"A", "B"}, Settings: quick,
			Behaviour: sim.Behaviour{Auto: true, Speed: 5000, OfflineEvery: 300 * time.Millisecond, OfflineFor: 50 * time.Millisecond,
				FaultEvery: time.Hour, RebootTime: time.Millisecond}}})
	}()
	simtest.Wait[*v16.StopTransactionRequest](c, 0, nil)
	ended(c, ocpp.V201)
	ended(c, ocpp.V21)
	cancel()
	check(t, <-done)
	next := map[string]int{}
	for _, h := range c.Heard() {
		if m, ok := h.Request.(*v21.TransactionEventRequest); ok {
			if m.SeqNo > next[m.TransactionInfo.TransactionID] { // a message whose answer was lost comes again
				t.Errorf("event %d of %s, want %d", m.SeqNo, m.TransactionInfo.TransactionID, next[m.TransactionInfo.TransactionID])
			}
			next[m.TransactionInfo.TransactionID] = m.SeqNo + 1
		}
	}
}

// TestSecureLink connects with TLS and Basic authentication and with the id percent-encoded.
func TestSecureLink(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		got <- strings.Join([]string{r.URL.EscapedPath(), user, password, r.Header.Get("Sec-WebSocket-Protocol")}, " ")
		conn, err := gws.NewUpgrader(&gws.BuiltinEventHandler{}, &gws.ServerOption{SubProtocols: []string{"ocpp2.1"}}).Upgrade(w, r)
		if err == nil {
			go conn.ReadLoop()
		}
	}))
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	s, err := sim.New(sim.Config{ID: "a/b c", Version: ocpp.V21, URL: "wss" + strings.TrimPrefix(server.URL, "https") + "/ocpp", Password: "secret",
		TLS: &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12}})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	if text := <-got; text != "/ocpp/a%2Fb%20c a/b c secret ocpp2.1" {
		t.Error(text)
	}
	cancel()
	wg.Wait()
}

// deaf is an end that lives on after its network died: it answers no ping.
type deaf struct{ gws.BuiltinEventHandler }

func (deaf) OnPing(*gws.Conn, []byte) {}

func TestDeadLinkIsFound(t *testing.T) {
	t.Parallel()
	opened := make(chan struct{}, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := gws.NewUpgrader(&deaf{}, &gws.ServerOption{SubProtocols: []string{"ocpp1.6"}}).Upgrade(w, r)
		if err == nil {
			opened <- struct{}{}
			go conn.ReadLoop()
		}
	}))
	t.Cleanup(server.Close)
	s, err := sim.New(sim.Config{ID: id, Version: ocpp.V16, URL: "ws" + strings.TrimPrefix(server.URL, "http"),
		Settings: map[string]string{"WebSocketPingInterval": "1", "RetryBackOffWaitMinimum": "0", "RetryBackOffRandomRange": "0"}})
	check(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for range 2 {
		select {
		case <-opened:
		case <-time.After(simtest.Limit):
			t.Error("the station holds on to a dead link")
		}
	}
	cancel()
	check(t, <-done)
}

func TestNetworkProfile(t *testing.T) {
	t.Parallel()
	first, second := simtest.New(t), simtest.New(t)
	s := start(t, first, ocpp.V21, slow)
	until(t, s, "online", online)
	first.Call(id, &v21.SetNetworkProfileRequest{ConfigurationSlot: 1, ConnectionData: v21.NetworkConnectionProfile{OCPPInterface: v21.OCPPInterfaceWired0,
		OCPPTransport: v21.OCPPTransportJSON, MessageTimeout: 30, OCPPCsmsURL: second.URL, SecurityProfile: 0}})
	r := first.Call(id, &v21.SetVariablesRequest{SetVariableData: []v21.SetVariableData{{AttributeValue: "1,0", Component: v21.Component{Name: "OCPPCommCtrlr"},
		Variable: v21.Variable{Name: "NetworkConfigurationPriority"}}}}).(*v21.SetVariablesResponse)
	if r.SetVariableResult[0].AttributeStatus != v21.SetVariableStatusRebootRequired {
		t.Errorf("priority: %s", r.SetVariableResult[0].AttributeStatus)
	}
	first.Call(id, &v21.ResetRequest{Type: v21.ResetTypeImmediate})
	simtest.Wait[*v21.BootNotificationRequest](second, 0, nil)
}

func TestPowerCut(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	s := start(t, c, ocpp.V16, slow)
	charging(t, s)
	s.PowerCut()
	c.Connected(id, false)
	if st := s.State().EVSEs[0]; st.PowerW != 0 {
		t.Errorf("%d W without mains", st.PowerW)
	}
	n := len(c.Heard())
	s.PowerOn()
	simtest.Wait[*v16.BootNotificationRequest](c, n, nil)
	stop, _ := simtest.Wait[*v16.StopTransactionRequest](c, n, nil)
	if stop.Reason.V != v16.ReasonPowerLoss {
		t.Errorf("reason %s", stop.Reason.V)
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	c := simtest.New(t)
	cmd := sim.Command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"--url", c.URL, "--count", "2", "--version", "1.6", "--id-prefix", "T-", "--speed", "100"})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	c.Connected("T-000001", true)
	c.Connected("T-000002", true)
	for n, told := 0, 0; told < 6; told++ { // the station and two connectors of each
		_, n = simtest.Wait[*v16.StatusNotificationRequest](c, n, nil)
	}
	cancel()
	check(t, <-done)
	if text := out.String(); !strings.Contains(text, "T-000001 boot Accepted") {
		t.Error(text)
	}
	bad := sim.Command()
	bad.SetArgs([]string{"--version", "3"})
	bad.SetOut(&out)
	bad.SetErr(&out)
	if err := bad.ExecuteContext(context.Background()); err == nil {
		t.Error("version 3 was accepted")
	}
}
