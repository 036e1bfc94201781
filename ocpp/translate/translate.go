// Package translate says in one dialect of OCPP what was said in another. The middle is always 2.1: Lift raises a
// request of any version to 2.1, Lower says a 2.1 request in an older version. Each works for both ends, so that
// Lumela can stand as the management system of a station and as a station towards somebody else's management system.
//
// A translation is a pure function of the request and of the little State that a dialogue with one station needs.
// What one version cannot say to another is either emulated or refused, and both are said in Notes and in Table;
// nothing is dropped in silence.
package translate

import (
	"fmt"
	"time"

	"lumela/ocpp"
)

// Kind says how faithful a translation is.
type Kind string

// The kinds, from best to worst.
const (
	Same     Kind = "same"     // the other version says exactly this
	Emulated Kind = "emulated" // the effect is reached in another way, Note.Text says how
	Lost     Kind = "lost"     // this field has no place in the other version; the rest was translated
	Refused  Kind = "refused"  // the other version has no way to do this
)

// Note tells what happened to one message or field that has no exact twin.
type Note struct {
	Kind Kind   `json:"kind"`
	Path string `json:"field,omitempty"` // in the source message, "" for the message as a whole
	Text string `json:"text"`
}

// Refusal is the error of a translation that is not possible. The sender of the request gets it as a CALLERROR of its
// own version; an API caller gets it as a 422.
type Refusal struct {
	Code   ocpp.Code // NotSupported, NotImplemented, PropertyConstraintViolation …
	Path   string    // the field that cannot be said, "" for the whole message
	Reason string
}

// Error names the field and the reason.
func (r *Refusal) Error() string {
	if r.Path == "" {
		return r.Reason
	}
	return r.Path + ": " + r.Reason
}

// CallError is the refusal as the requester of the exchange sees it.
func (r *Refusal) CallError() *ocpp.CallError {
	return &ocpp.CallError{Code: r.Code, Description: r.Error()}
}

// Exchange is one request of the source version carried out in the target version.
type Exchange struct {
	// Requests are sent in order, each after the answer to the one before. None means that Answer(nil) answers at
	// once from what is known.
	Requests []ocpp.Request
	// Answer folds the replies into the answer to the source request. It gets one Reply per request; after a
	// Reply with Err that Stop says is final, the rest of the requests is not sent and the slice is shorter.
	Answer func(replies []Reply) Outcome
	// Stop says whether the failure of request i ends the exchange. nil means: any CALLERROR ends it.
	Stop func(i int, r Reply) bool
	// Enough says whether the response to request i makes the requests after it unnecessary: they are what to do when
	// it says no. nil means: none does.
	Enough func(i int, r Reply) bool
	// Notes tell what the request lost or how it is emulated.
	Notes []Note
}

// Ends says whether the reply to request i ends the exchange, so that no more of Requests is to be sent. Whoever carries
// out an exchange asks it after every reply.
func (x *Exchange) Ends(i int, r Reply) bool {
	switch {
	case i >= len(x.Requests)-1:
		return true
	case r.Err != nil:
		return x.Stop == nil || x.Stop(i, r)
	}
	return x.Enough != nil && x.Enough(i, r)
}

// Reply is the answer to one request of an Exchange: a response of the target version or an error.
type Reply struct {
	Response ocpp.Response
	Err      *ocpp.CallError
}

// Outcome answers the source request.
type Outcome struct {
	// Response is of the source version. It is nil when Err is set.
	Response ocpp.Response
	Err      *ocpp.CallError
	// Then are requests of the source version that follow from the other end: the NotifyReport of a GetBaseReport
	// that was answered from a GetConfiguration, for example.
	Then  []ocpp.Request
	Notes []Note
}

// Dialogue is what a translation knows about the station whose messages it translates. It is used by one goroutine at
// a time.
type Dialogue struct {
	// Now is the time at which the message came.
	Now time.Time
	// State remembers transactions, sequence numbers and requests under way.
	State State
	// Model looks up the station's device model; nil when it is not known.
	Model Model
}

// Model gives read access to the variables of a station, in 2.1 terms.
type Model interface {
	// Variable gives the Actual value; evse and connector 0 mean the station, respectively the EVSE, as a whole.
	Variable(component, componentInstance string, evse, connector int, variable, variableInstance string) (value string, ok bool)
	// Each calls f for every variable with an Actual value until f returns false.
	Each(f func(component, componentInstance string, evse, connector int, variable, variableInstance, value string, readOnly bool) bool)
	// EVSEs gives the number of connectors of each EVSE, index 0 being EVSE 1; nil when unknown.
	EVSEs() []int
}

// Lift says in 2.1 a request of any version that came from a station or from a CSMS. A 2.1 request passes unchanged.
// The error is a *Refusal.
func Lift(d *Dialogue, from ocpp.Role, req ocpp.Request) (Exchange, error) {
	switch req.Version() {
	case ocpp.V21:
		return identity(req), nil
	case ocpp.V201:
		return lift201(d, from, req)
	case ocpp.V16:
		if from == ocpp.Station {
			return liftStation16(d, req)
		}
		return liftCSMS16(d, req)
	}
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "unknown OCPP version"}
}

// Lower says in version v a 2.1 request that comes from a station or from a CSMS. The error is a *Refusal.
func Lower(d *Dialogue, v ocpp.Version, from ocpp.Role, req ocpp.Request) (Exchange, error) {
	if req.Version() != ocpp.V21 {
		return Exchange{}, &Refusal{Code: ocpp.InternalError, Reason: fmt.Sprintf("cannot lower a request of OCPP %s", req.Version())}
	}
	switch v {
	case ocpp.V21:
		return identity(req), nil
	case ocpp.V201:
		return lower201(d, from, req)
	case ocpp.V16:
		if from == ocpp.Station {
			return lowerStation16(d, req)
		}
		return lowerCSMS16(d, req)
	}
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "unknown OCPP version"}
}

// identity passes a request and its answer through.
func identity(req ocpp.Request) Exchange {
	return one(req, func(r ocpp.Response) Outcome { return Outcome{Response: r} })
}

// one is the exchange of a single request; a CALLERROR is passed on.
func one(req ocpp.Request, answer func(ocpp.Response) Outcome, notes ...Note) Exchange {
	return Exchange{
		Requests: []ocpp.Request{req},
		Answer: func(replies []Reply) Outcome {
			switch {
			case len(replies) == 0:
				return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "no answer"}}
			case replies[0].Err != nil:
				return Outcome{Err: replies[0].Err}
			}
			return answer(replies[0].Response)
		},
		Notes: notes,
	}
}

// answered is an exchange that needs no request of the target version.
func answered(resp ocpp.Response, then []ocpp.Request, notes ...Note) Exchange {
	return Exchange{Answer: func([]Reply) Outcome { return Outcome{Response: resp, Then: then} }, Notes: notes}
}
