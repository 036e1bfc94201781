package sim

import (
	"slices"
	"time"

	"github.com/govalues/decimal"

	"lumela/ocpp"
	"lumela/ocpp/v21"
)

// serveEnergy answers what concerns power and money; nil for other requests.
func (f *front2) serveEnergy(req ocpp.Request) ocpp.Response {
	s := f.s
	switch m := req.(type) {
	case *v21.SetChargingProfileRequest:
		return f.setProfile(m)
	case *v21.ClearChargingProfileRequest:
		return &v21.ClearChargingProfileResponse{Status: f.clearProfile(m)}
	case *v21.GetChargingProfilesRequest:
		return f.getProfiles(m)
	case *v21.GetCompositeScheduleRequest:
		return f.composite(m)
	case *v21.UpdateDynamicScheduleRequest:
		return &v21.UpdateDynamicScheduleResponse{Status: f.updateDynamic(m.ChargingProfileID, &m.ScheduleUpdate)}
	case *v21.UsePriorityChargingRequest:
		return &v21.UsePriorityChargingResponse{Status: f.priority(m)}
	case *v21.NotifyAllowedEnergyTransferRequest:
		if s.txByID(m.TransactionID) == nil {
			return &v21.NotifyAllowedEnergyTransferResponse{Status: v21.NotifyAllowedEnergyTransferStatusRejected}
		}
		return &v21.NotifyAllowedEnergyTransferResponse{Status: v21.NotifyAllowedEnergyTransferStatusAccepted}
	case *v21.SetDefaultTariffRequest:
		return f.setTariff(m)
	case *v21.GetTariffsRequest:
		return f.getTariffs(m)
	case *v21.ClearTariffsRequest:
		return f.clearTariffs(m)
	case *v21.ChangeTransactionTariffRequest:
		return f.changeTariff(m)
	case *v21.SetDERControlRequest:
		return f.setDER(m)
	case *v21.GetDERControlRequest:
		return f.getDER(m)
	case *v21.ClearDERControlRequest:
		return f.clearDER(m)
	case *v21.AdjustPeriodicEventStreamRequest:
		return f.adjustStream(m)
	case *v21.GetPeriodicEventStreamRequest:
		return f.getStreams()
	}
	return nil
}

func (f *front2) setProfile(m *v21.SetChargingProfileRequest) ocpp.Response {
	no := func(reason string) ocpp.Response {
		return &v21.SetChargingProfileResponse{Status: v21.ChargingProfileStatusRejected, StatusInfo: because(reason)}
	}
	p := profile21(&m.ChargingProfile)
	p.evse = m.EVSEID
	if p.purpose == purposeExternal {
		return no("InvalidProfile") // OCPP 2.1 K01.FR.22: only the station sets those
	}
	if p.purpose == purposeTx {
		tx := s2tx(f.s, m.ChargingProfile.TransactionID)
		if tx == nil || tx.evse.id != m.EVSEID {
			return no("TxNotFound")
		}
		p.tx = tx
	}
	if reason := f.s.install(p); reason != "" {
		return no(reason)
	}
	f.planPull(p)
	return &v21.SetChargingProfileResponse{Status: v21.ChargingProfileStatusAccepted}
}

func s2tx(s *Station, id ocpp.Opt[string]) *transaction {
	if !id.OK {
		return nil
	}
	return s.txByID(id.V)
}

// planPull asks for updates of a dynamic profile at its interval, OCPP 2.1 K28.
func (f *front2) planPull(p *profile) {
	every := seconds(p.original.DynUpdateInterval.V)
	if p.kind != "Dynamic" || every <= 0 || !f.is21() {
		return
	}
	s := f.s
	p.pull = s.after(every, func() {
		s.send(&v21.PullDynamicScheduleUpdateRequest{ChargingProfileID: p.id}, func(resp ocpp.Response, err error) {
			if r, ok := resp.(*v21.PullDynamicScheduleUpdateResponse); ok && err == nil && r.ScheduleUpdate != nil {
				f.updateDynamic(p.id, r.ScheduleUpdate)
			}
		})
		f.planPull(p)
	})
}

// updateDynamic changes the only period of a dynamic profile.
func (f *front2) updateDynamic(id int, u *v21.ChargingScheduleUpdate) v21.ChargingProfileStatus {
	s := f.s
	for _, p := range s.profiles {
		if p.id != id || p.kind != "Dynamic" {
			continue
		}
		limit := u.Limit
		if !limit.OK {
			limit = u.Setpoint
		}
		if !limit.OK {
			return v21.ChargingProfileStatusRejected
		}
		v, _ := limit.V.Float64()
		p.schedules[0].periods[0].limit = v
		original := *p.original
		original.ChargingSchedule = slices.Clone(original.ChargingSchedule)
		periods := slices.Clone(original.ChargingSchedule[0].ChargingSchedulePeriod)
		if u.Limit.OK {
			periods[0].Limit = u.Limit
		} else {
			periods[0].Setpoint = u.Setpoint
		}
		original.ChargingSchedule[0].ChargingSchedulePeriod = periods
		original.DynUpdateTime = ocpp.Some(s.now())
		p.original = &original
		s.limitsChanged()
		return v21.ChargingProfileStatusAccepted
	}
	return v21.ChargingProfileStatusRejected
}

func (f *front2) priority(m *v21.UsePriorityChargingRequest) v21.PriorityChargingStatus {
	s := f.s
	tx := s.txByID(m.TransactionID)
	if tx == nil {
		return v21.PriorityChargingStatusRejected
	}
	if !slices.ContainsFunc(s.profiles, func(p *profile) bool { return p.purpose == purposePriority && appliesTo(p, tx.evse) }) {
		return v21.PriorityChargingStatusNoProfile
	}
	if tx.priority != m.Activate {
		tx.priority = m.Activate
		s.limitsChanged()
	}
	return v21.PriorityChargingStatusAccepted
}

func (f *front2) clearProfile(m *v21.ClearChargingProfileRequest) v21.ClearChargingProfileStatus {
	c := m.ChargingProfileCriteria
	found := f.s.clearProfiles(func(p *profile) bool {
		if m.ChargingProfileID.OK {
			return p.id == m.ChargingProfileID.V
		}
		return c == nil || (!c.EVSEID.OK || c.EVSEID.V == p.evse) && (!c.StackLevel.OK || c.StackLevel.V == p.stack) &&
			(!c.ChargingProfilePurpose.OK || string(c.ChargingProfilePurpose.V) == p.purpose)
	})
	if !found {
		return v21.ClearChargingProfileStatusUnknown
	}
	return v21.ClearChargingProfileStatusAccepted
}

func (f *front2) getProfiles(m *v21.GetChargingProfilesRequest) ocpp.Response {
	c := &m.ChargingProfile
	byEVSE := map[int][]v21.ChargingProfile{}
	var order []int
	for _, p := range f.s.profiles {
		switch {
		case p.original == nil,
			m.EVSEID.OK && m.EVSEID.V != p.evse,
			len(c.ChargingProfileID) > 0 && !slices.Contains(c.ChargingProfileID, p.id),
			c.StackLevel.OK && c.StackLevel.V != p.stack,
			c.ChargingProfilePurpose.OK && string(c.ChargingProfilePurpose.V) != p.purpose,
			len(c.ChargingLimitSource) > 0 && !slices.Contains(c.ChargingLimitSource, p.source):
			continue
		}
		if byEVSE[p.evse] == nil {
			order = append(order, p.evse)
		}
		byEVSE[p.evse] = append(byEVSE[p.evse], *p.original)
	}
	if len(order) == 0 {
		return &v21.GetChargingProfilesResponse{Status: v21.GetChargingProfileStatusNoProfiles}
	}
	for i, id := range order {
		r := &v21.ReportChargingProfilesRequest{RequestID: m.RequestID, ChargingLimitSource: "CSO", ChargingProfile: byEVSE[id], EVSEID: id}
		if i < len(order)-1 {
			r.Tbc = ocpp.Some(true)
		}
		f.send(r)
	}
	return &v21.GetChargingProfilesResponse{Status: v21.GetChargingProfileStatusAccepted}
}

func (f *front2) composite(m *v21.GetCompositeScheduleRequest) ocpp.Response {
	var e *evse
	if m.EVSEID != 0 {
		if e = f.s.evseAt(m.EVSEID); e == nil {
			return &v21.GetCompositeScheduleResponse{Status: v21.GenericStatusRejected, StatusInfo: because("UnknownEvse")}
		}
	}
	from := f.s.now().Truncate(time.Second)
	unit := m.ChargingRateUnit.Or(v21.ChargingRateUnitW)
	c := &v21.CompositeSchedule{EVSEID: m.EVSEID, Duration: m.Duration, ScheduleStart: from, ChargingRateUnit: unit}
	for _, p := range f.s.composite(e, from, seconds(m.Duration)) {
		limit := tenths(float64(p.watts))
		if unit == v21.ChargingRateUnitA {
			limit = tenths(f.s.amps(e, p.watts))
		}
		c.ChargingSchedulePeriod = append(c.ChargingSchedulePeriod, v21.ChargingSchedulePeriod{StartPeriod: int(p.start / time.Second), Limit: ocpp.Some(limit)})
	}
	return &v21.GetCompositeScheduleResponse{Status: v21.GenericStatusAccepted, Schedule: c}
}

// txLimits are the limits of one transaction that the driver or the management system set.
type txLimits struct {
	energyWh, cost float64
	maxTime        time.Duration
	soc            float64
}

func (l *txLimits) take(m *v21.TransactionLimit) {
	if m.MaxEnergy.OK {
		l.energyWh, _ = m.MaxEnergy.V.Float64()
	}
	if m.MaxCost.OK {
		l.cost, _ = m.MaxCost.V.Float64()
	}
	l.maxTime = seconds(m.MaxTime.V)
	l.soc = float64(m.MaxSoC.V)
}

// enforceLimits ends a transaction that reached a limit, OCPP 2.1 E16.
func (s *Station) enforceLimits(e *evse) {
	tx := e.tx
	if tx == nil || tx.ended {
		return
	}
	l := &tx.limits
	switch {
	case l.energyWh > 0 && float64((e.meter-tx.start).wh()) >= l.energyWh:
		s.stopBy(e, "EnergyLimitReached", "EnergyLimitReached", nil)
	case l.maxTime > 0 && s.simulated-tx.simStart >= l.maxTime:
		s.stopBy(e, "TimeLimitReached", "TimeLimitReached", nil)
	case l.soc > 0 && s.cfg.DC && e.car.SoC >= l.soc:
		s.stopBy(e, "SoCLimitReached", "SOCLimitReached", nil)
	case l.cost > 0 && s.costSoFar(tx) >= l.cost:
		s.stopBy(e, "CostLimitReached", "LocalOutOfCredit", nil)
	}
}

// pricing is the tariff of one transaction.
type pricing struct{ tariff v21.Tariff }

// tariffOf is the tariff that counts for a transaction, nil when there is none.
func (s *Station) tariffOf(tx *transaction) *v21.Tariff {
	if tx.priced != nil {
		return &tx.priced.tariff
	}
	for _, id := range [...]int{tx.evse.id, 0} {
		if t, ok := s.extras.tariffs[id]; ok && (!t.ValidFrom.OK || !t.ValidFrom.V.After(tx.started)) {
			return &t
		}
	}
	return nil
}

func number(d decimal.Decimal) float64 {
	v, _ := d.Float64()
	return v
}

// parts computes what the station prices: energy, time of charging and of idling, and the fixed fee; the first price
// of each counts, as conditions are refused when a tariff is set.
func (s *Station) parts(tx *transaction, t *v21.Tariff) (energyCost, timeCost, idleCost, fixed float64) {
	if t.Energy != nil && len(t.Energy.Prices) > 0 {
		energyCost = number(t.Energy.Prices[0].PriceKwh) * float64(tx.evse.meter-tx.start) / 3.6e9
	}
	if t.ChargingTime != nil && len(t.ChargingTime.Prices) > 0 {
		timeCost = number(t.ChargingTime.Prices[0].PriceMinute) * tx.charging.Minutes()
	}
	if t.IdleTime != nil && len(t.IdleTime.Prices) > 0 {
		idleCost = number(t.IdleTime.Prices[0].PriceMinute) * (s.simulated - tx.simStart - tx.charging).Minutes()
	}
	if t.FixedFee != nil && len(t.FixedFee.Prices) > 0 {
		fixed = number(t.FixedFee.Prices[0].PriceFixed)
	}
	return energyCost, timeCost, idleCost, fixed
}

func (s *Station) costSoFar(tx *transaction) float64 {
	t := s.tariffOf(tx)
	if t == nil {
		return 0
	}
	a, b, c, d := s.parts(tx, t)
	return a + b + c + d
}

// cost is the cost of a transaction at its end, nil without a tariff. Prices are without tax: it is added by the
// management system, which knows the place.
func (s *Station) cost(tx *transaction) *v21.CostDetails {
	t := s.tariffOf(tx)
	if t == nil {
		return nil
	}
	price := func(v float64) *v21.Price {
		if v == 0 {
			return nil
		}
		return &v21.Price{ExclTax: ocpp.Some(decimalOf(v))}
	}
	a, b, c, d := s.parts(tx, t)
	total, kindOf := a+b+c+d, v21.TariffCostNormalCost
	if t.MinCost != nil && total < number(t.MinCost.ExclTax.V) {
		total, kindOf = number(t.MinCost.ExclTax.V), v21.TariffCostMinCost
	}
	if t.MaxCost != nil && t.MaxCost.ExclTax.OK && total > number(t.MaxCost.ExclTax.V) {
		total, kindOf = number(t.MaxCost.ExclTax.V), v21.TariffCostMaxCost
	}
	idle := max(0, s.simulated-tx.simStart-tx.charging)
	return &v21.CostDetails{
		TotalCost: v21.TotalCost{Currency: t.Currency, TypeOfCost: kindOf, Fixed: price(d), Energy: price(a), ChargingTime: price(b),
			IdleTime: price(c), Total: v21.TotalPrice{ExclTax: ocpp.Some(decimalOf(total))}},
		TotalUsage: v21.TotalUsage{Energy: decimalOf(float64(tx.evse.meter-tx.start) / 3.6e9), ChargingTime: int(tx.charging / time.Second),
			IdleTime: int(idle / time.Second)}}
}

// priceable says whether the station can compute a tariff: no conditions.
func priceable(t *v21.Tariff) bool {
	if t.Energy != nil && (len(t.Energy.Prices) != 1 || t.Energy.Prices[0].Conditions != nil) {
		return false
	}
	for _, x := range [...]*v21.TariffTime{t.ChargingTime, t.IdleTime} {
		if x != nil && (len(x.Prices) != 1 || x.Prices[0].Conditions != nil) {
			return false
		}
	}
	return t.FixedFee == nil || len(t.FixedFee.Prices) == 1 && t.FixedFee.Prices[0].Conditions == nil
}

func (f *front2) setTariff(m *v21.SetDefaultTariffRequest) ocpp.Response {
	x := &f.s.extras
	switch {
	case m.EVSEID < 0 || m.EVSEID > len(f.s.evses):
		return &v21.SetDefaultTariffResponse{Status: v21.TariffSetStatusRejected, StatusInfo: because("UnknownEvse")}
	case !priceable(&m.Tariff):
		return &v21.SetDefaultTariffResponse{Status: v21.TariffSetStatusConditionNotSupported}
	}
	for id, t := range x.tariffs {
		if t.TariffID == m.Tariff.TariffID && id != m.EVSEID {
			return &v21.SetDefaultTariffResponse{Status: v21.TariffSetStatusDuplicateTariffID}
		}
	}
	if x.tariffs == nil {
		x.tariffs = map[int]v21.Tariff{}
	}
	if m.EVSEID == 0 {
		clear(x.tariffs)
	}
	x.tariffs[m.EVSEID] = m.Tariff
	return &v21.SetDefaultTariffResponse{Status: v21.TariffSetStatusAccepted}
}

func (f *front2) getTariffs(m *v21.GetTariffsRequest) ocpp.Response {
	r := &v21.GetTariffsResponse{Status: v21.TariffGetStatusNoTariff}
	if m.EVSEID < 0 || m.EVSEID > len(f.s.evses) {
		r.Status = v21.TariffGetStatusRejected
		return r
	}
	for id := range len(f.s.evses) + 1 {
		t, ok := f.s.extras.tariffs[id]
		if !ok || m.EVSEID != 0 && id != 0 && id != m.EVSEID {
			continue
		}
		a := v21.TariffAssignment{TariffID: t.TariffID, TariffKind: v21.TariffKindDefaultTariff, ValidFrom: t.ValidFrom}
		if id != 0 {
			a.EVSEIDs = []int{id}
		}
		r.TariffAssignments = append(r.TariffAssignments, a)
		r.Status = v21.TariffGetStatusAccepted
	}
	return r
}

func (f *front2) clearTariffs(m *v21.ClearTariffsRequest) ocpp.Response {
	r := &v21.ClearTariffsResponse{}
	x := &f.s.extras
	for id, t := range x.tariffs {
		if m.EVSEID.OK && m.EVSEID.V != 0 && m.EVSEID.V != id || len(m.TariffIDs) > 0 && !slices.Contains(m.TariffIDs, t.TariffID) {
			continue
		}
		delete(x.tariffs, id)
		r.ClearTariffsResult = append(r.ClearTariffsResult, v21.ClearTariffsResult{TariffID: ocpp.Some(t.TariffID), Status: v21.TariffClearStatusAccepted})
	}
	for _, id := range m.TariffIDs {
		if !slices.ContainsFunc(r.ClearTariffsResult, func(c v21.ClearTariffsResult) bool { return c.TariffID.V == id }) {
			r.ClearTariffsResult = append(r.ClearTariffsResult, v21.ClearTariffsResult{TariffID: ocpp.Some(id), Status: v21.TariffClearStatusNoTariff})
		}
	}
	if len(r.ClearTariffsResult) == 0 {
		r.ClearTariffsResult = []v21.ClearTariffsResult{{Status: v21.TariffClearStatusNoTariff}}
	}
	return r
}

func (f *front2) changeTariff(m *v21.ChangeTransactionTariffRequest) ocpp.Response {
	tx := f.s.txByID(m.TransactionID)
	status := v21.TariffChangeStatusAccepted
	switch {
	case tx == nil:
		status = v21.TariffChangeStatusTxNotFound
	case !priceable(&m.Tariff):
		status = v21.TariffChangeStatusConditionNotSupported
	default:
		if old := f.s.tariffOf(tx); old != nil && old.Currency != m.Tariff.Currency {
			status = v21.TariffChangeStatusNoCurrencyChange
			break
		}
		tx.priced = &pricing{tariff: m.Tariff}
		f.s.txUpdated(tx.evse, "TariffChanged")
	}
	return &v21.ChangeTransactionTariffResponse{Status: status}
}
