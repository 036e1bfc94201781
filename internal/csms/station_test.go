package csms_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/go-cmp/cmp"

	"lumela/internal/account"
	"lumela/internal/command"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// decide lets an operator accept or reject a station, as the API does.
func (p *platform) decide(t *testing.T, id, verb string) {
	t.Helper()
	mux := http.NewServeMux()
	p.Stations.Register(humago.New(mux, huma.DefaultConfig("test", "1")))
	r := httptest.NewRequest(http.MethodPost, "/stations/"+id+"/"+verb, nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r.WithContext(account.With(r.Context(), account.System(organisation))))
	if w.Code/100 != 2 {
		t.Fatalf("%s: %d %s", verb, w.Code, w.Body)
	}
}

// TestBoot: a station that nobody knows waits, takes part when it is accepted, and is told when it is rejected.
func TestBoot(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.connect(t, "NEW", password)
		again := make(chan struct{}, 1)
		s.answers(func(req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
			if r, ok := req.(*v21.TriggerMessageRequest); ok && r.RequestedMessage == v21.MessageTriggerBootNotification {
				again <- struct{}{}
				return &v21.TriggerMessageResponse{Status: v21.TriggerMessageStatusAccepted}, nil
			}
			return nil, nil
		})
		if resp := s.boot(v21.RegistrationStatusPending); resp.Interval != 30 {
			t.Errorf("asked to come again in %d s, want 30", resp.Interval)
		}
		s.refused(&v21.HeartbeatRequest{}, ocpp.SecurityError)
		p.decide(t, "NEW", "accept")
		select {
		case <-again:
		case <-time.After(patience):
			t.Fatal("the accepted station is not asked to boot again")
		}
		if resp := s.boot(v21.RegistrationStatusAccepted); resp.Interval != 300 || time.Since(resp.CurrentTime).Abs() > patience {
			t.Errorf("accepted with interval %d and time %s", resp.Interval, resp.CurrentTime)
		}
		ask[*v21.HeartbeatResponse](s, &v21.HeartbeatRequest{})
		st, err := p.Stations.Get(context.Background(), "NEW")
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %s %s %s %v", st.Vendor, st.Model, st.SerialNumber, st.Firmware, st.Online()); got != "Vendor Model 4711 1.0 true" {
			t.Errorf("the book says %s", got)
		}
		known := p.booted(t, "KNOWN")
		p.decide(t, "KNOWN", "reject")
		known.refused(&v21.HeartbeatRequest{}, ocpp.SecurityError)
		known.boot(v21.RegistrationStatusRejected)
	})
}

// TestReport: the parts of a report are kept as they come, and secrets are not.
func TestReport(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		const secret = "the secret that must not be kept"
		report := func(seqNo int, component, name, value string, m v21.Mutability) *v21.NotifyReportRequest {
			return &v21.NotifyReportRequest{RequestID: 1, GeneratedAt: time.Now().UTC(), SeqNo: seqNo, Tbc: ocpp.Some(seqNo < 2), ReportData: []v21.ReportData{{
				Component: v21.Component{Name: component}, Variable: v21.Variable{Name: name},
				VariableAttribute: []v21.VariableAttribute{{Value: ocpp.Some(value), Mutability: ocpp.Some(m)}}}}}
		}
		ask[*v21.NotifyReportResponse](s, report(0, "OCPPCommCtrlr", "HeartbeatInterval", "300", v21.MutabilityReadWrite))
		ask[*v21.NotifyReportResponse](s, report(1, "SecurityCtrlr", "BasicAuthPassword", secret, v21.MutabilityReadWrite))
		ask[*v21.NotifyReportResponse](s, report(2, "Vendor", "Key", secret, v21.MutabilityWriteOnly))
		ask[*v21.NotifyReportResponse](s, report(2, "OCPPCommCtrlr", "HeartbeatInterval", "600", v21.MutabilityReadWrite))
		vars, err := p.Stations.Variables(context.Background(), "S", "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range vars {
			got = append(got, v.Component+"."+v.Variable+"="+v.Value)
		}
		if diff := cmp.Diff([]string{"OCPPCommCtrlr.HeartbeatInterval=600", "SecurityCtrlr.BasicAuthPassword=", "Vendor.Key="}, got); diff != "" {
			t.Errorf("the device model differs (-want +got):\n%s", diff)
		}
	})
}

// TestProblems: a problem of a connector is shown until it is cleared, beside the connector's state.
func TestProblems(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		s := p.booted(t, "S")
		began := time.Now().UTC().Add(-time.Minute)
		ask[*v21.StatusNotificationResponse](s, &v21.StatusNotificationRequest{Timestamp: began, EVSEID: 1, ConnectorID: 1, ConnectorStatus: v21.ConnectorStatusAvailable})
		notify := func(change func(*v21.EventData)) {
			e := v21.EventData{EventID: 1, Timestamp: time.Now().UTC(), Trigger: v21.EventTriggerAlerting, ActualValue: "true",
				EventNotificationType: v21.EventNotificationHardWiredNotification, Variable: v21.Variable{Name: "Problem"},
				Component: v21.Component{Name: "Connector", EVSE: &v21.EVSE{ID: 1, ConnectorID: ocpp.Some(1)}}}
			change(&e)
			ask[*v21.NotifyEventResponse](s, &v21.NotifyEventRequest{GeneratedAt: e.Timestamp, EventData: []v21.EventData{e}})
		}
		shown := func() string {
			all, err := p.Stations.Connectors(context.Background(), []station.ID{"S"})
			if err != nil || len(all["S"]) != 1 {
				t.Fatalf("connectors: %v %v", all, err)
			}
			c := all["S"][0]
			return fmt.Sprintf("%s %s %s", c.Status, c.ErrorCode, c.ErrorInfo)
		}
		for _, step := range []struct {
			want   string
			change func(*v21.EventData)
		}{
			{"Available GroundFailure wet", func(e *v21.EventData) { e.TechCode, e.TechInfo = ocpp.Some("GroundFailure"), ocpp.Some("wet") }},
			{"Available GroundFailure wet", func(e *v21.EventData) { e.Variable.Name = "Temperature" }},
			{"Available GroundFailure wet", func(e *v21.EventData) { e.Component.EVSE.ConnectorID = ocpp.Some(2) }},
			{"Available  ", func(e *v21.EventData) { e.Cleared = ocpp.Some(true) }},
			{"Available Problem ", func(*v21.EventData) {}},
			{"Available  ", func(e *v21.EventData) { e.ActualValue = "false" }},
		} {
			notify(step.change)
			if got := shown(); got != step.want {
				t.Errorf("shown %q, want %q", got, step.want)
			}
		}
		ask[*v21.StatusNotificationResponse](s, &v21.StatusNotificationRequest{Timestamp: began.Add(-time.Hour), EVSEID: 1, ConnectorID: 1, ConnectorStatus: v21.ConnectorStatusFaulted})
		if got := shown(); got != "Available  " {
			t.Errorf("an old state replaces the present one: %q", got)
		}
	})
}

// TestPassword: a password is switched when the station has taken it over, and stays as it was on anything else.
func TestPassword(t *testing.T) {
	onEach(t, func(t *testing.T, p *platform) {
		const next, never = "another password 1", "another password 2"
		s := p.booted(t, "S")
		rejected, accepted := v21.SetVariableStatusRejected, v21.SetVariableStatusAccepted
		status, reversed := rejected, false // of the password, and the order of the results
		answer := func(req ocpp.Request) (ocpp.Response, *ocpp.CallError) {
			set, ok := req.(*v21.SetVariablesRequest)
			if !ok {
				return nil, nil
			}
			resp := &v21.SetVariablesResponse{}
			for _, d := range set.SetVariableData {
				r := v21.SetVariableResult{AttributeStatus: accepted, Component: d.Component, Variable: d.Variable}
				if d.Variable.Name == "BasicAuthPassword" {
					r.AttributeStatus = status
				}
				if reversed {
					resp.SetVariableResult = append([]v21.SetVariableResult{r}, resp.SetVariableResult...)
				} else {
					resp.SetVariableResult = append(resp.SetVariableResult, r)
				}
			}
			return resp, nil
		}
		s.answers(answer)
		set := func(component, value string) {
			t.Helper()
			p.order(t, "S", &v21.SetVariablesRequest{SetVariableData: []v21.SetVariableData{
				{Component: v21.Component{Name: component}, Variable: v21.Variable{Name: "BasicAuthPassword"}, AttributeValue: value},
				{Component: v21.Component{Name: "OCPPCommCtrlr"}, Variable: v21.Variable{Name: "HeartbeatInterval"}, AttributeValue: "77"}}})
		}
		lets := func(want map[string]int) {
			t.Helper()
			for pass, status := range want {
				s, got, _ := p.dial(t, "S", pass)
				if got != status {
					t.Errorf("with %q: %d, want %d", pass, got, status)
				}
				if s != nil {
					s.answers(answer)
					ask[*v21.HeartbeatResponse](s, &v21.HeartbeatRequest{}) // now it has taken the place of the link before
				}
			}
		}
		const in, out = http.StatusSwitchingProtocols, http.StatusUnauthorized
		set("SecurityCtrlr", never)
		lets(map[string]int{never: out})
		reversed = true
		set("SecurityCtrlr", never)
		lets(map[string]int{never: out, password: in})
		status = accepted
		set("NetworkConfiguration", never)
		lets(map[string]int{never: out})
		set("SecurityCtrlr", next)
		lets(map[string]int{password: out, "77": out, next: in})
		vars, err := p.Stations.Variables(context.Background(), "S", "OCPPCommCtrlr")
		if err != nil || len(vars) != 1 || vars[0].Value != "77" {
			t.Errorf("the variable beside the password: %+v %v", vars, err)
		}
		p.nowhere(t, next)
		p.nowhere(t, never)
	})
}

// nowhere makes sure that no table holds a secret.
func (p *platform) nowhere(t *testing.T, secret string) {
	t.Helper()
	// The log of frames is written a moment later.
	eventually(t, "the frames are written", func() bool { return p.count(t, "frames", "text", "SetVariables") >= 4 })
	for _, column := range [][2]string{{"variables", "value"}, {"commands", "request"}, {"commands", "response"}, {"events", "data"},
		{"notices", "payload"}, {"frames", "text"}} {
		if n := p.count(t, column[0], column[1], secret); n != 0 {
			t.Errorf("%s.%s holds the password %d times", column[0], column[1], n)
		}
	}
}

// count counts the rows of a table whose column holds a text.
func (p *platform) count(t *testing.T, table, column, text string) (n int) {
	t.Helper()
	err := p.db.QueryRow(context.Background(), `SELECT COUNT(*) FROM `+table+` WHERE `+column+` LIKE '%' || $1 || '%'`, text).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// order sends a request to a station as an operator does.
func (p *platform) order(t *testing.T, id station.ID, req ocpp.Request) {
	t.Helper()
	if _, _, err := p.Commands.Send(context.Background(), account.System(organisation), command.Order{Station: id, Request: req, Wait: patience}); err != nil {
		t.Fatalf("%s: %v", req.ActionName(), err)
	}
}
