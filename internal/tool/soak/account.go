package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"lumela/internal/tool/load"
)

// Report is the stations' account beside the node's.
type Report struct {
	Seed uint64

	Sent     int // messages, each as often as it was sent
	Again    int // … of them those that had been sent before
	Messages int // different ones
	Answered int // different ones that were answered
	Stored   int // different ones that the node has
	Lost     int // answered, and not stored or stored with another reading
	Doubled  int // stored twice, or one transaction as two sessions
	Invented int // stored, and said by no station
	Refused  int // CALLERROR to a message of a transaction
	Kills    int
	Links    int

	Sessions  int
	TruthWh   int64 // by the stations' meters, of the sessions whose every message was answered
	StoredWh  int64 // of the same sessions, by the node
	Differing int   // sessions whose energy or state is not the station's

	Flags    map[string]int // open ones of all sessions
	Findings []string       // what was wrong, the first of each kind in full
}

// OK is nil when nothing was lost, doubled, invented or refused, and every session has the station's energy.
func (r *Report) OK() error {
	if r.Lost+r.Doubled+r.Invented+r.Refused+r.Differing == 0 {
		return nil
	}
	return fmt.Errorf("the accounts differ (seed %d):\n%s\n%s", r.Seed, r, strings.Join(r.Findings, "\n"))
}

// String is the account in a few lines.
func (r *Report) String() string {
	flags := []string{}
	for _, code := range slices.Sorted(maps.Keys(r.Flags)) {
		flags = append(flags, fmt.Sprintf("%s %d", code, r.Flags[code]))
	}
	return fmt.Sprintf("messages: %d sent (%d again), %d different, %d answered, %d stored, %d lost, %d doubled, %d invented, %d refused; kills: %d; links: %d\n"+
		"sessions: %d, %d Wh by the stations, %d Wh by the node, %d differing; flags: %s; seed %d",
		r.Sent, r.Again, r.Messages, r.Answered, r.Stored, r.Lost, r.Doubled, r.Invented, r.Refused, r.Kills, r.Links,
		r.Sessions, r.TruthWh, r.StoredWh, r.Differing, strings.Join(flags, ", "), r.Seed)
}

// mostFindings bounds the text of a report.
const mostFindings = 20

func (r *Report) finding(format string, args ...any) {
	if len(r.Findings) < mostFindings {
		r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
	}
}

// compare takes a station's account into the report.
func (r *Report) compare(s *station, rows map[key][]stored, sessions map[string][]session) {
	r.Sent, r.Again, r.Refused, r.Links = r.Sent+s.sent, r.Again+s.again, r.Refused+s.refused, r.Links+s.links
	if s.firstRefusal != "" {
		r.finding("%s refused: %s", s.id, s.firstRefusal)
	}
	if s.renumbered > 0 {
		r.Doubled += s.renumbered
		r.finding("%s: a repeated StartTransaction got another number", s.id)
	}
	for _, tx := range s.story.all {
		for _, m := range tx.messages {
			r.message(s, m, rows)
		}
		r.session(s, tx, sessions[tx.id])
	}
}

func (r *Report) message(s *station, m *message, rows map[key][]stored) {
	k := key{s.id, m.at.UnixMicro()}
	found := rows[k]
	delete(rows, k)
	r.Messages++
	if m.answered {
		r.Answered++
	}
	if len(found) > 0 {
		r.Stored++
	}
	what := fmt.Sprintf("%s %s of %s at %s, %d Wh, sent %d times", s.id, m.kind, m.tx.id, m.at.Format(timeLayout), m.wh, m.sent)
	switch {
	case len(found) > 1:
		r.Doubled += len(found) - 1
		r.finding("doubled: %s: %v", what, found)
	case m.answered && len(found) == 0:
		r.Lost++
		r.finding("lost: %s", what)
	case m.answered && (found[0].kind != m.kind || found[0].wh != m.wh):
		r.Lost++
		r.finding("altered: %s: stored as %v", what, found[0])
	}
}

// session compares a transaction with the node's sessions of it.
func (r *Report) session(s *station, tx *transaction, list []session) {
	any := slices.ContainsFunc(tx.messages, func(m *message) bool { return m.answered })
	switch {
	case len(list) > 1:
		r.Doubled += len(list) - 1
		r.finding("doubled: %s has %d sessions of the transaction %s", s.id, len(list), tx.id)
		return
	case len(list) == 0 && any:
		r.Lost++
		r.finding("lost: %s has no session of the transaction %s", s.id, tx.id)
		return
	case len(list) == 0:
		return
	}
	got := list[0]
	r.Sessions++
	open := got.Flags[:0:0]
	for _, f := range got.Flags {
		if f.ResolvedAt == nil { // others are history: a later message has explained them
			open = append(open, f)
			r.Flags[f.Code]++
		}
	}
	if !tx.complete() {
		return
	}
	r.TruthWh, r.StoredWh = r.TruthWh+tx.last-tx.start, r.StoredWh+got.EnergyWh
	if state := map[bool]string{true: "active", false: "ended"}[tx.open]; got.EnergyWh != tx.last-tx.start || got.State != state {
		r.Differing++
		r.finding("differing: %s transaction %s is %s with %d Wh (%s, flags %v), the station says %s with %d Wh after %d messages", s.id, tx.id,
			got.State, got.EnergyWh, got.ID, got.Flags, state, tx.last-tx.start, len(tx.messages))
	}
	for _, f := range open {
		// Nothing was missing, and the station never contradicted itself.
		if f.Code == "sequence-gap" || f.Code == "conflict" || f.Code == "id-reused" || f.Code == "meter-backwards" || f.Code == "start-unknown" {
			r.Differing++
			r.finding("flag: %s transaction %s is flagged %s: %s", s.id, tx.id, f.Code, f.Text)
		}
	}
}

// session is one as the API shows it.
type session struct {
	ID            string
	TransactionID string `json:"transactionId"`
	State         string
	EnergyWh      int64 `json:"energyWh"`
	Flags         []struct {
		Code, Text string
		ResolvedAt *string `json:"resolvedAt"`
	}
}

// settleTime is how long the figures of running sessions may be behind their messages: a node that died must be declared
// dead first.
const settleTime = 20 * time.Second

// settled reads all sessions of a station, and again while figures are behind.
func (o *Options) settled(ctx context.Context, s *station) (map[string][]session, error) {
	for deadline := time.Now().Add(settleTime); ; {
		sessions, err := o.sessions(ctx, s.id)
		if err != nil {
			return nil, err
		}
		behind := slices.ContainsFunc(s.story.all, func(tx *transaction) bool {
			list := sessions[tx.id]
			return tx.complete() && len(list) == 1 && list[0].EnergyWh != tx.last-tx.start
		})
		if !behind || time.Now().After(deadline) {
			return sessions, nil
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// sessions reads all sessions of a station, by transaction id.
func (o *Options) sessions(ctx context.Context, id string) (map[string][]session, error) {
	out := map[string][]session{}
	for cursor := ""; ; {
		var page struct {
			Items []session
			Next  *string
		}
		if err := o.get(ctx, "/sessions?limit=200&station="+url.QueryEscape(id)+"&cursor="+url.QueryEscape(cursor), &page); err != nil {
			return nil, fmt.Errorf("sessions of %s: %w", id, err)
		}
		for _, s := range page.Items {
			out[s.TransactionID] = append(out[s.TransactionID], s)
		}
		if page.Next == nil || *page.Next == "" {
			return out, nil
		}
		cursor = *page.Next
	}
}

func (o *Options) get(ctx context.Context, path string, v any) error {
	return o.request(ctx, http.MethodGet, path, "", v)
}

func (o *Options) request(ctx context.Context, method, path, body string, v any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+o.Targets[0]+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+o.Key)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s %s: HTTP %d %s", method, path, resp.StatusCode, raw)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(raw, v)
}

// versions are dealt to the stations in turn.
var versions = []load.Version{load.V16, load.V201, load.V21}
