// Package overview gives the figures that an operator looks at first.
package overview

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"lumela/internal/account"
	"lumela/internal/session"
	"lumela/internal/station"
)

// View is the network at a glance.
type View struct {
	Stations struct {
		Total   int `json:"total"`
		Online  int `json:"online"`
		Pending int `json:"pending" doc:"In the waiting room"`
	} `json:"stations"`
	Connectors struct {
		Available   int `json:"available"`
		Occupied    int `json:"occupied"`
		Charging    int `json:"charging" doc:"Of the occupied ones, those with a running session"`
		Reserved    int `json:"reserved"`
		Unavailable int `json:"unavailable"`
		Faulted     int `json:"faulted"`
		Unknown     int `json:"unknown" doc:"Of offline stations"`
	} `json:"connectors"`
	Sessions struct {
		Active int `json:"active"`
		Today  int `json:"today" doc:"Started since midnight UTC"`
	} `json:"sessions"`
	EnergyTodayWh int64 `json:"energyTodayWh" doc:"Of the sessions started since midnight UTC"`
	PowerW        int64 `json:"powerW" doc:"Of the stations that are online: what the others draw is not known"`
}

// Register adds the overview to the API.
func Register(api huma.API, stations *station.Stations, ledger *session.Ledger) {
	huma.Register(api, huma.Operation{OperationID: "overview", Method: http.MethodGet, Path: "/overview", Summary: "The network at a glance", Tags: []string{"Overview"}},
		func(ctx context.Context, _ *struct{}) (*struct{ Body View }, error) {
			p, err := account.Require(ctx, account.Viewer)
			if err != nil {
				return nil, err
			}
			c, err := stations.Counts(ctx, p.Organisation)
			if err != nil {
				return nil, err
			}
			t, err := ledger.Totals(ctx, p.Organisation, time.Now().UTC().Truncate(24*time.Hour))
			if err != nil {
				return nil, err
			}
			power, err := flowing(ctx, p.Organisation, stations, ledger)
			if err != nil {
				return nil, err
			}
			var v View
			v.Stations.Total, v.Stations.Online, v.Stations.Pending = c.Stations, c.Online, c.Pending
			n := c.Connectors
			v.Connectors.Available, v.Connectors.Occupied, v.Connectors.Reserved = n["available"], n["occupied"], n["reserved"]
			v.Connectors.Unavailable, v.Connectors.Faulted, v.Connectors.Unknown = n["unavailable"], n["faulted"], n["unknown"]
			v.Sessions.Active, v.Sessions.Today, v.EnergyTodayWh, v.PowerW = t.Active, t.Today, t.EnergyWh, power
			v.Connectors.Charging = min(t.Active, v.Connectors.Occupied)
			return &struct{ Body View }{v}, nil
		})
}

// flowing is the power, in W, that the running sessions of the stations that are online have reported last.
func flowing(ctx context.Context, organisation string, stations *station.Stations, ledger *session.Ledger) (total int64, err error) {
	power, err := ledger.PowerByStation(ctx, organisation)
	if err != nil || len(power) == 0 {
		return 0, err
	}
	online, err := stations.OnlineIDs(ctx, organisation)
	if err != nil {
		return 0, err
	}
	for _, id := range online {
		total += power[id]
	}
	return total, nil
}
