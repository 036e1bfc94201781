package station

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/db"
	"lumela/internal/event"
	"lumela/internal/page"
	"lumela/internal/problem"
)

// View is a station as the API shows it.
type View struct {
	ID              string     `json:"id"`
	Vendor          string     `json:"vendor"`
	Model           string     `json:"model"`
	SerialNumber    string     `json:"serialNumber"`
	Firmware        string     `json:"firmware"`
	Protocol        string     `json:"protocol" doc:"OCPP version of the last link: 1.6, 2.0.1 or 2.1"`
	Online          bool       `json:"online"`
	LastSeen        *time.Time `json:"lastSeen"`
	ConnectedSince  *time.Time `json:"connectedSince"`
	Admission       Admission  `json:"admission" enum:"pending,accepted,rejected"`
	SecurityProfile int        `json:"securityProfile" minimum:"0" maximum:"3"`
	Strict          bool       `json:"strict" doc:"Refuse every deviation from the message schemas"`
	BootedAt        *time.Time `json:"bootedAt"`
	ModelReadAt     *time.Time `json:"modelReadAt" doc:"When the device model was last read as a whole"`
	CreatedAt       time.Time  `json:"createdAt"`
	Blocked         *BlockView `json:"blocked" doc:"Why and until when the station is not let in; null when it is"`
	EVSEs           []EVSEView `json:"evses,omitempty"`
}

// EVSEView is an EVSE as the API shows it.
type EVSEView struct {
	ID         int             `json:"id"`
	Status     string          `json:"status" doc:"Available, Occupied, Reserved, Unavailable, Faulted, or Unknown"`
	Connectors []ConnectorView `json:"connectors"`
	Session    *RunningSession `json:"session"`
}

// ConnectorView is a connector as the API shows it.
type ConnectorView struct {
	ID     int             `json:"id"`
	Status string          `json:"status"`
	Detail string          `json:"detail" doc:"Finer state where the station tells it: Preparing, Charging, SuspendedEV, SuspendedEVSE, Finishing"`
	Error  *ConnectorError `json:"error"`
	Type   string          `json:"type"`
	Since  time.Time       `json:"since"`
}

// ConnectorError is the fault that a connector reports.
type ConnectorError struct {
	Code string `json:"code"`
	Info string `json:"info"`
}

// RunningSession is the session that runs on an EVSE, in short.
type RunningSession struct {
	Organisation  string    `json:"-"`
	ID            string    `json:"id"`
	TransactionID string    `json:"transactionId"`
	Token         *string   `json:"token"`
	ChargingState string    `json:"chargingState"`
	StartedAt     time.Time `json:"startedAt"`
	EnergyWh      int64     `json:"energyWh"`
	PowerW        int64     `json:"powerW"`
	SoC           *int      `json:"soc"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// view is the station without its EVSEs.
func (st *Station) view() View {
	return View{ID: string(st.ID), Vendor: st.Vendor, Model: st.Model, SerialNumber: st.SerialNumber, Firmware: st.Firmware,
		Protocol: st.Protocol, Online: st.Online(), LastSeen: moment(st.LastSeenAt), ConnectedSince: moment(st.ConnectedAt),
		Admission: st.Admission, SecurityProfile: st.SecurityProfile, Strict: st.Strict, BootedAt: moment(st.BootedAt),
		ModelReadAt: moment(st.ModelReadAt), CreatedAt: st.CreatedAt, Blocked: st.block()}
}

// views adds the EVSEs, their connectors and their running sessions.
func (s *Stations) views(ctx context.Context, list []*Station) ([]View, error) {
	ids := make([]ID, len(list))
	for i, st := range list {
		ids[i] = st.ID
	}
	connectors, err := s.Connectors(ctx, ids)
	if err != nil {
		return nil, err
	}
	running, err := s.running.RunningOn(ctx, ids)
	if err != nil {
		return nil, err
	}
	out := make([]View, len(list))
	for i, st := range list {
		out[i] = st.view()
		out[i].EVSEs = evseViews(st, connectors[st.ID], running)
	}
	return out, nil
}

func evseViews(st *Station, connectors []ConnectorState, running map[Place]RunningSession) []EVSEView {
	evses := []EVSEView{}
	for _, c := range connectors {
		if len(evses) == 0 || evses[len(evses)-1].ID != c.EVSE {
			e := EVSEView{ID: c.EVSE}
			if r, ok := running[Place{st.ID, c.EVSE}]; ok && r.Organisation == st.Organisation {
				if !st.Online() {
					r.PowerW = 0 // what flows now is not known
				}
				e.Session = &r
			}
			evses = append(evses, e)
		}
		e := &evses[len(evses)-1]
		v := ConnectorView{ID: c.Connector, Status: string(c.Status), Detail: c.Detail, Error: c.problem(), Type: c.Type, Since: c.At}
		if e.Session != nil && v.Detail == "" && v.Status == "Occupied" {
			v.Detail = e.Session.ChargingState
		}
		e.Connectors = append(e.Connectors, v)
		e.Status = stronger(e.Status, v.Status)
	}
	if !st.Online() {
		for i := range evses {
			evses[i].Status = "Unknown"
		}
	}
	return evses
}

// strength orders the states of connectors by what they mean for their EVSE: an occupied connector occupies it, since
// only one can be used at a time; one that can be used makes it usable; a fault or unavailability counts when no
// connector can be used.
var strength = map[string]int{"Unavailable": 1, "Faulted": 2, "Available": 3, "Reserved": 4, "Occupied": 5}

// stronger is the state of an EVSE that is in the state evse ("" for none yet) and has one more connector.
func stronger(evse, connector string) string {
	if evse == "" || strength[connector] > strength[evse] {
		return connector
	}
	return evse
}

func (s *Stations) recordNotice(tx *db.Tx, organisation string, id ID, n Notice) {
	s.events.Record(tx, event.New(event.NoticeReceived, organisation, string(id), n.At, n.view()))
}

// NoticeView is a stored message as the API shows it.
type NoticeView struct {
	ID      string          `json:"id"`
	Action  string          `json:"action"`
	At      time.Time       `json:"at"`
	Payload json.RawMessage `json:"payload"`
}

func (n Notice) view() NoticeView {
	return NoticeView{ID: n.ID, Action: n.Action, At: n.At, Payload: json.RawMessage(n.Payload)}
}

// PathID reads the station id of a path, which the router leaves escaped where it holds escaped characters.
type PathID struct {
	ID string `path:"id" doc:"Identity of the station, as in its OCPP URL"`
}

// Station is the id.
func (p PathID) Station() ID {
	if id, err := url.PathUnescape(p.ID); err == nil {
		return ID(id)
	}
	return ID(p.ID)
}

type listInput struct {
	page.Query
	Search    string `query:"search" doc:"Part of id, vendor, model or serial number"`
	Status    string `query:"status" enum:"Available,Occupied,Reserved,Unavailable,Faulted" doc:"State of any connector"`
	Online    string `query:"online" enum:"true,false"`
	Admission string `query:"admission" enum:"pending,accepted,rejected"`
}

type createStationInput struct {
	Body struct {
		ID              string `json:"id" doc:"Identity, as in the OCPP URL" maxLength:"48"`
		SecurityProfile *int   `json:"securityProfile,omitempty" minimum:"0" maximum:"3" doc:"0 open, 1 password, 2 password and TLS, 3 client certificate. The default is 1 with a password, else 0"`
		Password        string `json:"password,omitempty" doc:"16 to 64 printable ASCII characters (at most 40 for a station that speaks 1.6 or 2.0.1); for profiles 1 and 2 one is made when it is absent"`
		Strict          bool   `json:"strict,omitempty"`
	}
}

type createStationOutput struct {
	Body struct {
		View
		Password string `json:"password,omitempty" doc:"Shown this once, when it was made here"`
	}
}

type viewOutput struct{ Body View }

type patchStationInput struct {
	PathID
	Body struct {
		SecurityProfile *int  `json:"securityProfile,omitempty" minimum:"0" maximum:"3"`
		Strict          *bool `json:"strict,omitempty"`
	}
}

type stationPasswordInput struct {
	PathID
	Body *struct {
		Password string `json:"password,omitempty" doc:"16 to 64 printable ASCII characters, at most 40 for a station that speaks 1.6 or 2.0.1; one is made when it is absent"`
		Push     bool   `json:"push,omitempty" doc:"Send it to the station, which must be online. When the station does not answer in time, the old and the new password are valid until it connects again"`
	}
}

type stationPasswordOutput struct {
	Body struct {
		Password string `json:"password" doc:"Shown this once"`
	}
}

type historyInput struct {
	PathID
	page.Span
	Limit int `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
}

type variablesInput struct {
	PathID
	Component string `query:"component"`
}

type noticesInput struct {
	PathID
	Action string    `query:"action"`
	Before time.Time `query:"before"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// Register adds the operations of this package to the API.
func (s *Stations) Register(api huma.API) {
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Stations"}}
	}
	huma.Register(api, op("list-stations", http.MethodGet, "/stations", "List stations"), s.list)
	create := op("create-station", http.MethodPost, "/stations", "Make a station known before it connects")
	create.DefaultStatus = http.StatusCreated
	huma.Register(api, create, s.create)
	huma.Register(api, op("get-station", http.MethodGet, "/stations/{id}", "Read a station"), s.get)
	huma.Register(api, op("patch-station", http.MethodPatch, "/stations/{id}", "Change a station"), s.patch)
	remove := op("delete-station", http.MethodDelete, "/stations/{id}", "Forget a station; its sessions stay")
	remove.DefaultStatus = http.StatusNoContent
	huma.Register(api, remove, s.delete)
	huma.Register(api, op("accept-station", http.MethodPost, "/stations/{id}/accept", "Let a station take part"), s.decide(Accepted))
	huma.Register(api, op("reject-station", http.MethodPost, "/stations/{id}/reject", "Refuse a station"), s.decide(Rejected))
	huma.Register(api, op("set-station-password", http.MethodPost, "/stations/{id}/password", "Set a station's password, or make one"), s.password)
	huma.Register(api, op("unblock-station", http.MethodPost, "/stations/{id}/unblock", "Let a blocked station in again"), s.unblock)
	huma.Register(api, op("station-variables", http.MethodGet, "/stations/{id}/variables", "The device model as last reported"), s.variables)
	huma.Register(api, op("station-status-history", http.MethodGet, "/stations/{id}/status-history", "State changes of the connectors, newest first"), s.history)
	huma.Register(api, op("station-link-history", http.MethodGet, "/stations/{id}/link-history", "Links of the station, newest first"), s.links)
	huma.Register(api, op("station-notices", http.MethodGet, "/stations/{id}/notices", "Messages of the station that are stored and shown as they came, newest first"), s.notices)
}

func (s *Stations) list(ctx context.Context, in *listInput) (*page.Output[View], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	after, err := in.Parse(1)
	if err != nil {
		return nil, err
	}
	f := Filter{Search: in.Search, Admission: Admission(in.Admission), Status: in.Status, After: ID(after[0]), Limit: in.Limit + 1}
	if online, err := strconv.ParseBool(in.Online); err == nil {
		f.Online = &online
	}
	list, err := s.List(ctx, p.Organisation, f)
	if err != nil {
		return nil, err
	}
	views, err := s.views(ctx, list)
	if err != nil {
		return nil, err
	}
	return page.Of(views, in.Limit, func(v View) []string { return []string{v.ID} }), nil
}

func (s *Stations) create(ctx context.Context, in *createStationInput) (*createStationOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	if err := CheckID(in.Body.ID); err != nil {
		return nil, err
	}
	st := &Station{ID: ID(in.Body.ID), Organisation: p.Organisation, Admission: Accepted, Strict: in.Body.Strict}
	out := &createStationOutput{}
	switch {
	case in.Body.SecurityProfile != nil:
		st.SecurityProfile = *in.Body.SecurityProfile
	case in.Body.Password != "":
		st.SecurityProfile = 1
	}
	password := in.Body.Password
	if password == "" && (st.SecurityProfile == 1 || st.SecurityProfile == 2) {
		password = NewPassword()
		out.Body.Password = password
	}
	if password != "" {
		if err := CheckPassword(password, ""); err != nil {
			return nil, err
		}
		st.setPassword(password)
	}
	if _, err := s.Get(ctx, st.ID); err == nil {
		return nil, problem.New(problem.Conflict, "there is a station %s already", st.ID)
	}
	known, err := s.add(ctx, st)
	if err != nil {
		return nil, err
	}
	if known != st { // made since we looked: its password is not the one that would be shown here
		return nil, problem.New(problem.Conflict, "there is a station %s already", st.ID)
	}
	out.Body.View = st.view()
	return out, nil
}

func (s *Stations) get(ctx context.Context, in *struct{ PathID }) (*viewOutput, error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	st, err := s.Of(ctx, p.Organisation, in.Station())
	if err != nil {
		return nil, err
	}
	return s.show(ctx, st)
}

func (s *Stations) show(ctx context.Context, st *Station) (*viewOutput, error) {
	views, err := s.views(ctx, []*Station{st})
	if err != nil {
		return nil, err
	}
	return &viewOutput{Body: views[0]}, nil
}

func (s *Stations) patch(ctx context.Context, in *patchStationInput) (*viewOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	st, err := s.change(ctx, p.Organisation, in.Station(), event.StationUpdated, func(st *Station) error {
		if in.Body.SecurityProfile != nil {
			st.SecurityProfile = *in.Body.SecurityProfile
		}
		if in.Body.Strict != nil {
			st.Strict = *in.Body.Strict
		}
		if (st.SecurityProfile == 1 || st.SecurityProfile == 2) && !st.HasPassword() {
			return problem.Field("securityProfile", "%d needs a password, which is not set", st.SecurityProfile)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.show(ctx, st)
}

func (s *Stations) delete(ctx context.Context, in *struct{ PathID }) (*struct{}, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	return nil, s.Remove(ctx, p.Organisation, in.Station())
}

func (s *Stations) decide(a Admission) func(context.Context, *struct{ PathID }) (*viewOutput, error) {
	typ := event.StationAccepted
	if a == Rejected {
		typ = event.StationUpdated
	}
	return func(ctx context.Context, in *struct{ PathID }) (*viewOutput, error) {
		p, err := account.Require(ctx, account.Operator)
		if err != nil {
			return nil, err
		}
		st, err := s.change(ctx, p.Organisation, in.Station(), typ, func(st *Station) error {
			st.Admission = a
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.decided(st)
		return s.show(ctx, st)
	}
}

func (s *Stations) unblock(ctx context.Context, in *struct{ PathID }) (*viewOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	st, err := s.Unblock(ctx, p.Organisation, in.Station())
	if err != nil {
		return nil, err
	}
	return s.show(ctx, st)
}

func (s *Stations) password(ctx context.Context, in *stationPasswordInput) (*stationPasswordOutput, error) {
	p, err := account.Require(ctx, account.Operator)
	if err != nil {
		return nil, err
	}
	st, err := s.Of(ctx, p.Organisation, in.Station())
	if err != nil {
		return nil, err
	}
	out, push := &stationPasswordOutput{}, false
	if in.Body != nil {
		out.Body.Password, push = in.Body.Password, in.Body.Push
	}
	if out.Body.Password == "" {
		out.Body.Password = NewPassword()
	} else if err := CheckPassword(out.Body.Password, st.Protocol); err != nil {
		return nil, err
	}
	if push {
		return out, s.push(ctx, p, st, out.Body.Password)
	}
	_, err = s.change(ctx, p.Organisation, st.ID, event.StationUpdated, func(st *Station) error {
		st.takePassword(out.Body.Password)
		return nil
	})
	return out, err
}

func (s *Stations) variables(ctx context.Context, in *variablesInput) (*page.Output[Variable], error) {
	t, err := s.visible(ctx, in.PathID)
	if err != nil {
		return nil, err
	}
	vars, err := s.Variables(ctx, t.Station, in.Component)
	return whole(vars), err
}

func (s *Stations) history(ctx context.Context, in *historyInput) (*page.Output[StatusChange], error) {
	t, err := s.visible(ctx, in.PathID)
	if err != nil {
		return nil, err
	}
	from, to := t.Bound(in.Bounds())
	list, err := s.History(ctx, t.Station, from, to, in.Limit)
	return whole(list), err
}

func (s *Stations) links(ctx context.Context, in *historyInput) (*page.Output[LinkChange], error) {
	t, err := s.visible(ctx, in.PathID)
	if err != nil {
		return nil, err
	}
	from, to := t.Bound(in.Bounds())
	list, err := s.Links(ctx, t.Station, from, to, in.Limit)
	return whole(list), err
}

func (s *Stations) notices(ctx context.Context, in *noticesInput) (*page.Output[NoticeView], error) {
	t, err := s.visible(ctx, in.PathID)
	if err != nil {
		return nil, err
	}
	_, before := page.Span{To: in.Before}.Bounds()
	list, err := s.Notices(ctx, t.Station, in.Action, before, in.Limit)
	views := make([]NoticeView, len(list))
	for i, n := range list {
		views[i] = n.view()
	}
	return whole(views), err
}

// Resolve gives the station of a path, and since when it is the caller's organisation's, when the caller may see it.
func (s *Stations) Resolve(ctx context.Context, id string) (Tenure, error) {
	return s.visible(ctx, PathID{ID: id})
}

// visible checks that the caller may see the station of a path, and gives the time for which that is so.
func (s *Stations) visible(ctx context.Context, id PathID) (Tenure, error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return Tenure{}, err
	}
	st, err := s.Of(ctx, p.Organisation, id.Station())
	if err != nil {
		return Tenure{}, err
	}
	return st.tenure(), nil
}

// whole is a list without further pages: its length is bounded by limit or by nature.
func whole[T any](items []T) *page.Output[T] {
	return page.Of(items, len(items), func(T) []string { return nil })
}
