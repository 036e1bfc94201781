package main

// A verdict is the decision about one field whose two sides differ.
type verdict struct {
	how  how
	text string // why, for integrators
	call string // hook: the function; fill: the expression; word: the mapping function; round: the method
	kind string // hook and word: the Kind that users see, "Emulated" unless said
	also []also // what else may become of it
}

// also is another thing that may become of a field, or of one below it.
type also struct{ kind, text, below string }

// how says what happens to a field.
type how int

const (
	lost   how = iota + 1 // has no place: a note
	must                  // has no place: a command is refused, a report loses it
	nolie                 // has no place, but false says the same as nothing: lost only when true
	cut                   // an overlong text is cut
	fit                   // an overlong text is refused
	clamp                 // a number is moved into the bounds
	range_                // a number outside the bounds is refused
	fill                  // the target needs what the source may not have
	word                  // a word of a closed list against a text
	round                 // a fraction against a whole number
	hook                  // copied by hand
)

// downVerdicts decides the fields of 2.1 that 2.0.1 lacks or bounds more tightly. The key is the Go type and the member.
var downVerdicts = map[string]verdict{
	"APN.apn":                                 {how: fit},
	"APN.apnUserName":                         {how: fit},
	"APN.apnPassword":                         {how: fit},
	"AdditionalInfo.additionalIdToken":        {how: fit},
	"AuthorizeRequest.certificate":            {how: fit},
	"AuthorizeResponse.allowedEnergyTransfer": {how: lost, text: "2.0.1 cannot limit the kinds of energy transfer"},
	"AuthorizeResponse.tariff": {how: hook, call: "lower201Tariff", text: "its description is shown as idTokenInfo.personalMessage, if there is no other",
		also: []also{
			{kind: "Lost", text: "without a description, or with another personalMessage: 2.0.1 has no tariffs"},
			{"Emulated", "QRCODE becomes URI: 2.0.1 cannot ask for a QR code; the station shows the address", ".description.format"},
			{"Lost", "cut to 512 characters", ".description.content"},
		}},
	"CertificateSignedRequest.requestId":           {how: lost, text: "2.0.1 tells signing requests apart by certificateType only"},
	"ChargingLimit.chargingLimitSource":            {how: word, call: "lower201LimitSource", text: "a source that is not EMS, Other, SO or CSO becomes Other"},
	"ChargingLimit.isLocalGeneration":              {how: nolie, text: "2.0.1 has no limits for local generation"},
	"ChargingNeeds.derChargingParameters":          {how: lost, text: "2.0.1 has no DER control"},
	"ChargingNeeds.evEnergyOffer":                  {how: lost, text: "2.0.1 has no discharging"},
	"ChargingNeeds.v2xChargingParameters":          {how: lost, text: "2.0.1 has no discharging"},
	"ChargingNeeds.availableEnergyTransfer":        {how: lost, text: "2.0.1 knows only the requested energy transfer"},
	"ChargingNeeds.controlMode":                    {how: lost, text: "2.0.1 has no control modes"},
	"ChargingNeeds.mobilityNeedsMode":              {how: lost, text: "2.0.1 has no mobility needs modes"},
	"ACChargingParameters.energyAmount":            {how: round, call: "near"},
	"ACChargingParameters.evMinCurrent":            {how: round, call: "up"},
	"ACChargingParameters.evMaxCurrent":            {how: round, call: "down"},
	"ACChargingParameters.evMaxVoltage":            {how: round, call: "down"},
	"DCChargingParameters.evMaxCurrent":            {how: round, call: "down"},
	"DCChargingParameters.evMaxVoltage":            {how: round, call: "down"},
	"DCChargingParameters.energyAmount":            {how: round, call: "near"},
	"DCChargingParameters.evMaxPower":              {how: round, call: "down"},
	"DCChargingParameters.evEnergyCapacity":        {how: round, call: "near"},
	"ChargingProfile.maxOfflineDuration":           {how: lost, text: "a 2.0.1 station keeps a profile however long it is offline"},
	"ChargingProfile.invalidAfterOfflineDuration":  {how: nolie, text: "a 2.0.1 station keeps a profile however long it is offline"},
	"ChargingProfile.dynUpdateInterval":            {how: lost, text: "2.0.1 has no dynamic profiles"},
	"ChargingProfile.dynUpdateTime":                {how: lost, text: "2.0.1 has no dynamic profiles"},
	"ChargingProfile.priceScheduleSignature":       {how: lost, text: "2.0.1 has no signed price schedules"},
	"ChargingProfileCriterion.chargingLimitSource": {how: word, call: "lower201LimitSourceExact", text: "a source that 2.0.1 does not know cannot be asked for", kind: "Refused"},
	"ChargingSchedule.limitAtSoC":                  {how: must, text: "2.0.1 cannot limit by the state of charge"},
	"ChargingSchedule.powerTolerance":              {how: lost, text: "2.0.1 has no power tolerance"},
	"ChargingSchedule.signatureId":                 {how: lost, text: "2.0.1 has no signed price schedules"},
	"ChargingSchedule.digestValue":                 {how: lost, text: "2.0.1 has no signed price schedules"},
	"ChargingSchedule.useLocalTime":                {how: hook, call: "lower201UseLocalTime", text: "2.0.1 schedules run in UTC; a command with local time is refused", kind: "Refused"},
	"ChargingSchedule.randomizedDelay":             {how: lost, text: "2.0.1 has no random delay in a schedule"},
	"ChargingSchedule.absolutePriceSchedule":       {how: lost, text: "2.0.1 has only the price tables of ISO 15118-2"},
	"ChargingSchedule.priceLevelSchedule":          {how: lost, text: "2.0.1 has only the price tables of ISO 15118-2"},
	"ChargingSchedulePeriod.limit": {how: hook, text: "limits per phase: the smallest is used for all, in W times the number of phases",
		also: []also{{kind: "Refused", text: "absent, with no setpoint to take its place: 2.0.1 wants a limit in every period"}}},
	"ChargingSchedulePeriod.limit_L2":          {how: hook, text: "the smallest limit of the phases is used for all"},
	"ChargingSchedulePeriod.limit_L3":          {how: hook, text: "the smallest limit of the phases is used for all"},
	"ChargingSchedulePeriod.dischargeLimit":    {how: hook, text: "2.0.1 cannot discharge", kind: "Lost"},
	"ChargingSchedulePeriod.dischargeLimit_L2": {how: hook, text: "2.0.1 cannot discharge", kind: "Lost"},
	"ChargingSchedulePeriod.dischargeLimit_L3": {how: hook, text: "2.0.1 cannot discharge", kind: "Lost"},
	"ChargingSchedulePeriod.setpoint": {how: hook, text: "a setpoint for charging becomes the limit",
		also: []also{{kind: "Refused", text: "a setpoint for discharging, or CentralSetpoint without one"}}},
	"ChargingSchedulePeriod.setpoint_L2":            {how: hook, text: "the smallest setpoint of the phases is used for all"},
	"ChargingSchedulePeriod.setpoint_L3":            {how: hook, text: "the smallest setpoint of the phases is used for all"},
	"ChargingSchedulePeriod.setpointReactive":       {how: must, text: "2.0.1 has no reactive power"},
	"ChargingSchedulePeriod.setpointReactive_L2":    {how: must, text: "2.0.1 has no reactive power"},
	"ChargingSchedulePeriod.setpointReactive_L3":    {how: must, text: "2.0.1 has no reactive power"},
	"ChargingSchedulePeriod.preconditioningRequest": {how: nolie, text: "2.0.1 cannot ask for preconditioning"},
	"ChargingSchedulePeriod.evseSleep":              {how: nolie, text: "2.0.1 cannot put the electronics of an EVSE to sleep"},
	"ChargingSchedulePeriod.v2xBaseline":            {how: lost, text: "2.0.1 cannot discharge"},
	"ChargingSchedulePeriod.operationMode": {how: hook, text: "ChargingOnly is what 2.0.1 does; Idle becomes a limit of 0; CentralSetpoint a limit",
		also: []also{{kind: "Refused", text: "any other mode in a command, or without a limit"}, {kind: "Lost", text: "any other mode in a report"}}},
	"ChargingSchedulePeriod.v2xFreqWattCurve":                       {how: must, text: "2.0.1 has no frequency response"},
	"ChargingSchedulePeriod.v2xSignalWattCurve":                     {how: must, text: "2.0.1 has no frequency response"},
	"ClearedChargingLimitRequest.chargingLimitSource":               {how: word, call: "lower201LimitSource", text: "a source that is not EMS, Other, SO or CSO becomes Other"},
	"EventData.severity":                                            {how: lost, text: "2.0.1 tells the severity with the monitor only"},
	"Firmware.location":                                             {how: fit},
	"FirmwareStatusNotificationRequest.statusInfo":                  {how: lost, text: "2.0.1 has no statusInfo here"},
	"Get15118EVCertificateRequest.exiRequest":                       {how: fit},
	"Get15118EVCertificateRequest.maximumContractCertificateChains": {how: lost, text: "2.0.1 delivers one contract certificate"},
	"Get15118EVCertificateRequest.prioritizedEMAIDs":                {how: lost, text: "2.0.1 delivers one contract certificate"},
	"Get15118EVCertificateResponse.exiResponse":                     {how: fit},
	"Get15118EVCertificateResponse.remainingContracts":              {how: lost, text: "2.0.1 delivers one contract certificate"},
	"GetCertificateStatusResponse.ocspResult":                       {how: fit},
	"IDToken.idToken":                                               {how: fit},
	"IDToken.type":                                                  {how: word, call: "lower201TokenType", text: "DirectPayment becomes Local, EVCCID MacAddress, any other type that 2.0.1 does not know Central"},
	"InstallCertificateRequest.certificate":                         {how: fit},
	"LogParameters.remoteLocation":                                  {how: fit},
	"LogStatusNotificationRequest.statusInfo":                       {how: lost, text: "2.0.1 has no statusInfo here"},
	"MessageContent.content":                                        {how: cut},
	"MessageInfo.messageExtra":                                      {how: lost, text: "2.0.1 shows a message in one language"},
	"NetworkConnectionProfile.ocppVersion":                          {how: fill, call: "v201.OCPPVersionOCPP20", text: "2.0.1 wants a version: OCPP20, its word for itself"},
	"NetworkConnectionProfile.ocppCsmsUrl":                          {how: fit},
	"NetworkConnectionProfile.identity":                             {how: must, text: "a 2.0.1 station cannot take another identity"},
	"NetworkConnectionProfile.basicAuthPassword":                    {how: must, text: "2.0.1 sets the password with SetVariables of SecurityCtrlr.BasicAuthPassword"},
	"NotifyEVChargingNeedsRequest.timestamp":                        {how: lost, text: "2.0.1 has no timestamp here"},
	"NotifyEVChargingScheduleRequest.selectedChargingScheduleId":    {how: lost, text: "2.0.1 does not tell which offered schedule was chosen"},
	"NotifyEVChargingScheduleRequest.powerToleranceAcceptance":      {how: lost, text: "2.0.1 has no power tolerance"},
	"OCSPRequestData.responderURL":                                  {how: fit},
	"PublishFirmwareRequest.location":                               {how: fit},
	"PublishFirmwareStatusNotificationRequest.location":             {how: fit},
	"PublishFirmwareStatusNotificationRequest.statusInfo":           {how: lost, text: "2.0.1 has no statusInfo here"},
	"ReportChargingProfilesRequest.chargingLimitSource":             {how: word, call: "lower201LimitSource", text: "a source that is not EMS, Other, SO or CSO becomes Other"},
	"ReserveNowRequest.connectorType":                               {how: word, call: "lower201ConnectorType", text: "a connector type that 2.0.1 does not know cannot be reserved", kind: "Refused"},
	"SetMonitoringData.periodicEventStream":                         {how: must, text: "2.0.1 has no event streams"},
	"SetVariableData.attributeValue":                                {how: fit},
	"SignCertificateRequest.hashRootCertificate":                    {how: lost, text: "2.0.1 leaves the choice of the root to the CSMS"},
	"SignCertificateRequest.requestId":                              {how: hook, call: "lower201RequestID", text: "kept here, and given back in the CertificateSigned for the same certificateType"},
	"SignedMeterValue.signedMeterData":                              {how: fit},
	"SignedMeterValue.signingMethod":                                {how: fill, call: `""`, text: "2.0.1 wants a value: empty, the signed data tells it"},
	"SignedMeterValue.publicKey":                                    {how: fill, call: `""`, text: "2.0.1 wants a value: empty means not sent"},
	"StatusInfo.additionalInfo":                                     {how: cut},
	"Transaction.operationMode":                                     {how: lost, text: "2.0.1 has no operation modes"},
	"Transaction.tariffId":                                          {how: lost, text: "2.0.1 has no tariffs"},
	"Transaction.transactionLimit":                                  {how: lost, text: "2.0.1 has no limits of a transaction"},
	"TransactionEventRequest.costDetails":                           {how: lost, text: "2.0.1 has no costs calculated by the station"},
	"TransactionEventRequest.preconditioningStatus":                 {how: lost, text: "2.0.1 has no preconditioning"},
	"TransactionEventRequest.evseSleep":                             {how: nolie, text: "2.0.1 has no sleep of an EVSE"},
	"TransactionEventResponse.transactionLimit":                     {how: lost, text: "2.0.1 has no limits of a transaction; stop it with RequestStopTransaction"},
	"TransactionEventResponse.updatedPersonalMessageExtra":          {how: lost, text: "2.0.1 shows a message in one language"},
	"TriggerMessageRequest.customTrigger":                           {how: must, text: "2.0.1 has no custom triggers"},
	"VPN.server":                                                    {how: fit},
	"VPN.user":                                                      {how: fit},
	"VPN.group":                                                     {how: fit},
	"VPN.password":                                                  {how: fit},
	"VariableCharacteristics.maxElements":                           {how: lost, text: "2.0.1 does not tell the length of a list"},
	"VariableMonitoring.eventNotificationType":                      {how: lost, text: "2.0.1 does not tell where a monitor comes from"},
}

// upVerdicts decides the fields of 2.0.1 for which 2.1 has a tighter bound. Not listed are the numbers for which 2.1
// only added "at least 0": see upRange.
var upVerdicts = map[string]verdict{
	"VariableMonitoring.eventNotificationType": {how: fill, call: "v21.EventNotificationCustomMonitor",
		text: "2.0.1 does not tell where a monitor comes from: CustomMonitor is assumed"},
	"TransactionEventRequest.seqNo":              {how: clamp},
	"TransactionEventRequest.numberOfPhasesUsed": {how: range_},
	"ClearMonitoringResult.id":                   {how: clamp},
	"SetMonitoringResult.severity":               {how: clamp},
	"NotifyEventRequest.seqNo":                   {how: clamp},
	"NotifyReportRequest.seqNo":                  {how: clamp},
	"NotifyMonitoringReportRequest.seqNo":        {how: clamp},
	"NotifyCustomerInformationRequest.seqNo":     {how: clamp},
}

// soft lists the places that do without a part that cannot be said: the part is lost, the message crosses. In a list the
// item goes. Everywhere else such a part refuses the message.
var soft = map[string]string{
	"down SetVariablesRequest.setVariableData":                    "it is answered Rejected",
	"down SetVariableMonitoringRequest.setMonitoringData":         "it is answered UnsupportedMonitorType",
	"TransactionEventRequest.idToken":                             "a transaction must reach the other side; a cut token could be another driver's",
	"TransactionEventRequest.meterValue":                          "a transaction must reach the other side",
	"TransactionEventRequest.evse":                                "a transaction must reach the other side",
	"MeterValuesRequest.meterValue":                               "",
	"MeterValue.sampledValue":                                     "a measurand without its name would be taken for energy",
	"SampledValue.signedMeterValue":                               "a signature cannot be cut; the value itself crosses",
	"IDTokenInfo.groupIdToken":                                    "a cut group could be another",
	"IDToken.additionalInfo":                                      "a cut token could be another",
	"ReportChargingProfilesRequest.chargingProfile":               "the profiles that can be said are reported",
	"NotifyChargingLimitRequest.chargingSchedule":                 "the limit itself is reported",
	"PublishFirmwareStatusNotificationRequest.location":           "a cut address leads nowhere",
	"GetInstalledCertificateIdsResponse.certificateHashDataChain": "certificates of a kind that 2.0.1 does not know are not listed",
	"GetInstalledCertificateIdsRequest.certificateType":           "the kinds that can be said are asked for",
	"NotifyMonitoringReportRequest.monitor":                       "the monitors that can be said are reported",
	"MonitoringData.variableMonitoring":                           "the monitors that can be said are reported",
	"NotifyEventRequest.eventData":                                "the events that can be said are reported",
	"GetCompositeScheduleResponse.schedule":                       "",
	"GetCertificateStatusResponse.ocspResult":                     "",
}

// word decisions of 2.1 that 2.0.1 lacks: the nearest word, or none with the reason.
type wordVerdict struct {
	near string // "" for none
	text string
}

var downWords = map[string]map[string]wordVerdict{
	"CertificateSigningUse": {"V2G20Certificate": {"", "2.0.1 has no certificates of ISO 15118-20"}},
	"ChargingProfileKind":   {"Dynamic": {"", "2.0.1 has no dynamic profiles"}},
	"ChargingProfilePurpose": {
		"LocalGeneration":  {"", "2.0.1 has no profiles for local generation"},
		"PriorityCharging": {"", "2.0.1 has no priority charging"},
	},
	"ClearMessageStatus":   {"Rejected": {"Unknown", "2.0.1 has only Unknown for a message that was not cleared"}},
	"DisplayMessageStatus": {"LanguageNotSupported": {"Rejected", "2.0.1 has no word for the language"}},
	"EnergyTransferMode": {
		"AC_BPT":      {"AC_three_phase", "2.0.1 has no discharging; AC without the number of phases"},
		"AC_BPT_DER":  {"AC_three_phase", "2.0.1 has no discharging; AC without the number of phases"},
		"AC_DER":      {"AC_three_phase", "2.0.1 has no DER control; AC without the number of phases"},
		"DC_ACDP":     {"DC", "2.0.1 does not tell an automated connection"},
		"DC_ACDP_BPT": {"DC", "2.0.1 has no discharging"},
		"DC_BPT":      {"DC", "2.0.1 has no discharging"},
		"WPT":         {"", "2.0.1 has no wireless power transfer"},
	},
	"GetCertificateIDUse":   {"OEMRootCertificate": {"", "2.0.1 has no root certificates of car makers"}},
	"InstallCertificateUse": {"OEMRootCertificate": {"", "2.0.1 has no root certificates of car makers"}},
	"Location":              {"Upstream": {"", "2.0.1 has no place upstream of the station"}},
	"LogType":               {"DataCollectorLog": {"", "2.0.1 has no data collector log"}},
	"Measurand": {
		"Current.Export.Offered": {"", noMeasurand}, "Current.Export.Minimum": {"", noMeasurand},
		"Current.Import.Offered": {"Current.Offered", "in 2.0.1 what is offered is for import"},
		"Current.Import.Minimum": {"", noMeasurand},
		"Display.PresentSOC":     {"SoC", "2.0.1 does not tell the displayed state of charge from the measured"},
		"Display.MinimumSOC":     {"", noMeasurand}, "Display.TargetSOC": {"", noMeasurand}, "Display.MaximumSOC": {"", noMeasurand},
		"Display.RemainingTimeToMinimumSOC": {"", noMeasurand}, "Display.RemainingTimeToTargetSOC": {"", noMeasurand},
		"Display.RemainingTimeToMaximumSOC": {"", noMeasurand}, "Display.ChargingComplete": {"", noMeasurand},
		"Display.BatteryEnergyCapacity": {"", noMeasurand}, "Display.InletHot": {"", noMeasurand},
		"Energy.Active.Import.CableLoss": {"", noMeasurand}, "Energy.Active.Import.LocalGeneration.Register": {"", noMeasurand},
		"Energy.Active.Setpoint.Interval": {"", noMeasurand},
		"EnergyRequest.Target":            {"", noMeasurand}, "EnergyRequest.Minimum": {"", noMeasurand}, "EnergyRequest.Maximum": {"", noMeasurand},
		"EnergyRequest.Minimum.V2X": {"", noMeasurand}, "EnergyRequest.Maximum.V2X": {"", noMeasurand}, "EnergyRequest.Bulk": {"", noMeasurand},
		"Power.Active.Setpoint": {"", noMeasurand}, "Power.Active.Residual": {"", noMeasurand},
		"Power.Export.Minimum": {"", noMeasurand}, "Power.Export.Offered": {"", noMeasurand},
		"Power.Import.Offered": {"Power.Offered", "in 2.0.1 what is offered is for import"},
		"Power.Import.Minimum": {"", noMeasurand},
		"Voltage.Minimum":      {"", noMeasurand}, "Voltage.Maximum": {"", noMeasurand},
	},
	"MessageFormat": {"QRCODE": {"URI", "2.0.1 cannot ask for a QR code; the station shows the address"}},
	"MessageState": {
		"Discharging": {"Charging", "in 2.0.1 a transaction is Charging"},
		"Suspended":   {"Charging", "in 2.0.1 a transaction is Charging"},
	},
	"MessageTrigger": {
		"CustomTrigger":        {"", "2.0.1 has no custom triggers"},
		"SignV2G20Certificate": {"", "2.0.1 has no certificates of ISO 15118-20"},
	},
	"MonitorType": {
		"TargetDelta":         {"", "2.0.1 cannot watch the distance to a target"},
		"TargetDeltaRelative": {"", "2.0.1 cannot watch the distance to a target"},
	},
	"NotifyEVChargingNeedsStatus": {"NoChargingProfile": {"Rejected", "Accepted would promise a profile: OCPP 2.0.1 K15.FR.04"}},
	"OCPPInterface":               {"Any": {"", "2.0.1 wants one interface to be named"}},
	"OCPPVersion": {
		"OCPP201": {"OCPP20", "OCPP20 is the word of 2.0.1 for itself"},
		"OCPP21":  {"", "2.0.1 has no word for OCPP 2.1"},
	},
	"Reason":                  {"ReqEnergyTransferRejected": {"Other", "2.0.1 has no word for it"}},
	"ReservationUpdateStatus": {"NoTransaction": {"Removed", "2.0.1 says only that the reservation is gone"}},
	"ResetType":               {"ImmediateAndResume": {"", "2.0.1 cannot resume transactions after a reset"}},
	"TriggerReason": {
		"CostLimitReached":     {"EnergyLimitReached", "2.0.1 has no cost limit"},
		"SoCLimitReached":      {"EnergyLimitReached", "2.0.1 has no limit of the state of charge"},
		"LimitSet":             {"Trigger", "2.0.1 has no word for it"},
		"OperationModeChanged": {"ChargingStateChanged", "2.0.1 has no operation modes"},
		"RunningCost":          {"MeterValuePeriodic", "2.0.1 has no costs calculated by the station"},
		"TariffChanged":        {"Trigger", "2.0.1 has no tariffs"},
		"TariffNotAccepted":    {"Deauthorized", "2.0.1 has no tariffs"},
		"TxResumed":            {"AbnormalCondition", "2.0.1 cannot resume transactions after a reset"},
	},
}

const noMeasurand = "2.0.1 does not have this measurand; the value is left out"

// after names functions that complete a type when its fields were copied.
var after = map[string]string{
	"down ChargingSchedule": "lower201Limits",
}

// instead says what happens when a text is too long and something better than a refusal is done by hand.
var instead = map[string]string{
	"Get15118EVCertificateResponse.exiResponse":      "the answer is Failed",
	"MeterValuesRequest.meterValue":                  "the message is answered here and not passed on",
	"SetVariablesRequest.setVariableData":            "no message is sent",
	"SetVariableMonitoringRequest.setMonitoringData": "no message is sent",
}

// hows are the remarks on whole messages, by way and action.
var hows = map[string]string{
	"down MeterValues":           "When no value has a place in 2.0.1, the message is answered here and not passed on.",
	"down SetVariables":          "A value that is too long is answered Rejected here; the other variables are set.",
	"down SetVariableMonitoring": "A monitor that 2.0.1 does not have is answered UnsupportedMonitorType here; the others are set.",
	"up CertificateSigned":       "The requestId of the station's SignCertificate is put back.",
	"up NotifyMonitoringReport":  "2.1 wants to know where a monitor comes from, which 2.0.1 does not tell.",
}

// emptyMeansAll lists the optional filters that select everything when they are absent: one whose items are all lost
// refuses the message.
var emptyMeansAll = map[string]bool{"GetInstalledCertificateIdsRequest.certificateType": true}

// softly says whether a place can do without its part, and why; a key may name one way only.
func softly(way, key string) (why string, ok bool) {
	if why, ok = soft[way+" "+key]; ok {
		return why, true
	}
	why, ok = soft[key]
	return why, ok
}
