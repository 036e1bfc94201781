package session

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/frame"
	"lumela/internal/page"
	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// View is a session as the API shows it.
type View struct {
	ID            string     `json:"id"`
	Station       string     `json:"station"`
	TransactionID string     `json:"transactionId" doc:"The station's; for OCPP 1.6 the number as text"`
	EVSE          int        `json:"evse"`
	Connector     int        `json:"connector"`
	Token         *string    `json:"token" doc:"UID of the token that started it"`
	TokenType     string     `json:"tokenType" doc:"Empty where the station does not tell one, as in OCPP 1.6"`
	State         State      `json:"state" enum:"active,ended"`
	ChargingState string     `json:"chargingState" doc:"Charging, EVConnected, SuspendedEV, SuspendedEVSE, Idle, or empty"`
	StartedAt     time.Time  `json:"startedAt" doc:"By the station's clock"`
	EndedAt       *time.Time `json:"endedAt"`
	EnergyWh      int64      `json:"energyWh"`
	PowerW        int64      `json:"powerW"`
	SoC           *int       `json:"soc" doc:"State of charge of the battery in percent"`
	StoppedReason string     `json:"stoppedReason"`
	MeterStartWh  *int64     `json:"meterStartWh"`
	MeterStopWh   *int64     `json:"meterStopWh"`
	RemoteStartID *int       `json:"remoteStartId"`
	ReservationID *int       `json:"reservationId"`
	Flags         []Flag     `json:"flags" doc:"Open ones, and those that stood on the ended session and were resolved"`
	Billing       Billing    `json:"billing" enum:"running,held,ready" doc:"Held: an open flag keeps the ended session from being billed until it is explained or released"`

	ClockOffsetSeconds *int64     `json:"clockOffsetSeconds" doc:"How far the station's clock is ahead of ours, by messages that came at once; null when none tells"`
	StartedAtCorrected *time.Time `json:"startedAtCorrected" doc:"By our clock; null when no correction is known or needed. What is billed by time takes it instead of startedAt"`
	EndedAtCorrected   *time.Time `json:"endedAtCorrected" doc:"As startedAtCorrected, of the end"`
}

func (s *Session) view() View {
	v := View{ID: s.ID, Station: string(s.Station), TransactionID: s.TransactionID, EVSE: s.EVSE, Connector: s.Connector, TokenType: s.TokenType,
		State: s.State, ChargingState: s.ChargingState, StartedAt: s.StartedAt.UTC(), EnergyWh: s.EnergyWh(), PowerW: s.PowerW, SoC: s.SoC,
		StoppedReason: s.StoppedReason, RemoteStartID: s.RemoteStartID, ReservationID: s.ReservationID, Flags: s.Flags,
		MeterStartWh: s.First.wh(), MeterStopWh: s.Last.wh(), Billing: s.Billing(), StartedAtCorrected: known(s.StartedCorrected),
		EndedAtCorrected: known(s.EndedCorrected), EndedAt: known(s.EndedAt)}
	if s.ClockOffset != nil {
		n := int64(s.ClockOffset.Round(time.Second) / time.Second)
		v.ClockOffsetSeconds = &n
	}
	if s.TokenType == translate.UntypedIDToken { // no type of OCPP 2.1: the station did not tell one
		v.TokenType = ""
	}
	if v.Flags == nil {
		v.Flags = []Flag{}
	}
	if s.TokenUID != "" {
		v.Token = &s.TokenUID
	}
	return v
}

// known gives a time in UTC, nil for the zero time.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (r Register) wh() *int64 {
	if !r.Known {
		return nil
	}
	wh := (r.MWh + 500) / 1000
	return &wh
}

// SampleView is one measured value.
type SampleView struct {
	Measurand string `json:"measurand"`
	Phase     string `json:"phase"`
	Location  string `json:"location"`
	Unit      string `json:"unit"`
	Value     string `json:"value" doc:"Decimal, as the station gave it"`
}

// SignedView is a signed value, byte for byte as the meter gave it.
type SignedView struct {
	SignedMeterData string `json:"signedMeterData"`
	SigningMethod   string `json:"signingMethod"`
	EncodingMethod  string `json:"encodingMethod"`
	PublicKey       string `json:"publicKey"`
}

// MeterView is what was measured at one moment.
type MeterView struct {
	At      time.Time    `json:"at"`
	Context string       `json:"context"`
	Samples []SampleView `json:"samples"`
	Signed  []SignedView `json:"signed"`
	Beside  bool         `json:"beside" doc:"The station did not name the transaction: it is attached by EVSE and time"`
}

// afterEnd is how long after a session's end values of its EVSE that name no transaction are still shown with it.
const afterEnd = 5 * time.Minute

func meterView(mv *v21.MeterValue) MeterView {
	out := MeterView{At: mv.Timestamp, Samples: []SampleView{}, Signed: []SignedView{}}
	for i := range mv.SampledValue {
		sv := &mv.SampledValue[i]
		if out.Context == "" {
			out.Context = string(sv.Context.Or(v21.ReadingContextSamplePeriodic))
		}
		s := SampleView{Measurand: string(sv.Measurand.Or(v21.MeasurandEnergyActiveImportRegister)), Phase: string(sv.Phase.Or("")),
			Location: string(sv.Location.Or(v21.LocationOutlet)), Unit: "Wh", Value: sv.Value.String()}
		if u := sv.UnitOfMeasure; u != nil {
			s.Unit = u.Unit.Or("Wh")
			if m := u.Multiplier.Or(0); m != 0 {
				s.Unit += " x 10^" + strconv.Itoa(m)
			}
		}
		if translate.HasReading(sv) { // else the number stands for nothing
			out.Samples = append(out.Samples, s)
		}
		if sm := sv.SignedMeterValue; sm != nil {
			out.Signed = append(out.Signed, SignedView{SignedMeterData: sm.SignedMeterData, SigningMethod: sm.SigningMethod.Or(""),
				EncodingMethod: sm.EncodingMethod, PublicKey: sm.PublicKey.Or("")})
		}
	}
	return out
}

type listInput struct {
	page.Query
	page.Span
	Station string `query:"station"`
	State   string `query:"state" enum:"active,ended"`
	Billing string `query:"billing" enum:"running,held,ready"`
	Flag    string `query:"flag" pattern:"^[a-z0-9-]*$" maxLength:"40" doc:"The code of a flag, open or resolved"`
}

type releaseInput struct {
	ID   string `path:"id"`
	Body struct {
		Reason string   `json:"reason" minLength:"1" maxLength:"500" doc:"Why it may be billed; kept with the flags"`
		Flags  []string `json:"flags,omitempty" maxItems:"50" nullable:"false" doc:"Codes; all open flags when absent or empty"`
	}
}

type idInput struct {
	ID string `path:"id"`
}

type viewOutput struct{ Body View }

// Register adds the operations of this package to the API. stations tells whose a station was when: what is kept by station
// alone, frames and meter values outside of transactions, is shown for that time only.
func (l *Ledger) Register(api huma.API, frames *frame.Log, stations *station.Stations) {
	op := func(id, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Tags: []string{"Sessions"}}
	}
	huma.Register(api, op("list-sessions", "/sessions", "List sessions, latest start first"), l.list)
	huma.Register(api, op("get-session", "/sessions/{id}", "Read a session"), func(ctx context.Context, in *idInput) (*viewOutput, error) {
		s, err := l.visible(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &viewOutput{Body: s.view()}, nil
	})
	huma.Register(api, op("session-meter-values", "/sessions/{id}/meter-values", "Everything that was measured during a session"),
		func(ctx context.Context, in *idInput) (*page.Output[MeterView], error) {
			return l.meterValues(ctx, stations, in.ID)
		})
	huma.Register(api, huma.Operation{OperationID: "release-session", Method: http.MethodPost, Path: "/sessions/{id}/release",
		Summary: "Release an ended session from flags that hold it, for billing", Tags: []string{"Sessions"}}, l.release)
	huma.Register(api, huma.Operation{OperationID: "list-quarantine", Method: http.MethodGet, Path: "/quarantine", Tags: []string{"Sessions"},
		Summary: "Messages that were answered and kept, but could not be taken into the ledger; newest first"}, l.quarantined)
	type framesInput struct { // huma does not look into embedded structs that are not exported
		ID string `path:"id"`
		frame.Input
	}
	huma.Register(api, op("session-frames", "/sessions/{id}/frames", "Raw OCPP frames that name the session's transaction, newest first"),
		func(ctx context.Context, in *framesInput) (*page.Output[frame.Frame], error) {
			s, err := l.visible(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			if in.Search == "" {
				in.Search = s.TransactionID
			}
			if in.From.IsZero() {
				in.From = s.createdAt.Add(-time.Minute)
			}
			theirs, err := tenure(ctx, stations, s)
			if err != nil {
				return nil, err
			}
			from, to := theirs.Bound(in.Bounds())
			in.From, in.To = from, to
			return frames.Page(ctx, string(s.Station), in.Input)
		})
}

func (l *Ledger) release(ctx context.Context, in *releaseInput) (*viewOutput, error) {
	p, err := account.May(ctx, account.SessionsRelease)
	if err != nil {
		return nil, err
	}
	why := strings.TrimSpace(in.Body.Reason)
	if why == "" {
		return nil, problem.Field("reason", "must say why")
	}
	s, err := l.Clear(ctx, p, in.ID, why, in.Body.Flags)
	if err != nil {
		return nil, err
	}
	return &viewOutput{Body: s.view()}, nil
}

type quarantineInput struct {
	page.Query
	Station string `query:"station"`
}

func (l *Ledger) quarantined(ctx context.Context, in *quarantineInput) (*page.Output[Quarantined], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(2)
	if err != nil {
		return nil, err
	}
	_, before := page.Span{}.Bounds()
	if parts[0] != "" {
		us, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil {
			return nil, problem.Field("cursor", "is not a cursor of this list")
		}
		before = time.UnixMicro(us)
	}
	list, err := l.Quarantined(ctx, p.Organisation, station.ID(in.Station), before, parts[1], in.Limit+1)
	if err != nil {
		return nil, err
	}
	return page.Of(list, in.Limit, func(q Quarantined) []string { return []string{strconv.FormatInt(q.At.UnixMicro(), 10), q.ID} }), nil
}

func (l *Ledger) visible(ctx context.Context, id string) (*Session, error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	return l.Get(ctx, p.Organisation, id)
}

// tenure is the time for which the session's organisation had its station; an empty one when that is not known any more.
func tenure(ctx context.Context, stations *station.Stations, s *Session) (station.Tenure, error) {
	t, err := stations.TenureOf(ctx, s.Organisation, s.Station, s.createdAt)
	if problem.Is(err, problem.NotFound) {
		return station.Tenure{Station: s.Station, Organisation: s.Organisation, Since: s.createdAt, Until: s.createdAt}, nil
	}
	return t, err
}

func (l *Ledger) list(ctx context.Context, in *listInput) (*page.Output[View], error) {
	p, err := account.Require(ctx, account.Viewer)
	if err != nil {
		return nil, err
	}
	parts, err := in.Parse(2)
	if err != nil {
		return nil, err
	}
	f := Filter{Station: station.ID(in.Station), State: State(in.State), Billing: Billing(in.Billing), Flag: in.Flag, Limit: in.Limit + 1, BeforeID: parts[1]}
	f.From, f.To = in.Bounds()
	_, f.Before = page.Span{}.Bounds()
	if parts[0] != "" {
		us, err := strconv.ParseInt(parts[0], 10, 64)
		if err != nil {
			return nil, problem.Field("cursor", "is not a cursor of this list")
		}
		f.Before = time.UnixMicro(us)
	}
	list, err := l.List(ctx, p.Organisation, f)
	if err != nil {
		return nil, err
	}
	views := make([]View, len(list))
	for i, s := range list {
		views[i] = s.view()
	}
	return page.Of(views, in.Limit, func(v View) []string { return []string{strconv.FormatInt(v.StartedAt.UnixMicro(), 10), v.ID} }), nil
}

func (l *Ledger) meterValues(ctx context.Context, stations *station.Stations, id string) (*page.Output[MeterView], error) {
	s, err := l.visible(ctx, id)
	if err != nil {
		return nil, err
	}
	theirs, err := tenure(ctx, stations, s)
	if err != nil {
		return nil, err
	}
	events, err := l.Events(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	out := []MeterView{}
	for _, e := range events {
		for i := range e.Request.MeterValue {
			out = append(out, meterView(&e.Request.MeterValue[i]))
		}
	}
	end := s.EndedAt
	if end.IsZero() {
		end = time.Now()
	}
	end = end.Add(afterEnd)
	beside, err := l.Readings(ctx, theirs, s.EVSE, s.StartedAt, end)
	if err != nil {
		return nil, err
	}
	for i := range beside {
		v := meterView(&beside[i])
		v.Beside = true
		out = append(out, v)
	}
	slices.SortStableFunc(out, func(a, b MeterView) int { return a.At.Compare(b.At) })
	return page.Of(out, len(out), func(MeterView) []string { return nil }), nil
}
