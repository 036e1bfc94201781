package translate

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// What a management system says, between 1.6 and 2.1, in both directions.
//
// A connector of 1.6 is "an independently operated and managed electrical outlet" (OCPP 1.6 §2.2), which is what 2.x
// calls an EVSE: connector n of 1.6 is EVSE n of 2.1, and connector 0 is the station. The further connectors of an
// EVSE cannot be named in 1.6.
//
// Keys of State that this direction writes:
//
//	remotestart/<idTag in lower case>  remoteStartId of the last remote start for this tag
//	firmware/requestId                 request id of the last firmware update, firmware/signed "yes" when it was signed
//	log/requestId                      request id of the last upload of a log
//	profiles                           charging profiles that the station accepted
//
// and that it reads: feature/security is "no" when the station is known not to speak the security extension.

// feature keys and their values.
const (
	keySecurity        = "feature/security"
	keyFirmwareRequest = "firmware/requestId"
	keyFirmwareSigned  = "firmware/signed"
	keyLogRequest      = "log/requestId"
	keyRemoteStart     = "remotestart/"
)

// lowerCSMS16 says a 2.1 request of a management system to a 1.6 station.
func lowerCSMS16(d *Dialogue, req ocpp.Request) (Exchange, error) {
	x, err := lowerCSMS16Request(d, req)
	if err != nil {
		return Exchange{}, err
	}
	x.Notes = append(x.Notes, lostCustomData(req)...)
	return x, nil
}

func lowerCSMS16Request(d *Dialogue, req ocpp.Request) (Exchange, error) {
	switch m := req.(type) {
	case *v21.RequestStartTransactionRequest:
		return lowerRequestStart(d, m)
	case *v21.RequestStopTransactionRequest:
		return lowerRequestStop(d, m)
	case *v21.ResetRequest:
		return lowerReset(m)
	case *v21.ChangeAvailabilityRequest:
		return lowerChangeAvailability(m)
	case *v21.UnlockConnectorRequest:
		return lowerUnlockConnector(d, m)
	case *v21.ClearCacheRequest:
		return ask(&v16.ClearCacheRequest{}, func(r *v16.ClearCacheResponse) Outcome {
			return Outcome{Response: &v21.ClearCacheResponse{Status: v21.ClearCacheStatus(r.Status)}}
		}), nil
	case *v21.TriggerMessageRequest:
		return lowerTriggerMessage(d, m)
	case *v21.SetChargingProfileRequest:
		return lowerSetChargingProfile(d, m)
	case *v21.GetVariablesRequest:
		return lowerGetVariables(d, m)
	case *v21.SetVariablesRequest:
		return lowerSetVariables(d, m)
	}
	return Exchange{}, refuse("", "OCPP 1.6 has no counterpart of "+req.ActionName())
}

func liftCSMS16(*Dialogue, ocpp.Request) (Exchange, error) {
	return Exchange{}, &Refusal{Code: ocpp.NotSupported, Reason: "not supported"}
}

// ask is the exchange of a single request whose answer is of type R. A CALLERROR is passed on.
func ask[R ocpp.Response](req ocpp.Request, fold func(R) Outcome, notes ...Note) Exchange {
	return one(req, func(r ocpp.Response) Outcome { return folded(r, fold) }, notes...)
}

// folded gives the answer to fold when it is of the type that fold expects.
func folded[R ocpp.Response](r ocpp.Response, fold func(R) Outcome) Outcome {
	m, ok := r.(R)
	if !ok {
		return Outcome{Err: &ocpp.CallError{Code: ocpp.InternalError, Description: fmt.Sprintf("unexpected answer %T", r)}}
	}
	return fold(m)
}

// refuse says that a field, or with an empty path the whole message, has no counterpart.
func refuse(path, reason string) *Refusal {
	return &Refusal{Code: ocpp.NotSupported, Path: path, Reason: reason}
}

// outOfBounds says that a value does not fit the other version.
func outOfBounds(path, reason string) *Refusal {
	return &Refusal{Code: ocpp.PropertyConstraintViolation, Path: path, Reason: reason}
}

func lostNote(path, text string) Note { return Note{Kind: Lost, Path: path, Text: text} }

func emulatedNote(path, text string) Note { return Note{Kind: Emulated, Path: path, Text: text} }

// notesOf collects a note for every field that is present.
type notesOf []Note

func (n *notesOf) lost(present bool, path, text string) {
	if present {
		*n = append(*n, lostNote(path, text))
	}
}

func (n *notesOf) emulated(present bool, path, text string) {
	if present {
		*n = append(*n, emulatedNote(path, text))
	}
}

// reason is the statusInfo of an answer that the translation itself gives. Codes are those of OCPP 2.1 Part 2
// Appendices §5, at most 20 characters; the text is cut at 1024.
func reason(code, text string) *v21.StatusInfo {
	s := &v21.StatusInfo{ReasonCode: code}
	if text != "" {
		t, _ := cutRunes(text, 1024)
		s.AdditionalInfo = ocpp.Some(t)
	}
	return s
}

// cutRunes shortens s to at most n characters and reports whether it had to.
func cutRunes(s string, n int) (string, bool) {
	if utf8.RuneCountInString(s) <= n {
		return s, false
	}
	return string([]rune(s)[:n]), true
}

// lostCustomData notes every customData object of a 2.x message: 1.6 has no place for vendor extensions.
func lostCustomData(m ocpp.Message) []Note {
	const name = "customData"
	text := ocpp.Marshal(m)
	if !strings.Contains(string(text), `"`+name+`"`) {
		return nil
	}
	var root any
	if json.Unmarshal(text, &root) != nil {
		return nil
	}
	var notes []Note
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			keys := make([]string, 0, len(v))
			for k := range v {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				p := k
				if path != "" {
					p = path + "." + k
				}
				if k == name {
					notes = append(notes, lostNote(p, "1.6 has no vendor extensions"))
					continue
				}
				if k == "data" && path == "" { // the content of a DataTransfer is not ours to read
					continue
				}
				walk(p, v[k])
			}
		case []any:
			for i, e := range v {
				walk(path+"["+strconv.Itoa(i)+"]", e)
			}
		}
	}
	walk("", root)
	return notes
}
