package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"lumela/ocpp"
)

// options are the flags of the command.
type options struct {
	url, version, prefix, password, ca, cert, key string
	count, evses, maxPower, dcEvery               int
	speed                                         float64
	tokens                                        []string
	offlineEvery, faultEvery, sessionEvery, ramp  time.Duration
	sessionLength, meterEvery                     time.Duration
	seed                                          uint64
	quiet                                         bool
}

// Command is `simulate`: virtual stations whose cars come and go, until it is interrupted.
func Command() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Run virtual charging stations against a management system",
		Long: "Runs virtual charging stations that behave as hardware does: cars are plugged in, tokens presented, batteries\n" +
			"filled and meters advanced. They speak OCPP 1.6, 2.0.1 and 2.1.",
		Example: "  lumela simulate --url ws://localhost:8080/ocpp --count 20 --version mix --speed 60 --token DEMO",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "ws://localhost:8080/ocpp", "address of the management system; the station's id is appended")
	f.IntVar(&o.count, "count", 1, "number of stations")
	f.StringVar(&o.version, "version", "mix", "OCPP version: 1.6, 2.0.1, 2.1 or mix")
	f.StringVar(&o.prefix, "id-prefix", "SIM-", "what the ids begin with")
	f.IntVar(&o.evses, "evses", 2, "EVSEs of each station")
	f.IntVar(&o.maxPower, "max-power", 0, "power of one EVSE in W; 0 for the usual")
	f.IntVar(&o.dcEvery, "dc-every", 4, "every n-th station charges with DC; 0 for none")
	f.Float64Var(&o.speed, "speed", 1, "how many seconds pass for cars and meters in one second")
	f.StringSliceVar(&o.tokens, "token", []string{"SIMULATED"}, "tokens that drivers present")
	f.StringVar(&o.password, "password", "", "password for Basic authentication")
	f.StringVar(&o.ca, "ca", "", "file with the certificates that the server's is checked with")
	f.StringVar(&o.cert, "cert", "", "file with the stations' client certificate")
	f.StringVar(&o.key, "key", "", "file with the key of the client certificate")
	f.DurationVar(&o.sessionEvery, "session-every", 20*time.Minute, "mean time between cars at one EVSE, in simulated time")
	f.DurationVar(&o.sessionLength, "session-length", 40*time.Minute, "mean time that a car stays, in simulated time")
	f.DurationVar(&o.meterEvery, "meter-every", time.Minute, "interval of meter values, in simulated time")
	f.DurationVar(&o.offlineEvery, "offline-every", 0, "mean time between losses of the link; 0 for never")
	f.DurationVar(&o.faultEvery, "fault-every", 0, "mean time between faults of an EVSE, in simulated time; 0 for never")
	f.DurationVar(&o.ramp, "ramp", 0, "time over which the stations start")
	f.Uint64Var(&o.seed, "seed", 1, "start of the random numbers; the same seed gives the same cars")
	f.BoolVar(&o.quiet, "quiet", false, "print one line of totals every ten seconds instead of every event")
	return c
}

func (o *options) run(ctx context.Context, out io.Writer) error {
	c, err := o.fleet()
	if err != nil {
		return err
	}
	var mu sync.Mutex
	if !o.quiet {
		c.Station.OnEvent = func(e Event) {
			if e.Kind == "message" {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			_, _ = fmt.Fprintln(out, e)
		}
	}
	f, err := NewFleet(c)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	if o.quiet {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f.printTotals(out, done)
		}()
	}
	err = f.Run(ctx)
	close(done)
	wg.Wait()
	return err
}

// printTotals prints a line every ten seconds.
func (f *Fleet) printTotals(out io.Writer, done <-chan struct{}) {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n := f.Totals()
			_, _ = fmt.Fprintf(out, "%s %d of %d online, %d transactions, %.1f kW, %d messages wait\n", time.Now().Format(time.TimeOnly),
				n.Online, n.Stations, n.Transactions, float64(n.PowerW)/1000, n.Queued)
		case <-done:
			return
		}
	}
}

func (o *options) fleet() (FleetConfig, error) {
	c := FleetConfig{Count: o.count, IDPrefix: o.prefix, DCEvery: o.dcEvery, Ramp: o.ramp, Station: Config{URL: o.url, EVSEs: o.evses,
		MaxPowerW: o.maxPower, Password: o.password, Tokens: o.tokens, Seed: o.seed, Behaviour: Behaviour{Auto: true, Speed: o.speed,
			SessionEvery: o.sessionEvery, SessionLength: o.sessionLength, MeterInterval: o.meterEvery, OfflineEvery: o.offlineEvery, FaultEvery: o.faultEvery}}}
	if o.version != "mix" {
		v, err := ocpp.ParseVersion(o.version)
		if err != nil {
			return c, err
		}
		c.Versions = []ocpp.Version{v}
	}
	t, err := o.tls()
	c.Station.TLS = t
	return c, err
}

func (o *options) tls() (*tls.Config, error) {
	if o.ca == "" && o.cert == "" {
		return nil, nil //nolint:nilnil // no options, no configuration
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		text, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("reading the CA certificates: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, errors.New("reading the CA certificates: no certificate in " + o.ca)
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
