package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"lumela/internal/problem"
	"lumela/internal/station"
	"lumela/ocpp"
	"lumela/ocpp/translate"
	"lumela/ocpp/v21"
)

// listLimits are what a station says of its local authorization list; 0 stands for what it does not say. For 1.6 they are
// SendLocalListMaxLength and LocalAuthListMaxLength.
type listLimits struct {
	perMessage int // tokens in one SendLocalList
	bytes      int // bytes of one SendLocalList
	entries    int // tokens in the list
}

func (c *Commands) listLimits(ctx context.Context, id station.ID) (listLimits, error) {
	var l listLimits
	vars, err := c.stations.Variables(ctx, id, "LocalAuthListCtrlr")
	if err != nil {
		return l, err
	}
	for i := range vars {
		v := &vars[i]
		if v.EVSE != 0 || v.VariableInstance != "" || v.Attribute != string(v21.AttributeTypeActual) {
			continue
		}
		switch {
		case strings.EqualFold(v.Variable, "ItemsPerMessage"):
			l.perMessage = positive(v.Value)
		case strings.EqualFold(v.Variable, "BytesPerMessage"):
			l.bytes = positive(v.Value)
		case strings.EqualFold(v.Variable, "Entries"):
			l.entries = positive(v.MaxLimit)
		}
	}
	return l, nil
}

// positive reads a count; 0 when there is none.
func positive(text string) int {
	if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 1 && n < 1<<31 {
		return int(n)
	}
	return 0
}

// split breaks a list that is too large for one message of the station into several: the first as it was meant, Full or
// Differential, the rest Differential, OCPP 2.1 D01.FR.11 and D01.FR.15. A station refuses a Differential update whose
// version is not above that of its list, OCPP 2.1 D01.FR.19, so the versions go up one by one and end at the one that was asked
// for: a list that broke off in between is known by its number. What the station cannot hold is refused before anything is
// sent; the error names the limit.
func split(r *v21.SendLocalListRequest, l listLimits) ([]*v21.SendLocalListRequest, error) {
	if n := added(r); l.entries > 0 && n > l.entries {
		return nil, problem.Field("localAuthorizationList", "has %d tokens; the list of this station holds %d (LocalAuthListCtrlr.Entries maxLimit, LocalAuthListMaxLength of 1.6)", n, l.entries)
	}
	var parts []*v21.SendLocalListRequest
	rest := r.LocalAuthorizationList
	for first := true; first || len(rest) > 0; first = false {
		part := *r
		if !first {
			part.UpdateType = v21.UpdateTypeDifferential
		}
		n := fitting(part, rest, l)
		if n == 0 && len(rest) > 0 {
			return nil, problem.Field("localAuthorizationList", "has a token that alone needs more than the %d bytes of a message (LocalAuthListCtrlr.BytesPerMessage)", l.bytes)
		}
		part.LocalAuthorizationList, rest = rest[:n:n], rest[n:]
		parts = append(parts, &part)
	}
	if before := len(parts) - 1; r.VersionNumber <= before {
		return nil, problem.Field("versionNumber", "must be at least %d: the list goes out in %d messages with a version each (LocalAuthListCtrlr.ItemsPerMessage %d, SendLocalListMaxLength of 1.6)",
			len(parts), len(parts), l.perMessage)
	}
	for i, part := range parts {
		part.VersionNumber = r.VersionNumber - len(parts) + 1 + i
	}
	return parts, nil
}

// added counts the tokens that a request puts into the list.
func added(r *v21.SendLocalListRequest) (n int) {
	for i := range r.LocalAuthorizationList {
		if r.LocalAuthorizationList[i].IDTokenInfo != nil {
			n++
		}
	}
	return n
}

// fitting is how many of the tokens one message can carry.
func fitting(part v21.SendLocalListRequest, list []v21.AuthorizationData, l listLimits) int {
	n := len(list)
	if l.perMessage > 0 {
		n = min(n, l.perMessage)
	}
	if l.bytes == 0 {
		return n
	}
	part.LocalAuthorizationList = nil
	size := len(ocpp.Marshal(&part)) + len(`"localAuthorizationList":[],`)
	for i := range n {
		one := v21.SendLocalListRequest{LocalAuthorizationList: list[i : i+1]}
		empty := v21.SendLocalListRequest{}
		size += len(ocpp.Marshal(&one)) - len(ocpp.Marshal(&empty)) - len(`"localAuthorizationList":[],`) + len(",")
		if size > l.bytes {
			return i
		}
	}
	return n
}

// sendList sends a local list in as many messages as the station needs. The answer is the last one; the first that is not
// Accepted ends it.
func (c *Commands) sendList(ctx context.Context, id station.ID, r *v21.SendLocalListRequest) (Result, error) {
	limits, err := c.listLimits(ctx, id)
	if err != nil {
		return Result{}, err
	}
	parts, err := split(r, limits)
	if err != nil {
		return Result{}, err
	}
	var all Result
	if len(parts) > 1 {
		all.Notes = append(all.Notes, translate.Note{Kind: translate.Emulated, Path: "localAuthorizationList",
			Text: fmt.Sprintf("sent in %d messages, as versions %d to %d", len(parts), parts[0].VersionNumber, r.VersionNumber)})
	}
	for i, part := range parts {
		res, err := c.caller.Call(ctx, id, part)
		all.Notes = append(all.Notes, res.Notes...)
		if err != nil && i > 0 {
			return all, &problem.Error{Kind: problem.Timeout, Err: err,
				Text: fmt.Sprintf("the list is incomplete: %d of %d messages were taken, up to version %d: %s", i, len(parts), part.VersionNumber-1, problem.Of(err).Text)}
		}
		if err != nil {
			return all, err
		}
		all.Response = res.Response
		if answer, ok := res.Response.(*v21.SendLocalListResponse); !ok || answer.Status != v21.SendLocalListStatusAccepted {
			if i > 0 {
				all.Notes = append(all.Notes, translate.Note{Kind: translate.Lost, Path: "localAuthorizationList",
					Text: fmt.Sprintf("the list is incomplete: message %d of %d was not accepted", i+1, len(parts))})
			}
			return all, nil
		}
	}
	return all, nil
}
