package translate

import (
	"fmt"
	"time"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// liftStation16 says in 2.1 what a 1.6 station says.
//
// A connector of 1.6 is an outlet of its own (OCPP 1.6 §2.2): connector n is connector 1 of EVSE n, connector 0 the
// station.
func liftStation16(d *Dialogue, req ocpp.Request) (Exchange, error) {
	t := &talk{d: d}
	switch r := req.(type) {
	case *v16.BootNotificationRequest:
		return t.liftBoot(r), nil
	case *v16.HeartbeatRequest:
		return single(t, &v21.HeartbeatRequest{}, func(a *v21.HeartbeatResponse) Outcome {
			return Outcome{Response: &v16.HeartbeatResponse{CurrentTime: a.CurrentTime}}
		}), nil
	case *v16.StatusNotificationRequest:
		return t.liftStatus(r), nil
	case *v16.AuthorizeRequest:
		return t.liftAuthorize(r), nil
	case *v16.StartTransactionRequest:
		return t.liftStart(r), nil
	case *v16.StopTransactionRequest:
		return t.liftStop(r), nil
	case *v16.MeterValuesRequest:
		return t.liftMeterValues(r), nil
	case *v16.DataTransferRequest:
		return t.liftDataTransfer(r)
	case *v16.DiagnosticsStatusNotificationRequest:
		return t.liftDiagnosticsStatus(r), nil
	case *v16.FirmwareStatusNotificationRequest:
		return t.liftFirmwareStatus(r), nil
	case *v16.SecurityEventNotificationRequest:
		return t.liftSecurityEvent(r), nil
	case *v16.SignCertificateRequest:
		return t.liftSignCertificate(r), nil
	case *v16.LogStatusNotificationRequest:
		return t.liftLogStatus(r), nil
	case *v16.SignedFirmwareStatusNotificationRequest:
		return t.liftSignedFirmwareStatus(r), nil
	}
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: req.ActionName() + " is not a request of a 1.6 station"}
}

// UntypedIDToken is the type of an IdToken that was a 1.6 idTag. An idTag has no type, so the token is to be matched
// by its text alone. 2.1 leaves the list of types open; the name is ours.
const UntypedIDToken = "Untyped"

// CustomDataVendor is the vendorId of the customData that carries what has no field in 2.1: the exact status of a 1.6
// connector, the serial number of its meter.
const CustomDataVendor = "lumela"

// talk is one translation under way: it collects the notes.
type talk struct {
	d     *Dialogue
	notes []Note
}

func (t *talk) lost(path, text string) {
	t.notes = append(t.notes, Note{Kind: Lost, Path: path, Text: text})
}

func (t *talk) emulated(path, text string) {
	t.notes = append(t.notes, Note{Kind: Emulated, Path: path, Text: text})
}

// text cuts s to the most characters that the other version takes.
func (t *talk) text(path, s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			t.lost(path, fmt.Sprintf("cut to %d characters", most))
			return s[:i]
		}
		n++
	}
	return s
}

func (t *talk) optText(path string, s ocpp.Opt[string], most int) ocpp.Opt[string] {
	if s.OK {
		s.V = t.text(path, s.V, most)
	}
	return s
}

// time replaces a time that cannot be written as RFC 3339 by the time at which the message came.
func (t *talk) time(path string, at time.Time) time.Time {
	if writable(at) {
		return at
	}
	t.lost(path, "not a time; the time of receipt stands for it")
	return t.d.Now
}

func writable(at time.Time) bool {
	year := at.UTC().Year()
	return !at.IsZero() && year >= 0 && year <= 9999
}

// ours is customData under our own vendor id, of names and values in turn. An empty value is left out; without any
// value there is no customData.
func ours(pairs ...string) ocpp.CustomData {
	b := []byte(`{"vendorId":"` + CustomDataVendor + `"`)
	some := false
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		some = true
		b = append(ocpp.AppendString(append(b, ','), pairs[i]), ':')
		b = ocpp.AppendString(b, pairs[i+1])
	}
	if !some {
		return ""
	}
	return ocpp.CustomData(append(b, '}'))
}

// single is the exchange of one request whose answer is folded.
func single[R ocpp.Response](t *talk, req ocpp.Request, fold func(R) Outcome) Exchange {
	return several(t, 0, []ocpp.Request{req}, fold)
}

// several is an exchange of some requests of which the one at index main gives the answer. The failure of another one
// is only noted: it must not make the station repeat what was understood.
func several[R ocpp.Response](t *talk, main int, reqs []ocpp.Request, fold func(R) Outcome) Exchange {
	answer := func(replies []Reply) Outcome {
		if len(replies) <= main {
			return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "no answer"}}
		}
		if err := replies[main].Err; err != nil {
			return Outcome{Err: err}
		}
		r, ok := replies[main].Response.(R)
		if !ok {
			return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: "an answer of another action"}}
		}
		out := fold(r)
		if r.Version() == ocpp.V21 {
			out.Notes = append(out.Notes, lostCustomData(r)...)
		}
		for i, reply := range replies {
			if i != main && i < len(reqs) && reply.Err != nil {
				out.Notes = append(out.Notes, Note{Kind: Lost, Text: reqs[i].ActionName() + " was refused: " + reply.Err.Error()})
			}
		}
		return out
	}
	return Exchange{
		Requests: reqs,
		Answer:   answer,
		Stop:     func(i int, _ Reply) bool { return i == main },
		Notes:    t.notes,
	}
}

// word is v when the other version knows it, else absent with a note.
func word[S, D ~string](t *talk, path string, v ocpp.Opt[S], valid func(D) bool) ocpp.Opt[D] {
	if !v.OK {
		return ocpp.Opt[D]{}
	}
	if d := D(v.V); valid(d) {
		return ocpp.Some(d)
	}
	t.lost(path, fmt.Sprintf("%.40q is not known in the other version", string(v.V)))
	return ocpp.Opt[D]{}
}
