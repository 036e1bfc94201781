package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"lumela/internal/frame"
	"lumela/internal/guardian"
	"lumela/internal/station"
)

// Config is everything that can be set about a node. Each field is a flag, an environment variable and a key of the
// configuration file; a flag wins over the environment, which wins over the file.
type Config struct {
	DataDir        string        `yaml:"data-dir" env:"LUMELA_DATA_DIR"`
	HTTP           string        `yaml:"http" env:"LUMELA_HTTP"`
	HTTPS          string        `yaml:"https" env:"LUMELA_HTTPS"`
	TLSCert        []string      `yaml:"tls-cert" env:"LUMELA_TLS_CERT"`
	TLSKey         []string      `yaml:"tls-key" env:"LUMELA_TLS_KEY"`
	TLSClientCA    string        `yaml:"tls-client-ca" env:"LUMELA_TLS_CLIENT_CA"`
	TLSClientCRL   string        `yaml:"tls-client-crl" env:"LUMELA_TLS_CLIENT_CRL"`
	Database       string        `yaml:"database" env:"LUMELA_DATABASE"`
	NATS           string        `yaml:"nats" env:"LUMELA_NATS"`
	NodeName       string        `yaml:"node-name" env:"LUMELA_NODE_NAME"`
	DrainDelay     time.Duration `yaml:"drain-delay" env:"LUMELA_DRAIN_DELAY"`
	Admission      string        `yaml:"admission" env:"LUMELA_ADMISSION"`
	Demo           int           `yaml:"demo" env:"LUMELA_DEMO"`
	MaxStations    int           `yaml:"max-stations" env:"LUMELA_MAX_STATIONS"`
	BackupDir      string        `yaml:"backup-dir" env:"LUMELA_BACKUP_DIR"`
	BackupEvery    time.Duration `yaml:"backup-every" env:"LUMELA_BACKUP_EVERY"`
	BackupKeep     int           `yaml:"backup-keep" env:"LUMELA_BACKUP_KEEP"`
	LogLevel       string        `yaml:"log-level" env:"LUMELA_LOG_LEVEL"`
	LogFormat      string        `yaml:"log-format" env:"LUMELA_LOG_FORMAT"`
	Heartbeat      time.Duration `yaml:"heartbeat" env:"LUMELA_HEARTBEAT"`
	MaxFrame       int           `yaml:"max-frame" env:"LUMELA_MAX_FRAME"`
	CallTimeout    time.Duration `yaml:"call-timeout" env:"LUMELA_CALL_TIMEOUT"`
	FrameRetention time.Duration `yaml:"frame-retention" env:"LUMELA_FRAME_RETENTION"`
	MeterValueDays int           `yaml:"meter-value-days" env:"LUMELA_METER_VALUE_DAYS"`
	SessionDays    int           `yaml:"session-days" env:"LUMELA_SESSION_DAYS"`
	AuditDays      int           `yaml:"audit-days" env:"LUMELA_AUDIT_DAYS"`
	FrameMaxSize   frame.Size    `yaml:"frame-max-size" env:"LUMELA_FRAME_MAX_SIZE"`
	LinksPerHour   int           `yaml:"links-per-hour" env:"LUMELA_LINKS_PER_HOUR"`

	WebhookAllowPrivate bool `yaml:"webhook-allow-private" env:"LUMELA_WEBHOOK_ALLOW_PRIVATE"`

	// Guardian holds the limits of the watch over sessions: a map in the configuration file and nothing else.
	Guardian guardian.Policy `yaml:"guardian"`
}

// Default is the configuration of a node that is told nothing.
func Default() Config {
	return Config{DataDir: "./data", HTTP: ":8080", Admission: string(station.Approve), LogLevel: "info", LogFormat: "text",
		DrainDelay: 2 * time.Second, Heartbeat: 5 * time.Minute, MaxFrame: 1 << 20, CallTimeout: 30 * time.Second, FrameRetention: 30 * 24 * time.Hour, FrameMaxSize: 20 << 30,
		MeterValueDays: 2 * 365, SessionDays: 10*365 + 3, AuditDays: 400,
		LinksPerHour: station.DefaultLinks, BackupEvery: 24 * time.Hour, BackupKeep: 7}
}

// Flags adds the configuration to a flag set.
func (c *Config) Flags(f *pflag.FlagSet) {
	f.StringVar(&c.DataDir, "data-dir", c.DataDir, "folder of everything that an embedded node keeps")
	f.StringVar(&c.HTTP, "http", c.HTTP, "address of console, API and stations without TLS; empty for none")
	f.StringVar(&c.HTTPS, "https", c.HTTPS, "the same with TLS")
	f.StringSliceVar(&c.TLSCert, "tls-cert", c.TLSCert, "certificate chain in PEM; repeat for an ECDSA and an RSA pair")
	f.StringSliceVar(&c.TLSKey, "tls-key", c.TLSKey, "private key in PEM, in the order of the certificates")
	f.StringVar(&c.TLSClientCA, "tls-client-ca", c.TLSClientCA, "certificates in PEM that sign the stations' certificates; turns on security profile 3")
	f.StringVar(&c.TLSClientCRL, "tls-client-crl", c.TLSClientCRL, "revocation list in PEM or DER of the stations' certificates")
	f.StringVar(&c.Database, "database", c.Database, "postgres://… ; empty for SQLite in the data directory")
	f.StringVar(&c.NATS, "nats", c.NATS, "nats://…, comma-separated; empty for a bus inside the process")
	f.StringVar(&c.NodeName, "node-name", c.NodeName, "what people call this node of a cluster; the name of the machine when empty")
	f.DurationVar(&c.DrainDelay, "drain-delay", c.DrainDelay, "how long a node of a cluster that stops still serves after it has said on /readyz that it is not ready; at most 4s")
	f.StringVar(&c.Admission, "admission", c.Admission, "what an unknown station gets: closed, approve or open")
	f.IntVar(&c.Demo, "demo", c.Demo, "number of virtual stations inside the process")
	f.IntVar(&c.MaxStations, "max-stations", c.MaxStations, "stations that may be connected to this node at once; 0 for as many as the limit of open files allows, at most 100,000")
	f.StringVar(&c.BackupDir, "backup-dir", c.BackupDir, "folder for backups that an embedded node makes by itself; empty for none")
	f.DurationVar(&c.BackupEvery, "backup-every", c.BackupEvery, "time between two of these backups")
	f.IntVar(&c.BackupKeep, "backup-keep", c.BackupKeep, "how many of these backups are kept")
	f.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	f.StringVar(&c.LogFormat, "log-format", c.LogFormat, "text or json")
	f.DurationVar(&c.Heartbeat, "heartbeat", c.Heartbeat, "heartbeat interval that stations are told")
	f.IntVar(&c.MaxFrame, "max-frame", c.MaxFrame, "longest OCPP message in bytes")
	f.DurationVar(&c.CallTimeout, "call-timeout", c.CallTimeout, "how long a station may take to answer a request")
	f.IntVar(&c.LinksPerHour, "links-per-hour", c.LinksPerHour, "links that a station may end within an hour before it is blocked for a while; 0 for any number")
	f.DurationVar(&c.FrameRetention, "frame-retention", c.FrameRetention, "how long raw frames are kept")
	f.IntVar(&c.MeterValueDays, "meter-value-days", c.MeterValueDays, "days after their end for which sessions keep the unsigned readings between the first and the last; 0 for ever")
	f.IntVar(&c.SessionDays, "session-days", c.SessionDays, "days after their end for which sessions are kept; 0 for ever")
	f.IntVar(&c.AuditDays, "audit-days", c.AuditDays, "days for which the record of who did what is kept; 0 for ever")
	f.BoolVar(&c.WebhookAllowPrivate, "webhook-allow-private", c.WebhookAllowPrivate, "let webhooks reach addresses of private networks and of the node itself, also without TLS")
	f.Var(&c.FrameMaxSize, "frame-max-size", "greatest size of all raw frames in the data directory, as 500MiB or 20GiB; the oldest go first; 0 for no bound")
}

// load reads file, environment and the flags that were given, in this order.
func load(file string, flags *pflag.FlagSet) (Config, error) {
	c := Default()
	if file != "" {
		if err := c.readFile(file); err != nil {
			return c, err
		}
	}
	if err := env.Parse(&c); err != nil {
		return c, fmt.Errorf("environment: %w", err)
	}
	again := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.Flags(again)
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		target := again.Lookup(f.Name)
		if target == nil {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			errs = append(errs, target.Value.(pflag.SliceValue).Replace(list.GetSlice()))
			return
		}
		errs = append(errs, target.Value.Set(f.Value.String()))
	})
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	return c, c.check()
}

// readFile reads YAML strictly: an unknown key is an error with its line.
func (c *Config) readFile(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("configuration %s: %w", file, err)
	}
	return nil
}

// mostDays bounds periods: a hundred years.
const mostDays = 36_500

// check names the first setting that cannot be.
func (c *Config) check() error {
	switch {
	case c.HTTP == "" && c.HTTPS == "":
		return errors.New("http and https are both empty: nobody could connect")
	case len(c.TLSCert) != len(c.TLSKey):
		return fmt.Errorf("tls-cert is given %d times and tls-key %d times: they go in pairs", len(c.TLSCert), len(c.TLSKey))
	case c.HTTPS != "" && len(c.TLSCert) == 0:
		return errors.New("https needs tls-cert and tls-key")
	case c.TLSClientCRL != "" && c.TLSClientCA == "":
		return errors.New("tls-client-crl needs tls-client-ca")
	case c.Demo < 0 || c.Demo > 10_000:
		return fmt.Errorf("demo: must be between 0 and 10000, is %d", c.Demo)
	case c.Demo > 0 && c.HTTP == "":
		return errors.New("demo: the virtual stations connect without TLS, so http is needed")
	case c.DrainDelay < 0 || c.DrainDelay > 4*time.Second:
		return fmt.Errorf("drain-delay: must be between 0 and 4s, so that a node ends within 10s, is %s", c.DrainDelay)
	case c.MaxStations < 0 || c.MaxStations > 10_000_000:
		return fmt.Errorf("max-stations: must be between 0 and 10,000,000, is %d", c.MaxStations)
	case c.BackupDir != "" && c.Database != "":
		return errors.New("backup-dir: a node backs up its own files only, and database is set: back up PostgreSQL with its own tools")
	case c.BackupDir != "" && c.BackupEvery < time.Minute:
		return fmt.Errorf("backup-every: must be at least 1m, is %s", c.BackupEvery)
	case c.BackupDir != "" && c.BackupKeep < 1:
		return fmt.Errorf("backup-keep: must be at least 1, is %d", c.BackupKeep)
	case c.Heartbeat < time.Second:
		return fmt.Errorf("heartbeat: must be at least 1s, is %s", c.Heartbeat)
	case c.MaxFrame < 4096:
		return fmt.Errorf("max-frame: must be at least 4096 bytes, is %d", c.MaxFrame)
	case c.MeterValueDays < 0 || c.MeterValueDays > mostDays:
		return fmt.Errorf("meter-value-days: must be between 0 and %d, is %d", mostDays, c.MeterValueDays)
	case c.SessionDays < 0 || c.SessionDays > mostDays:
		return fmt.Errorf("session-days: must be between 0 and %d, is %d", mostDays, c.SessionDays)
	case c.AuditDays < 0 || c.AuditDays > mostDays:
		return fmt.Errorf("audit-days: must be between 0 and %d, is %d", mostDays, c.AuditDays)
	case c.FrameRetention < time.Hour:
		return fmt.Errorf("frame-retention: must be at least 1h, is %s", c.FrameRetention)
	case c.FrameMaxSize != 0 && c.FrameMaxSize < frame.LeastSize:
		return fmt.Errorf("frame-max-size: must be 0 or at least %s, is %s", frame.LeastSize, c.FrameMaxSize)
	case c.LinksPerHour < 0:
		return fmt.Errorf("links-per-hour: must not be negative, is %d", c.LinksPerHour)
	case c.CallTimeout < time.Second:
		return fmt.Errorf("call-timeout: must be at least 1s, is %s", c.CallTimeout)
	}
	if err := oneOf("admission", c.Admission, "closed", "approve", "open"); err != nil {
		return err
	}
	if err := oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	if err := oneOf("log-format", c.LogFormat, "text", "json"); err != nil {
		return err
	}
	if c.Database != "" {
		if u, err := url.Parse(c.Database); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			return errors.New("database: must be postgres://…")
		}
	}
	return nil
}

func oneOf(name, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return fmt.Errorf("%s: must be one of %s, is %q", name, strings.Join(allowed, ", "), value)
}
