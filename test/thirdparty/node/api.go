package node

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Station is a station as the API shows it, as far as the tests look at it.
type Station struct {
	ID              string     `json:"id"`
	Vendor          string     `json:"vendor"`
	Model           string     `json:"model"`
	SerialNumber    string     `json:"serialNumber"`
	Firmware        string     `json:"firmware"`
	Protocol        string     `json:"protocol"`
	Online          bool       `json:"online"`
	Admission       string     `json:"admission"`
	SecurityProfile int        `json:"securityProfile"`
	BootedAt        *time.Time `json:"bootedAt"`
	EVSEs           []EVSE     `json:"evses"`
}

// EVSE is an EVSE of a Station.
type EVSE struct {
	ID         int         `json:"id"`
	Status     string      `json:"status"`
	Connectors []Connector `json:"connectors"`
	Session    *struct {
		ID string `json:"id"`
	} `json:"session"`
}

// Connector is a connector of an EVSE.
type Connector struct {
	ID     int    `json:"id"`
	Status string `json:"status"`
	Detail string `json:"detail"`
}

// Session is a charging session as the API shows it.
type Session struct {
	ID            string            `json:"id"`
	Station       string            `json:"station"`
	TransactionID string            `json:"transactionId"`
	EVSE          int               `json:"evse"`
	Connector     int               `json:"connector"`
	Token         *string           `json:"token"`
	TokenType     string            `json:"tokenType"`
	State         string            `json:"state"`
	ChargingState string            `json:"chargingState"`
	StartedAt     time.Time         `json:"startedAt"`
	EndedAt       *time.Time        `json:"endedAt"`
	EnergyWh      int64             `json:"energyWh"`
	PowerW        int64             `json:"powerW"`
	SoC           *int              `json:"soc"`
	StoppedReason string            `json:"stoppedReason"`
	MeterStartWh  *int64            `json:"meterStartWh"`
	MeterStopWh   *int64            `json:"meterStopWh"`
	RemoteStartID *int              `json:"remoteStartId"`
	ReservationID *int              `json:"reservationId"`
	Flags         []json.RawMessage `json:"flags"`
}

// MeterValue is what was measured at one moment of a Session.
type MeterValue struct {
	At      time.Time `json:"at"`
	Context string    `json:"context"`
	Samples []struct {
		Measurand, Phase, Location, Unit, Value string
	} `json:"samples"`
}

// Variable is one value of a station's device model.
type Variable struct {
	Component  string `json:"component"`
	EVSE       int    `json:"evse"`
	Connector  int    `json:"connector"`
	Variable   string `json:"variable"`
	Attribute  string `json:"attribute"`
	Value      string `json:"value"`
	Mutability string `json:"mutability"`
	DataType   string `json:"dataType"`
	Unit       string `json:"unit"`
}

// Frame is a raw message of a station.
type Frame struct {
	Direction string `json:"direction"`
	Type      string `json:"type"`
	MessageID string `json:"messageId"`
	Action    string `json:"action"`
	Text      string `json:"text"`
	Notes     []Note `json:"notes"`
}

// Note is what the translation said of a message.
type Note struct {
	Kind  string `json:"kind"`
	Field string `json:"field"`
	Text  string `json:"text"`
}

// Command is what became of a command.
type Command struct {
	ID          string          `json:"id"`
	Action      string          `json:"action"`
	Status      string          `json:"status"`
	Request     json.RawMessage `json:"request"`
	Response    json.RawMessage `json:"response"`
	Error       string          `json:"error"`
	Translation []Note          `json:"translation"`
	FinishedAt  *time.Time      `json:"finishedAt"`
}

// Reservation is a reservation as the API shows it.
type Reservation struct {
	ID        int       `json:"id"`
	EVSE      int       `json:"evse"`
	Token     string    `json:"token"`
	TokenType string    `json:"tokenType"`
	Status    string    `json:"status"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// client waits longer than the program does for a station.
var client = &http.Client{Timeout: 40 * time.Second}

// do sends a request and gives status and body.
func (n *Node) do(method, path, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, n.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+n.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	raw, err := io.ReadAll(resp.Body)
	if cerr := resp.Body.Close(); err == nil {
		err = cerr
	}
	return resp.StatusCode, raw, err
}

// Call sends a request to the API, demands a status and reads the answer into out, unless it is nil.
func (n *Node) Call(t testing.TB, method, path, body string, status int, out any) {
	t.Helper()
	got, raw, err := n.do(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if got != status {
		t.Fatalf("%s %s %s: status %d, want %d: %s", method, path, body, got, status, raw)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(raw, out); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, raw)
	}
}

// items reads all items of a list.
func items[T any](t testing.TB, n *Node, path string) []T {
	t.Helper()
	var page struct {
		Items []T     `json:"items"`
		Next  *string `json:"next"`
	}
	n.Call(t, http.MethodGet, path, "", http.StatusOK, &page)
	if page.Next != nil && *page.Next != "" {
		t.Fatalf("GET %s: more than one page", path)
	}
	return page.Items
}

// Station reads a station.
func (n *Node) Station(t testing.TB, id string) Station {
	t.Helper()
	var st Station
	n.Call(t, http.MethodGet, "/stations/"+url.PathEscape(id), "", http.StatusOK, &st)
	return st
}

// Sessions reads the sessions of a station, latest first.
func (n *Node) Sessions(t testing.TB, station string) []Session {
	t.Helper()
	return items[Session](t, n, "/sessions?station="+url.QueryEscape(station))
}

// MeterValues reads what was measured during a session.
func (n *Node) MeterValues(t testing.TB, session string) []MeterValue {
	t.Helper()
	return items[MeterValue](t, n, "/sessions/"+session+"/meter-values")
}

// Variables reads the device model of a station.
func (n *Node) Variables(t testing.TB, station string) []Variable {
	t.Helper()
	return items[Variable](t, n, "/stations/"+url.PathEscape(station)+"/variables")
}

// Frames reads the raw messages of a station of one action, oldest first.
func (n *Node) Frames(t testing.TB, station, action string) []Frame {
	t.Helper()
	newest := items[Frame](t, n, "/stations/"+url.PathEscape(station)+"/frames?limit=500&action="+action)
	out := make([]Frame, 0, len(newest))
	for i := len(newest) - 1; i >= 0; i-- {
		out = append(out, newest[i])
	}
	return out
}

// Commands reads the commands of a station, newest first.
func (n *Node) Commands(t testing.TB, station string) []Command {
	t.Helper()
	return items[Command](t, n, "/stations/"+url.PathEscape(station)+"/commands?limit=500")
}

// Reservations reads the reservations of a station, newest first.
func (n *Node) Reservations(t testing.TB, station string) []Reservation {
	t.Helper()
	return items[Reservation](t, n, "/reservations?station="+url.QueryEscape(station))
}

// AddToken makes a token known.
func (n *Node) AddToken(t testing.TB, uid, typ, status string) {
	t.Helper()
	body := fmt.Sprintf(`{"uid":%q,"type":%q,"status":%q}`, uid, typ, status)
	n.Call(t, http.MethodPost, "/tokens", body, http.StatusCreated, nil)
}

// Send sends an OCPP 2.1 request to a station, demands an answer that is exactly response, an OCPP 2.1 payload, and
// that the command is recorded so.
func (n *Node) Send(t testing.TB, station, action, payload, response string) Command {
	t.Helper()
	var cmd Command
	n.Call(t, http.MethodPost, "/stations/"+url.PathEscape(station)+"/commands/"+action+"?wait=20s", payload, http.StatusOK, &cmd)
	if cmd.Status != "ok" || canonical(t, cmd.Response) != canonical(t, []byte(response)) {
		t.Fatalf("%s: status %s, response %s, want %s", action, cmd.Status, cmd.Response, response)
	}
	var kept Command
	n.Call(t, http.MethodGet, "/commands/"+cmd.ID, "", http.StatusOK, &kept)
	if kept.Action != action || kept.Status != "ok" || kept.Error != "" || kept.FinishedAt == nil ||
		canonical(t, kept.Request) != canonical(t, []byte(payload)) || canonical(t, kept.Response) != canonical(t, cmd.Response) {
		t.Fatalf("%s is recorded as %+v", action, kept)
	}
	return cmd
}

// canonical is JSON without a choice of writing.
func canonical(t testing.TB, raw []byte) string {
	t.Helper()
	var v any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v in %q", err, raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const (
	patience  = 15 * time.Second
	pollEvery = 20 * time.Millisecond
)

// Eventually asks again and again until ok says yes, and fails when it does not in time.
func Eventually[T any](t testing.TB, what string, ask func() T, ok func(T) bool) T {
	t.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	late := time.After(patience)
	for {
		seen := ask()
		if ok(seen) {
			return seen
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: still %+v", what, seen)
		}
	}
}
