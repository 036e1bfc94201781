package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Version is a version of OCPP that a load station speaks.
type Version string

// The versions.
const (
	V16  Version = "1.6"
	V201 Version = "2.0.1"
	V21  Version = "2.1"
)

// Subprotocol is the name of the version in a WebSocket's handshake.
func (v Version) Subprotocol() string { return "ocpp" + string(v) }

// Station is the client's end of one link. Its methods are called one at a time.
type Station struct {
	ID      string
	Version Version
	conn    *Conn
	echo    bool // the server only echoes
	ids     int
}

// Connect opens the link of a station at ws://addr/ocpp/id.
func Connect(addr, id string, v Version) (*Station, error) {
	conn, err := Dial(addr, "/ocpp/"+url.PathEscape(id), v.Subprotocol())
	if err != nil {
		return nil, err
	}
	return &Station{ID: id, Version: v, conn: conn}, nil
}

// ConnectEcho opens a link to a server that sends every message back.
func ConnectEcho(addr, id string, v Version) (*Station, error) {
	s, err := Connect(addr, id, v)
	if err == nil {
		s.echo = true
	}
	return s, err
}

// Close cuts the link.
func (s *Station) Close() error { return s.conn.Close() }

// Boot sends a BootNotification and is nil when it was accepted.
func (s *Station) Boot() error {
	payload := `{"chargePointVendor":"Lumela","chargePointModel":"Load","chargePointSerialNumber":"` + s.ID + `","firmwareVersion":"1.0.0"}`
	if s.Version != V16 {
		payload = `{"reason":"PowerUp","chargingStation":{"vendorName":"Lumela","model":"Load","serialNumber":"` + s.ID + `","firmwareVersion":"1.0.0"}}`
	}
	var answer struct{ Status string }
	if err := s.Ask("BootNotification", payload, &answer); err != nil {
		return err
	}
	if answer.Status != "Accepted" {
		return fmt.Errorf("BootNotification was answered with %s", answer.Status)
	}
	return nil
}

// Ask calls once and decodes the result into answer.
func (s *Station) Ask(action, payload string, answer any) error {
	s.ids++
	id := "ask-" + strconv.Itoa(s.ids)
	if err := s.conn.WriteText(`[2,"` + id + `","` + action + `",` + payload + `]`); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	for {
		text, err := s.conn.Read()
		if err != nil {
			return fmt.Errorf("%s: %w", action, err)
		}
		if called, err := s.serve(text); called || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		parts := []any{new(int), new(string), answer}
		if err := json.Unmarshal(text, &parts); err != nil || *parts[0].(*int) != 3 || *parts[1].(*string) != id {
			return fmt.Errorf("%s was answered with %s", action, text)
		}
		return nil
	}
}

// CallError is the refusal of a call by the server.
type CallError struct{ Code, Description string }

// Error names the code and the description.
func (e *CallError) Error() string { return "the call was refused: " + e.Code + " " + e.Description }

// Send calls once under a message id and gives the payload of the result. The error is a *CallError when the server
// refuses; after any other error, a deadline included, nothing is known of what the server did, and the link is of no
// further use.
func (s *Station) Send(id, action, payload string, within time.Duration) (json.RawMessage, error) {
	if err := s.conn.net.SetDeadline(time.Now().Add(within)); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if err := s.conn.WriteText(`[2,"` + id + `","` + action + `",` + payload + `]`); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	for {
		text, err := s.conn.Read()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", action, err)
		}
		if called, err := s.serve(text); err != nil {
			return nil, err
		} else if called {
			continue
		}
		var parts []json.RawMessage
		var got string
		if err := json.Unmarshal(text, &parts); err != nil || len(parts) < 3 || json.Unmarshal(parts[1], &got) != nil {
			return nil, fmt.Errorf("%s was answered with %s", action, text)
		}
		switch {
		case got != id:
			return nil, fmt.Errorf("%s %s: an answer to nothing: %s", action, id, text)
		case string(parts[0]) == "3":
			return bytes.Clone(parts[2]), nil
		}
		e := &CallError{}
		if err := json.Unmarshal(parts[2], &e.Code); err != nil || len(parts) < 4 || json.Unmarshal(parts[3], &e.Description) != nil {
			return nil, fmt.Errorf("%s was answered with %s", action, text)
		}
		return nil, e
	}
}

// serve answers a call of the server; called is false when text is none.
func (s *Station) serve(text []byte) (called bool, err error) {
	if s.echo || !bytes.HasPrefix(text, []byte(`[2,"`)) {
		return false, nil
	}
	parts := bytes.SplitN(text, []byte(`"`), 5) // [2," id "," action ",payload
	if len(parts) != 5 {
		return true, fmt.Errorf("not a call: %s", text)
	}
	id, action := string(parts[1]), string(parts[3])
	switch action {
	case "GetConfiguration":
		return true, s.conn.WriteText(`[3,"` + id + `",{"configurationKey":[{"key":"HeartbeatInterval","readonly":false,"value":"300"}]}]`)
	case "GetBaseReport":
		return true, s.conn.WriteText(`[3,"` + id + `",{"status":"NotSupported"}]`)
	}
	return true, s.conn.WriteText(`[4,"` + id + `","NotSupported","",{}]`)
}

// call sends the message and waits for its result.
func (s *Station) call(c *Call, now time.Time) error {
	if err := s.conn.Write(c.next(now)); err != nil {
		return err
	}
	for {
		text, err := s.conn.Read()
		if err != nil {
			return err
		}
		if s.echo {
			if len(text) != c.size {
				return fmt.Errorf("%d bytes were echoed as %d", c.size, len(text))
			}
			return nil
		}
		if done, err := c.answered(text); done || err != nil {
			return err
		}
		called, err := s.serve(text)
		if err != nil {
			return err
		}
		if !called {
			return fmt.Errorf("an answer to nothing: %s", text)
		}
	}
}

// Hold answers the server until the link ends, and is nil when Close has ended it or the server closed it in order.
func (s *Station) Hold() error {
	for {
		text, err := s.conn.Read()
		var closed *ClosedError
		switch {
		case errors.As(err, &closed) || errors.Is(err, errClosed):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", s.ID, err)
		}
		if _, err := s.serve(text); err != nil && !errors.Is(err, errClosed) {
			return fmt.Errorf("%s: %w", s.ID, err)
		}
	}
}

// StormResult is how a number of stations came in.
type StormResult struct {
	Elapsed  time.Duration // until the last one was accepted
	Refused  int64         // upgrades that were refused with 429 or 503 and tried again
	Accepted Histogram     // from a station's first attempt until its BootNotification was accepted
}

// Storm connects and boots stations, at most atOnce at the same moment. One that is refused for the time being tries
// again when the server has asked it to. On an error no link is left.
func Storm(addr string, ids []string, version func(i int) Version, atOnce int) ([]*Station, *StormResult, error) {
	stations := make([]*Station, len(ids))
	var mu sync.Mutex
	var first error
	res := &StormResult{}
	turns := make(chan struct{}, atOnce)
	begin := time.Now()
	var wg sync.WaitGroup
	for i, id := range ids {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			s, took, refused, err := comeIn(addr, id, version(i))
			mu.Lock()
			defer mu.Unlock()
			stations[i] = s
			res.Refused += int64(refused)
			if err != nil {
				first = errors.Join(first, fmt.Errorf("%s: %w", id, err))
				return
			}
			res.Accepted.Add(took)
		})
	}
	wg.Wait()
	res.Elapsed = time.Since(begin)
	if first != nil {
		CloseAll(stations)
		return nil, nil, first
	}
	return stations, res, nil
}

// patience is how long a station tries to come in.
const patience = 3 * time.Minute

func comeIn(addr, id string, v Version) (s *Station, took time.Duration, refused int, err error) {
	begin := time.Now()
	for {
		s, err = Connect(addr, id, v)
		var r *RefusedError
		if errors.As(err, &r) && (r.Status == 503 || r.Status == 429) && time.Since(begin) < patience {
			refused++
			time.Sleep(max(r.RetryAfter, 100*time.Millisecond))
			continue
		}
		if err != nil {
			return nil, 0, refused, err
		}
		if err = s.Boot(); err != nil {
			_ = s.Close() // the reason is err
			return nil, 0, refused, err
		}
		return s, time.Since(begin), refused, nil
	}
}

// CloseAll cuts the links that are there.
func CloseAll(stations []*Station) {
	for _, s := range stations {
		if s != nil {
			_ = s.Close() // a link that has ended already is as good
		}
	}
}
