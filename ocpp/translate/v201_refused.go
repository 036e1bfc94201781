package translate

// refused201 gives the reason for every request of 2.1 that 2.0.1 has no way to say, by action.
var refused201 = map[string]string{
	"AFRRSignal":                  "no frequency response",
	"AdjustPeriodicEventStream":   "no event streams",
	"BatterySwap":                 "no battery swapping",
	"ChangeTransactionTariff":     "no tariffs on the station",
	"ClearDERControl":             "no control of distributed energy resources",
	"ClearTariffs":                "no tariffs on the station",
	"ClosePeriodicEventStream":    "no event streams",
	"GetCertificateChainStatus":   "only GetCertificateStatus, whose answer is an OCSP response and not a status",
	"GetDERControl":               "no control of distributed energy resources",
	"GetPeriodicEventStream":      "no event streams",
	"GetTariffs":                  "no tariffs on the station",
	"NotifyAllowedEnergyTransfer": "no discharging, and no choice of the kind of energy transfer",
	"NotifyDERAlarm":              "no control of distributed energy resources",
	"NotifyDERStartStop":          "no control of distributed energy resources",
	"NotifyPeriodicEventStream":   "no event streams",
	"NotifyPriorityCharging":      "no priority charging",
	"NotifySettlement":            "no payments at the station",
	"NotifyWebPaymentStarted":     "no payments at the station",
	"OpenPeriodicEventStream":     "no event streams",
	"PullDynamicScheduleUpdate":   "no dynamic profiles",
	"ReportDERControl":            "no control of distributed energy resources",
	"RequestBatterySwap":          "no battery swapping",
	"SetDERControl":               "no control of distributed energy resources",
	"SetDefaultTariff":            "no tariffs on the station",
	"UpdateDynamicSchedule":       "no dynamic profiles",
	"UsePriorityCharging":         "no priority charging",
	"VatNumberValidation":         "no payments at the station",
}

// how201 is the reason as a sentence.
func how201(action string) string {
	text := "OCPP 2.0.1 has no " + action
	if why := refused201[action]; why != "" {
		text += ": it has " + why
	}
	return text
}
