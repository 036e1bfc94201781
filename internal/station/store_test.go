package station

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"lumela/internal/bus"
	"lumela/internal/db"
	"lumela/internal/db/dbtest"
	"lumela/internal/event"
	"lumela/internal/problem"
	"lumela/ocpp"
	"lumela/ocpp/v21"
)

const home, foreign = "home", "foreign"

type opener = func(migrations ...fs.FS) *db.DB

func book(t *testing.T, open opener, policy Policy) *Stations {
	t.Helper()
	return bookOn(t, open(event.Migrations, Migrations), policy)
}

func bookOn(t *testing.T, d *db.DB, policy Policy) *Stations {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return New(d, event.NewLog(d, b, log), log, policy, home)
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *Stations) mustAdd(t *testing.T, st Station) *Station {
	t.Helper()
	if st.Organisation == "" {
		st.Organisation = home
	}
	if st.Admission == "" {
		st.Admission = Accepted
	}
	out, err := s.add(t.Context(), &st)
	must(t, err)
	return out
}

// eventTypes are the events kept of a station, in order.
func (s *Stations) eventTypes(t *testing.T, id ID) []string {
	t.Helper()
	rows, err := s.db.Query(t.Context(), `SELECT type FROM events WHERE station_id = $1 ORDER BY at, id`, string(id))
	must(t, err)
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		var typ string
		must(t, rows.Scan(&typ))
		out = append(out, typ)
	}
	must(t, rows.Err())
	return out
}

func TestNewcomer(t *testing.T) {
	t.Parallel()
	const key = "correct horse battery"
	basic := func(user string) Credentials { return Credentials{HasBasic: true, Username: user, Password: key} }
	secure := basic("S")
	secure.TLS = true
	cases := []struct {
		name      string
		policy    Policy
		shows     Credentials
		status    int // of the refusal
		admission Admission
		profile   int
		password  bool
	}{
		{"closed", Closed, basic("S"), 404, "", 0, false},
		{"no policy", "", Credentials{}, 404, "", 0, false},
		{"approve", Approve, Credentials{}, 0, Pending, 0, false},
		{"approve with password", Approve, basic("S"), 0, Pending, 1, true},
		{"approve with password and TLS", Approve, secure, 0, Pending, 2, true},
		{"approve with another's user name", Approve, basic("X"), 0, Pending, 0, false},
		{"approve with an empty password", Approve, Credentials{HasBasic: true, Username: "S"}, 0, Pending, 0, false},
		{"approve with certificate", Approve, Credentials{TLS: true, ClientCN: "S"}, 0, Pending, 3, false},
		{"approve with another's certificate", Approve, Credentials{TLS: true, ClientCN: "X"}, 401, "", 0, false},
		{"open", Open, basic("S"), 0, Accepted, 0, false},
		{"open with another's certificate", Open, Credentials{TLS: true, ClientCN: "X"}, 401, "", 0, false},
	}
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		d := open(event.Migrations, Migrations)
		for i, c := range cases {
			id := fmt.Sprintf("S%d", i)
			for _, of := range []*string{&c.shows.Username, &c.shows.ClientCN} {
				if *of == "S" {
					*of = id
				}
			}
			t.Run(c.name, func(t *testing.T) {
				s := bookOn(t, d, c.policy)
				st, err := s.Authenticate(t.Context(), id, c.shows)
				if c.status != 0 {
					if r, ok := errors.AsType[*Refusal](err); !ok || r.Status != c.status {
						t.Fatalf("got %v, want HTTP %d", err, c.status)
					}
					if _, err := s.Get(t.Context(), ID(id)); !problem.Is(err, problem.NotFound) {
						t.Errorf("a refused station is known: %v", err)
					}
					return
				}
				must(t, err)
				if st.Organisation != home || st.Admission != c.admission || st.SecurityProfile != c.profile || st.HasPassword() != c.password {
					t.Errorf("made %+v", st)
				}
				known, err := s.Authenticate(t.Context(), id, c.shows)
				must(t, err)
				if d := cmp.Diff(st, known, cmp.AllowUnexported(Station{}), cmpopts.EquateEmpty()); d != "" {
					t.Errorf("(-made +read):\n%s", d)
				}
				if c.password { // what it showed first it must show from now on
					other := c.shows
					other.Password += "!"
					if _, err := s.Authenticate(t.Context(), id, other); err == nil {
						t.Error("another password took its place")
					}
					if _, err := s.Authenticate(t.Context(), id, Credentials{TLS: true}); err == nil {
						t.Error("no password took its place")
					}
				}
				want := event.StationAccepted
				if c.admission == Pending {
					want = event.StationPending
				}
				if got := s.eventTypes(t, ID(id)); !slices.Equal(got, []string{want}) {
					t.Errorf("events %v", got)
				}
			})
		}
	})
}

// Two come at the same moment with one id and different passwords: only one of them gets in.
func TestNewcomerRace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s := book(t, open, Approve)
		for i := range 20 {
			id := fmt.Sprintf("S%d", i)
			var in [2]bool
			var wg sync.WaitGroup
			for who := range in {
				wg.Go(func() {
					_, err := s.Authenticate(context.Background(), id,
						Credentials{HasBasic: true, Username: id, Password: fmt.Sprintf("password of number %d", who)})
					in[who] = err == nil
				})
			}
			wg.Wait()
			if in[0] == in[1] {
				t.Fatalf("let in: %v", in)
			}
		}
	})
}

func TestEnrolAndPassword(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		opens := func(password string) bool {
			_, err := s.Authenticate(ctx, "S", Credentials{HasBasic: true, Username: "S", Password: password})
			return err == nil
		}
		must(t, s.Enrol(ctx, home, "S", "first password!!"))
		if !opens("first password!!") {
			t.Error("the enrolled station may not connect")
		}
		must(t, s.Enrol(ctx, home, "S", "second password!"))
		if opens("first password!!") || !opens("second password!") {
			t.Error("the second password does not replace the first")
		}
		must(t, s.SetPassword(ctx, home, "S", "third password!!"))
		if opens("second password!") || !opens("third password!!") {
			t.Error("the third password does not replace the second")
		}
		if err := s.Enrol(ctx, foreign, "S", "another password"); !problem.Is(err, problem.NotFound) {
			t.Errorf("another organisation's station: %v", err)
		}
		if err := s.Enrol(ctx, home, "a/b", "another password"); problem.Of(err).Field != "id" {
			t.Errorf("no id: %v", err)
		}
		s.mustAdd(t, Station{ID: "zero"})
		must(t, s.SetPassword(ctx, home, "zero", "some password 16"))
		if st, err := s.Get(ctx, "zero"); err != nil || st.SecurityProfile != 1 {
			t.Errorf("with a password the profile is %d, %v", st.SecurityProfile, err)
		}
		for _, secret := range []string{"first password!!", "third password!!"} {
			var n int
			must(t, s.db.QueryRow(ctx, `SELECT COUNT(*) FROM events WHERE data LIKE $1`, "%"+secret+"%").Scan(&n))
			if n != 0 {
				t.Errorf("events tell the password %s", secret)
			}
		}
	})
}

func TestTenants(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		_, ofErr := s.Of(ctx, foreign, "S")
		_, changeErr := s.change(ctx, foreign, "S", event.StationUpdated, func(*Station) error { return nil })
		for name, err := range map[string]error{"read": ofErr, "change": changeErr, "remove": s.Remove(ctx, foreign, "S")} {
			if !problem.Is(err, problem.NotFound) {
				t.Errorf("%s of another's station: %v", name, err)
			}
		}
		if _, err := s.Of(ctx, home, "S"); err != nil {
			t.Error(err)
		}
		if list, err := s.List(ctx, foreign, Filter{Limit: 9}); err != nil || len(list) != 0 {
			t.Errorf("another organisation sees %v, %v", list, err)
		}
	})
}

// Remove forgets the state of a station, not its history.
func TestRemove(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		must(t, s.Status(ctx, home, "S", ConnectorState{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusAvailable, At: time.Now()}))
		must(t, s.Keep(ctx, home, "S", []Variable{{Component: "C", Variable: "V", Attribute: "Actual", Value: "x"}}))
		must(t, s.Note(ctx, home, "S", &v21.ClearedChargingLimitRequest{}))
		must(t, s.Remove(ctx, home, "S"))
		if err := s.Remove(ctx, home, "S"); !problem.Is(err, problem.NotFound) {
			t.Errorf("removed twice: %v", err)
		}
		states, err := s.Connectors(ctx, []ID{"S"})
		must(t, err)
		vars, err := s.Variables(ctx, "S", "")
		must(t, err)
		notices, err := s.Notices(ctx, "S", "", time.Now().Add(time.Hour), 9)
		must(t, err)
		if len(states)+len(vars)+len(notices) != 0 {
			t.Errorf("left: %v %v %v", states, vars, notices)
		}
		history, err := s.History(ctx, "S", time.Unix(0, 0), time.Now().Add(time.Hour), 9)
		must(t, err)
		if len(history) != 1 {
			t.Errorf("the history has %d entries", len(history))
		}
		if got := s.eventTypes(t, "S"); got[len(got)-1] != event.StationRemoved {
			t.Errorf("events %v", got)
		}
	})
}

func TestLinks(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Date(2026, 1, 1, 0, 0, s, 0, time.UTC) }
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		s.mustAdd(t, Station{ID: "T"})
		first := Link{ID: "l1", Node: "n1", Station: "S", Protocol: "1.6", Remote: "r1", At: at(1)}
		second := Link{ID: "l2", Node: "n2", Station: "S", Protocol: "2.1", Remote: "r2", At: at(2)}
		state := func(online bool, link, protocol string, seen int) {
			t.Helper()
			st, err := s.Get(ctx, "S")
			must(t, err)
			if st.Online() != online || st.LinkID != link || st.Protocol != protocol || !st.LastSeenAt.Equal(at(seen)) {
				t.Errorf("station is %+v", st)
			}
		}
		must(t, s.Linked(ctx, home, first))
		state(true, "l1", "1.6", 1)
		must(t, s.Linked(ctx, home, second)) // takes over
		state(true, "l2", "2.1", 2)
		must(t, s.Unlinked(ctx, home, first, "taken over", at(3)))
		state(true, "l2", "2.1", 2)
		must(t, s.Unlinked(ctx, home, second, "gone", at(4)))
		state(false, "", "2.1", 4)
		third := Link{ID: "l3", Node: "n1", Station: "S", Protocol: "2.1", At: at(5)}
		must(t, s.Linked(ctx, home, third))
		must(t, s.Linked(ctx, home, Link{ID: "t1", Node: "n2", Station: "T", At: at(5)}))
		must(t, s.NodeLost(ctx, "n1", at(6)))
		state(false, "", "2.1", 5)
		if st, err := s.Get(ctx, "T"); err != nil || !st.Online() {
			t.Errorf("another node's link is lost: %v", err)
		}
		end := func(s int) *time.Time { v := at(s); return &v }
		got, err := s.Links(ctx, "S", at(0), at(9), 9)
		must(t, err)
		want := []LinkChange{
			{ConnectedAt: at(5), DisconnectedAt: end(6), Reason: "node lost", Protocol: "2.1", Node: "n1"},
			{ConnectedAt: at(2), DisconnectedAt: end(4), Reason: "gone", Protocol: "2.1", Remote: "r2", Node: "n2"},
			{ConnectedAt: at(1), DisconnectedAt: end(3), Reason: "taken over", Protocol: "1.6", Remote: "r1", Node: "n1"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("links (-want +got):\n%s", d)
		}
		if got, err = s.Links(ctx, "S", at(2), at(5), 9); err != nil || len(got) != 1 {
			t.Errorf("of [2,5): %v, %v", got, err)
		}
		if d := cmp.Diff([]string{event.StationAccepted, event.StationOnline, event.StationOnline, event.StationOffline, event.StationOnline,
			event.StationOffline}, s.eventTypes(t, "S")); d != "" {
			t.Errorf("events (-want +got):\n%s", d)
		}
		must(t, s.Seen(ctx, map[ID]time.Time{"S": at(7), "T": at(8), "nobody": at(9)}))
		state(false, "", "2.1", 7)
	})
}

func TestBooted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S", Admission: Pending})
		b := Boot{Vendor: "V", Model: "M", SerialNumber: "1", Firmware: "F"}
		for i, c := range []struct {
			boot              Boot
			accepted, changed bool
		}{
			{b, false, true}, {b, false, false}, {b, true, false},
			{Boot{"V", "M", "1", "F2", ""}, true, true}, {Boot{"V", "M2", "1", "F2", ""}, true, true}, {Boot{"V", "M2", "1", "F2", "PowerUp"}, true, false},
		} {
			changed, err := s.Booted(ctx, home, "S", c.boot, c.accepted)
			must(t, err)
			st, err := s.Get(ctx, "S")
			must(t, err)
			if changed != c.changed || st.BootedAt.IsZero() == (i >= 2) || st.Firmware != c.boot.Firmware || st.Model != c.boot.Model {
				t.Errorf("boot %d: changed %v, %+v", i, changed, st)
			}
		}
		if _, err := s.Booted(ctx, home, "nobody", b, true); err == nil {
			t.Error("nobody booted")
		}
	})
}

// The history keeps every report, in the order of arrival; the present state is the report with the latest time, the last
// to arrive of equal ones.
func TestStatusLaw(t *testing.T) {
	t.Parallel()
	states := []v21.ConnectorStatus{v21.ConnectorStatusAvailable, v21.ConnectorStatusOccupied, v21.ConnectorStatusReserved,
		v21.ConnectorStatusUnavailable, v21.ConnectorStatusFaulted}
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s := book(t, open, Closed)
		n := 0
		rapid.Check(t, func(t *rapid.T) {
			n++
			if n > 10 {
				return // each report is a commit
			}
			id := ID(fmt.Sprintf("S%d", n))
			ctx := context.Background()
			_, err := s.add(ctx, &Station{ID: id, Organisation: home, Admission: Accepted})
			must(t, err)
			var want ConnectorState
			reports := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 8).Draw(t, "times")
			for i, sec := range reports {
				c := ConnectorState{EVSE: 1, Connector: 2, Status: rapid.SampledFrom(states).Draw(t, "status"), Detail: fmt.Sprint(i),
					At: time.Date(2026, 1, 1, 0, 0, sec, 0, time.UTC)}
				must(t, s.Status(ctx, home, id, c))
				if !c.At.Before(want.At) {
					want = c
				}
			}
			got, err := s.Connectors(ctx, []ID{id})
			must(t, err)
			if d := cmp.Diff(map[ID][]ConnectorState{id: {want}}, got); d != "" {
				t.Fatalf("(-want +got):\n%s", d)
			}
			history, err := s.History(ctx, id, time.Unix(0, 0), time.Now().Add(time.Hour), 100)
			must(t, err)
			if len(history) != len(reports) {
				t.Fatalf("%d of %d reports are kept", len(history), len(reports))
			}
			slices.Reverse(history)
			for i, h := range history {
				if h.Detail != fmt.Sprint(i) || h.At.Second() != reports[i] {
					t.Fatalf("entry %d is %+v", i, h)
				}
			}
		})
	})
}

func TestProblem(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		status := func(connector int, v v21.ConnectorStatus) {
			must(t, s.Status(ctx, home, "S", ConnectorState{EVSE: 1, Connector: connector, Status: v, At: at}))
		}
		errors := func(want ...string) {
			t.Helper()
			got, err := s.Connectors(ctx, []ID{"S"})
			must(t, err)
			codes := []string{}
			for _, c := range got["S"] {
				codes = append(codes, c.ErrorCode)
			}
			if !slices.Equal(codes, want) {
				t.Errorf("error codes %q, want %q", codes, want)
			}
		}
		status(1, v21.ConnectorStatusAvailable)
		status(2, v21.ConnectorStatusAvailable)
		must(t, s.Problem(ctx, home, "S", 1, 2, "GroundFailure", "wet", at))
		errors("", "GroundFailure")
		status(2, v21.ConnectorStatusFaulted) // the state may come after its reason
		errors("", "GroundFailure")
		var data string
		must(t, s.db.QueryRow(ctx, `SELECT data FROM events WHERE type = $1 ORDER BY at DESC, id DESC LIMIT 1`, event.ConnectorStatus).Scan(&data))
		if !strings.Contains(data, `"GroundFailure"`) || !strings.Contains(data, `"Faulted"`) {
			t.Errorf("the live view hears %s", data)
		}
		must(t, s.Problem(ctx, home, "S", 1, 0, "HighTemperature", "", at)) // the EVSE's
		errors("HighTemperature", "HighTemperature")
		must(t, s.Problem(ctx, home, "S", 1, 0, "", "", at))
		errors("", "")
		must(t, s.Problem(ctx, home, "S", 7, 0, "X", "", at)) // of an EVSE that is not known
		history, err := s.History(ctx, "S", time.Unix(0, 0), time.Now().Add(time.Hour), 99)
		must(t, err)
		if len(history) != 3+1+2+2 {
			t.Errorf("the history has %d entries", len(history))
		}
	})
}

func TestVariables(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		plug := Variable{Component: "Connector", EVSE: 1, Connector: 1, Variable: "ConnectorType", Attribute: "Actual", Value: "cCCS2"}
		full := Variable{Component: "OCPPCommCtrlr", Variable: "HeartbeatInterval", Attribute: "Actual", Value: "60", Mutability: "ReadWrite",
			DataType: "integer", Unit: "s"}
		must(t, s.Keep(ctx, home, "S", []Variable{full, plug,
			{Component: "SecurityCtrlr", Variable: "basicauthpassword", Attribute: "Actual", Value: "secret!"}}))
		must(t, s.Keep(ctx, home, "S", []Variable{{Component: "OCPPCommCtrlr", Variable: "HeartbeatInterval", Attribute: "Actual", Value: "30"},
			{Component: "OCPPCommCtrlr", Variable: "HeartbeatInterval", Attribute: "Target", Value: "20"}}))
		full.Value = "30" // the rest stays as the report said
		got, err := s.Variables(ctx, "S", "ocppcommctrlr")
		must(t, err)
		want := []Variable{full, {Component: "OCPPCommCtrlr", Variable: "HeartbeatInterval", Attribute: "Target", Value: "20"}}
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Variable{}, "UpdatedAt")); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		all, err := s.Variables(ctx, "S", "")
		must(t, err)
		for _, v := range all {
			if strings.Contains(v.Value, "secret") {
				t.Errorf("a secret is kept: %+v", v)
			}
		}
		if len(all) != 4 {
			t.Errorf("%d variables", len(all))
		}
		if st, err := s.Get(ctx, "S"); err != nil || !st.ModelReadAt.IsZero() {
			t.Errorf("the whole model was read, by some of its variables: %v", err)
		}
		must(t, s.ModelRead(ctx, foreign, "S"))
		if st, err := s.Get(ctx, "S"); err != nil || !st.ModelReadAt.IsZero() {
			t.Errorf("the model was read by another organisation: %v", err)
		}
		must(t, s.ModelRead(ctx, home, "S"))
		if st, err := s.Get(ctx, "S"); err != nil || st.ModelReadAt.IsZero() {
			t.Errorf("the model was not read: %v", err)
		}
		typeOf := func(want string) {
			t.Helper()
			got, err := s.Connectors(ctx, []ID{"S"})
			must(t, err)
			if len(got["S"]) != 1 || got["S"][0].Type != want {
				t.Errorf("connectors %+v, want type %s", got, want)
			}
		}
		must(t, s.Status(ctx, home, "S", ConnectorState{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusAvailable, At: time.Now()}))
		typeOf("cCCS2") // told before the connector was heard of
		plug.Value = "cType2"
		must(t, s.Keep(ctx, home, "S", []Variable{plug}))
		typeOf("cType2")
	})
}

func TestReportVariables(t *testing.T) {
	t.Parallel()
	got := ReportVariables([]v21.ReportData{
		{Component: v21.Component{Name: "C", Instance: ocpp.Some("i"), EVSE: &v21.EVSE{ID: 2, ConnectorID: ocpp.Some(3)}},
			Variable: v21.Variable{Name: "V", Instance: ocpp.Some("j")}, VariableCharacteristics: &v21.VariableCharacteristics{DataType: "integer", Unit: ocpp.Some("A")},
			VariableAttribute: []v21.VariableAttribute{{Value: ocpp.Some("1")}, {Type: ocpp.Some(v21.AttributeTypeTarget), Value: ocpp.Some("2"),
				Mutability: ocpp.Some(v21.MutabilityReadOnly)}}},
		{Component: v21.Component{Name: "S"}, Variable: v21.Variable{Name: "BASICAUTHPASSWORD"}, VariableAttribute: []v21.VariableAttribute{{Value: ocpp.Some("secret")}}},
		{Component: v21.Component{Name: "S"}, Variable: v21.Variable{Name: "AuthorizationKey"}, VariableAttribute: []v21.VariableAttribute{{Value: ocpp.Some("secret")}}},
		{Component: v21.Component{Name: "S"}, Variable: v21.Variable{Name: "W"}, VariableAttribute: []v21.VariableAttribute{{Value: ocpp.Some("secret"),
			Mutability: ocpp.Some(v21.MutabilityWriteOnly)}}},
	})
	want := []Variable{
		{Component: "C", ComponentInstance: "i", EVSE: 2, Connector: 3, Variable: "V", VariableInstance: "j", Attribute: "Actual", Value: "1",
			Mutability: "ReadWrite", DataType: "integer", Unit: "A"},
		{Component: "C", ComponentInstance: "i", EVSE: 2, Connector: 3, Variable: "V", VariableInstance: "j", Attribute: "Target", Value: "2",
			Mutability: "ReadOnly", DataType: "integer", Unit: "A"},
		{Component: "S", Variable: "BASICAUTHPASSWORD", Attribute: "Actual", Mutability: "ReadWrite"},
		{Component: "S", Variable: "AuthorizationKey", Attribute: "Actual", Mutability: "ReadWrite"},
		{Component: "S", Variable: "W", Attribute: "Actual", Mutability: "WriteOnly"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestNotices(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		s.mustAdd(t, Station{ID: "S"})
		must(t, s.Note(ctx, home, "S", &v21.SecurityEventNotificationRequest{Type: "nul \x00", Timestamp: time.Now()}))
		must(t, s.Note(ctx, home, "S", &v21.ClearedChargingLimitRequest{}))
		later := time.Now().Add(time.Hour)
		all, err := s.Notices(ctx, "S", "", later, 9)
		must(t, err)
		if len(all) != 2 || all[0].Action != "ClearedChargingLimit" || !strings.Contains(string(all[1].Payload), `"type":"nul \u0000"`) {
			t.Errorf("notices %+v", all)
		}
		one, err := s.Notices(ctx, "S", "SecurityEventNotification", later, 9)
		must(t, err)
		if len(one) != 1 || one[0].ID != all[1].ID {
			t.Errorf("of one action: %+v", one)
		}
		if before, err := s.Notices(ctx, "S", "", all[0].At, 9); err != nil || len(before) != 1 || before[0].ID != all[1].ID {
			t.Errorf("before the newest: %+v, %v", before, err)
		}
		must(t, s.Alarm(ctx, &Station{ID: "S", Organisation: home}, "wrong password", "host"))
		if got := s.eventTypes(t, "S"); !slices.Equal(got, []string{event.StationAccepted, event.NoticeReceived, event.NoticeReceived, event.Security}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestCounts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		if c, err := s.Counts(ctx, home); err != nil || c.Stations != 0 || len(c.Connectors) != 0 {
			t.Errorf("of nothing: %+v, %v", c, err)
		}
		for _, st := range []Station{{ID: "on"}, {ID: "off"}, {ID: "wait", Admission: Pending}, {ID: "theirs", Organisation: foreign}} {
			s.mustAdd(t, st)
			owner := home
			if st.Organisation != "" {
				owner = st.Organisation
			}
			must(t, s.Status(ctx, owner, st.ID, ConnectorState{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusOccupied, At: time.Now()}))
			must(t, s.Status(ctx, owner, st.ID, ConnectorState{EVSE: 2, Connector: 1, Status: v21.ConnectorStatusAvailable, At: time.Now()}))
			if st.ID != "off" {
				must(t, s.Linked(ctx, owner, Link{ID: string(st.ID), Station: st.ID, At: time.Now()}))
			}
		}
		c, err := s.Counts(ctx, home)
		must(t, err)
		if d := cmp.Diff(Counts{Stations: 3, Online: 2, Pending: 1, Connectors: map[string]int{"occupied": 1, "available": 1, "unknown": 2}}, c); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestList(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s, ctx := book(t, open, Closed), t.Context()
		for _, id := range []ID{"a%b", "a_b", "aXb", `c\d`, "Ünder", "wait"} {
			st := Station{ID: id}
			if id == "wait" {
				st.Admission = Pending
			}
			s.mustAdd(t, st)
		}
		s.mustAdd(t, Station{ID: "theirs", Organisation: foreign})
		_, err := s.Booted(ctx, home, "aXb", Boot{Vendor: "Volt Co", Model: "M1", SerialNumber: "sn-9"}, true)
		must(t, err)
		must(t, s.Linked(ctx, home, Link{ID: "l", Station: "a_b", At: time.Now()}))
		must(t, s.Status(ctx, home, "a_b", ConnectorState{EVSE: 1, Connector: 1, Status: v21.ConnectorStatusFaulted, At: time.Now()}))
		for _, c := range []struct {
			name string
			f    Filter
			want []ID
		}{
			{"percent", Filter{Search: "%"}, []ID{"a%b"}},
			{"underscore", Filter{Search: "_"}, []ID{"a_b"}},
			{"backslash", Filter{Search: `\`}, []ID{`c\d`}},
			{"case", Filter{Search: "AXB"}, []ID{"aXb"}},
			{"letters beyond ASCII", Filter{Search: "Ünd"}, []ID{"Ünder"}},
			{"vendor", Filter{Search: "volt"}, []ID{"aXb"}},
			{"model", Filter{Search: "m1"}, []ID{"aXb"}},
			{"serial", Filter{Search: "SN-"}, []ID{"aXb"}},
			{"injection", Filter{Search: "' OR 1=1 --"}, nil},
			{"pending", Filter{Admission: Pending}, []ID{"wait"}},
			{"online", Filter{Online: &yes}, []ID{"a_b"}},
			{"offline and accepted", Filter{Online: &no, Admission: Accepted, Search: "a"}, []ID{"a%b", "aXb"}},
			{"faulted", Filter{Status: "Faulted"}, []ID{"a_b"}},
		} {
			c.f.Limit = 99
			list, err := s.List(ctx, home, c.f)
			must(t, err)
			var got []ID
			for _, st := range list {
				got = append(got, st.ID)
			}
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	})
}

// Pages of any size are the whole list.
func TestListPages(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, open func(migrations ...fs.FS) *db.DB) {
		s := book(t, open, Closed)
		for i := range 25 {
			s.mustAdd(t, Station{ID: ID(strings.Repeat([]string{"a", "B", "é", "-"}[i%4], 1+i/4))})
		}
		whole, err := s.List(t.Context(), home, Filter{Limit: 99})
		must(t, err)
		rapid.Check(t, func(t *rapid.T) {
			limit := rapid.IntRange(1, 30).Draw(t, "limit")
			var got []*Station
			for after := ID(""); ; after = got[len(got)-1].ID {
				list, err := s.List(context.Background(), home, Filter{After: after, Limit: limit})
				must(t, err)
				if got = append(got, list...); len(list) < limit {
					break
				}
			}
			if d := cmp.Diff(whole, got, cmp.AllowUnexported(Station{})); d != "" {
				t.Fatalf("(-whole +pages):\n%s", d)
			}
		})
	})
}
