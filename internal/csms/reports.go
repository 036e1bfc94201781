package csms

import (
	"context"
	"sync"
	"time"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/gateway"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/v21"
)

// A report of a device model comes in parts that are numbered from 0; the last one says that nothing follows,
// OCPP 2.1 B07.FR.09. The parts are stored as they come: a report that breaks off has still told something, and the
// variables of its parts are right whatever is missing. Here is only noted which parts came, so that a gap is seen and the
// report asked for again.

// Bounds of what is noted of the reports of one station.
const (
	maxReports = 8    // reports under way
	maxAhead   = 1024 // parts that came before one that is missing
)

// report is what is known of a report under way.
type report struct {
	next     int              // the lowest number that has not come
	ahead    map[int]struct{} // numbers above it that have come
	last     int              // number of the last part, -1 while it is not known
	hopeless bool             // more is missing than is kept track of
	touched  chan struct{}    // holds one token after each part
	asked    bool             // by readModel, which waits for it
}

func newReport() *report {
	return &report{ahead: map[int]struct{}{}, last: -1, touched: make(chan struct{}, 1)}
}

// take notes a part. A repeated one changes nothing.
func (r *report) take(seqNo int, more bool) {
	switch {
	case seqNo == r.next:
		r.next++
	case seqNo > r.next && len(r.ahead) < maxAhead:
		r.ahead[seqNo] = struct{}{}
	case seqNo > r.next:
		r.hopeless = true
	}
	for {
		if _, ok := r.ahead[r.next]; !ok {
			break
		}
		delete(r.ahead, r.next)
		r.next++
	}
	if !more {
		r.last = max(r.last, seqNo)
	}
	select {
	case r.touched <- struct{}{}:
	default:
	}
}

func (r *report) complete() bool { return r.last >= 0 && r.next > r.last && !r.hopeless }
func (r *report) gap() bool      { return len(r.ahead) > 0 || r.hopeless || r.last >= r.next }

// reports are the reports under way on the links of this node. The zero value is ready.
type reports struct {
	mu sync.Mutex
	of map[string]map[int]*report // by link and request id
}

// expect begins to note the parts of a report. It is called before the report is asked for.
func (a *reports) expect(link string, request int) *report {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.add(link, request)
	r.asked = true
	return r
}

// add makes a report; the caller holds the lock.
func (a *reports) add(link string, request int) *report {
	if a.of == nil {
		a.of = map[string]map[int]*report{}
	}
	all := a.of[link]
	if all == nil {
		all = map[int]*report{}
		a.of[link] = all
	}
	for old, r := range all { // any that nobody waits for: a station that leaves so many open ends none of them
		if len(all) < maxReports {
			break
		}
		if !r.asked {
			delete(all, old)
		}
	}
	r := newReport()
	all[request] = r
	return r
}

// take notes a part of a report, also of one that others asked for; ended is true for the last part of a report with its
// gap, if it has one.
func (a *reports) take(link string, request, seqNo int, more bool) (ended, gap bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.of[link][request]
	if r == nil {
		r = a.add(link, request)
	}
	r.take(seqNo, more)
	if !r.asked && r.complete() {
		delete(a.of[link], request)
	}
	return r.last >= 0, r.gap()
}

// state reads a report.
func (a *reports) state(r *report) (complete, ended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.complete(), r.last >= 0
}

func (a *reports) forget(link string, request int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if delete(a.of[link], request); len(a.of[link]) == 0 {
		delete(a.of, link)
	}
}

// forgetAll drops what is noted of a link that has ended.
func (a *reports) forgetAll(link string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.of, link)
}

// notifyReport keeps a part of a report and notes that it came.
func (c *CSMS) notifyReport(ctx context.Context, l *gateway.Link, r *v21.NotifyReportRequest) error {
	st := l.Station()
	id := station.ID(st.ID)
	if vars := station.ReportVariables(r.ReportData); len(vars) > 0 {
		if err := c.Stations.Keep(ctx, st.Organisation, id, vars); err != nil {
			return err
		}
	}
	if ended, gap := c.reports.take(l.ID(), r.RequestID, r.SeqNo, r.Tbc.Or(false)); ended && gap {
		c.Log.Warn("parts of a report are missing", "station", id, "requestId", r.RequestID, "part", r.SeqNo)
	}
	return nil
}

// How long a report may take.
const (
	partPatience = 30 * time.Second // until its next part
	partGrace    = time.Second      // until parts that are missing when the last one has come
)

// reading is a report of the whole device model that has been asked for.
type reading struct {
	csms    *CSMS
	link    *gateway.Link
	request int
	report  *report
}

// readModel asks for the whole device model. The second result is false when no answer came; without a reading there is
// nothing to wait for.
func (c *CSMS) readModel(ctx context.Context, l *gateway.Link) (*reading, bool) {
	id, organisation := station.ID(l.Station().ID), l.Station().Organisation
	r := &reading{csms: c, link: l, request: c.newRequestID()}
	r.report = c.reports.expect(l.ID(), r.request)
	req := &v21.GetBaseReportRequest{RequestID: r.request, ReportBase: v21.ReportBaseFullInventory}
	_, res, err := c.Commands.Send(ctx, account.System(organisation), command.Order{Station: id, Request: req})
	if err != nil {
		c.reports.forget(l.ID(), r.request)
		c.Log.Info("device model not read", "station", id, "error", err)
		return nil, problem.Is(err, problem.Inexpressible)
	}
	if answer, ok := res.Response.(*v21.GetBaseReportResponse); ok && answer.Status != v21.GenericDeviceModelStatusAccepted {
		c.reports.forget(l.ID(), r.request)
		c.Log.Info("device model refused", "station", id, "status", answer.Status)
		return nil, true
	}
	return r, true
}

// wait waits for the last part; false when some are missing, or when the link ends before.
func (r *reading) wait(ctx context.Context) bool {
	id, organisation := station.ID(r.link.Station().ID), r.link.Station().Organisation
	defer r.csms.reports.forget(r.link.ID(), r.request)
	timer := time.NewTimer(partPatience)
	defer timer.Stop()
	for {
		complete, ended := r.csms.reports.state(r.report)
		if complete {
			if err := r.csms.Stations.ModelRead(ctx, organisation, id); err != nil {
				r.csms.Log.Error("reading of the device model not recorded", "station", id, "error", err)
			}
			return true
		}
		patience := partPatience
		if ended {
			patience = partGrace
		}
		timer.Reset(patience)
		select {
		case <-r.report.touched:
		case <-timer.C:
			r.csms.Log.Warn("the report of the device model is incomplete", "station", id, "requestId", r.request)
			return false
		case <-r.link.Done():
			return false
		}
	}
}

// readFully reads the device model: meanwhile is done after it has been asked for. What does not come is asked for again:
// at once when parts are missing, later when no answer came, since a station may be busy with its start. After the last
// attempt it is left until the station connects again.
func (c *CSMS) readFully(ctx context.Context, l *gateway.Link, meanwhile func()) {
	id := station.ID(l.Station().ID)
	r, answered := c.readModel(ctx, l)
	meanwhile()
	for _, pause := range modelRetries {
		if answered && (r == nil || r.wait(ctx)) {
			return
		}
		if answered {
			pause = 0
		}
		select {
		case <-l.Done():
			c.rereads.Store(id, struct{}{})
			return
		case <-time.After(pause):
			r, answered = c.readModel(ctx, l)
		}
	}
	if !answered || r != nil && !r.wait(ctx) {
		c.rereads.Store(id, struct{}{})
	}
}
