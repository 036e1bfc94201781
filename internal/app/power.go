package app

import (
	"context"
	"strings"

	"github.com/govalues/decimal"

	"lumela/internal/session"
	"lumela/internal/station"
)

// evsePower tells the ledger what EVSEs can deliver: the upper limit of the variable Power of the component EVSE.
type evsePower struct{ stations *station.Stations }

var _ session.Limits = evsePower{}

// MaxPowerW implements session.Limits.
func (p evsePower) MaxPowerW(ctx context.Context, id station.ID, evse int) (int64, error) {
	vars, err := p.stations.Variables(ctx, id, "EVSE")
	if err != nil {
		return 0, err
	}
	for i := range vars {
		v := &vars[i]
		if v.EVSE != evse || v.Connector != 0 || !strings.EqualFold(v.Variable, "Power") || v.MaxLimit == "" {
			continue
		}
		limit, err := decimal.Parse(v.MaxLimit)
		if err != nil {
			continue // not a number: it tells nothing
		}
		if strings.EqualFold(v.Unit, "kW") {
			if limit, err = limit.Mul(decimal.MustNew(1000, 0)); err != nil {
				continue
			}
		}
		if w, _, ok := limit.Round(0).Int64(0); ok {
			return w, nil
		}
	}
	return 0, nil
}
