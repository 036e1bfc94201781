package translate

import (
	"slices"

	"lumela/ocpp"
	"lumela/ocpp/v16"
	"lumela/ocpp/v21"
)

// tableStation16 tells what becomes of what a station says, between 1.6 and 2.1.
func tableStation16() []Entry {
	return append(liftTable16(), lowerTable16()...)
}

func ofRequest(path string, kind Kind, text string) FieldNote {
	return FieldNote{InRequest, path, kind, text}
}

func ofResponse(path string, kind Kind, text string) FieldNote {
	return FieldNote{InResponse, path, kind, text}
}

// tokenInfoFields are what 1.6 lacks of a verdict on a token.
var tokenInfoFields = []FieldNote{
	ofResponse("idTokenInfo.status", Emulated, "NoCredit is Blocked; NotAllowedTypeEVSE, NotAtThisLocation, NotAtThisTime and Unknown are Invalid"),
	ofResponse("idTokenInfo.cacheExpiryDateTime", Lost, "left out when it cannot be written as a time"),
	ofResponse("idTokenInfo.groupIdToken", Lost, "a group of more than 20 characters is left out: cut, it would be another group"),
	ofResponse("idTokenInfo.chargingPriority", Lost, "1.6 has no charging priority"),
	ofResponse("idTokenInfo.evseId", Lost, "1.6 cannot restrict a token to connectors"),
	ofResponse("idTokenInfo.evseId", Emulated, "a token that is not valid at the EVSE of a StartTransaction is Invalid"),
	ofResponse("idTokenInfo.language1", Lost, "1.6 has no languages of a token"),
	ofResponse("idTokenInfo.personalMessage", Lost, "1.6 has no personal message"),
	ofResponse("customData", Lost, "1.6 has no vendor extensions"),
}

// eventAnswerFields are what 1.6 lacks of the answer to an event of a transaction.
var eventAnswerFields = append(slices.Clip(tokenInfoFields),
	ofResponse("chargingPriority", Lost, "1.6 has no charging priority"),
	ofResponse("totalCost", Emulated, "DataTransfer RunningCost or FinalCost, when the station knows the California pricing note"),
	ofResponse("totalCost", Lost, "a station without the California pricing note shows no costs"),
	ofResponse("transactionLimit", Lost, "1.6 has no transaction limits"),
	ofResponse("updatedPersonalMessage", Lost, "1.6 has no personal message"))

var (
	noVendorExtensions = ofResponse("customData", Lost, "1.6 has no vendor extensions")
	noReasons          = ofResponse("statusInfo", Lost, "1.6 has no place for reasons")
)

// liftedMeterFields are what becomes of meter values under a path.
func liftedMeterFields(path string) []FieldNote {
	return []FieldNote{
		ofRequest(path, Lost, "a value that cannot be read is left out, the others are kept"),
		ofRequest(path, Emulated, "signed data without a plain reading stand beside a number that says nothing"),
		ofRequest(path+"[].sampledValue", Lost, "a temperature or the speed of a fan that is no number is left out"),
		ofRequest(path+"[].sampledValue", Emulated, "Temperature and RPM are NotifyEvent of TemperatureSensor.Temperature and AirCoolingSystem.FanSpeed"),
		ofRequest(path+"[].sampledValue[].value", Lost, "text that is no number, signed data that are too long, digits beyond the 19th"),
		ofRequest(path+"[].timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"),
	}
}

func liftTable16() []Entry {
	id := ofRequest("requestId", Emulated, "1.6 has none: it is remembered from the request that started it")
	tx := func(f ...FieldNote) []FieldNote { return append(f, eventAnswerFields...) }
	entries := []Entry{
		{Action: v16.ActionAuthorize, Kind: Same, How: "an idTag is an idToken of the type " + UntypedIDToken, Fields: append(slices.Clip(tokenInfoFields),
			ofResponse("allowedEnergyTransfer", Lost, "1.6 has no energy transfer modes"),
			ofResponse("certificateStatus", Lost, "an Authorize of 1.6 carries no certificate"),
			ofResponse("tariff", Lost, "an Authorize of 1.6 cannot carry a tariff"))},
		{Action: v16.ActionBootNotification, Kind: Same, Fields: []FieldNote{
			ofRequest("chargeBoxSerialNumber", Emulated, "the serial number when there is no other, else customData of chargingStation"),
			ofRequest("meterType", Emulated, "customData of chargingStation"),
			ofRequest("meterSerialNumber", Emulated, "customData of chargingStation"), noReasons, noVendorExtensions}},
		{Action: v16.ActionDataTransfer, Kind: Same, How: "those of the Plug & Charge and California pricing notes are the messages of 2.1",
			Fields: append(slices.Clip(tokenInfoFields), noReasons,
				ofRequest("data.timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"))},
		{Action: v16.ActionDiagnosticsStatusNotification, Kind: Emulated, How: "LogStatusNotification", Fields: []FieldNote{id, noVendorExtensions}},
		{Action: v16.ActionFirmwareStatusNotification, Kind: Same, Fields: []FieldNote{id, noVendorExtensions}},
		{Action: v16.ActionHeartbeat, Kind: Same, Fields: []FieldNote{noVendorExtensions}},
		{Action: v16.ActionLogStatusNotification, Kind: Same, Fields: []FieldNote{id, noVendorExtensions}},
		{Action: v16.ActionMeterValues, Kind: Same, How: "TransactionEvent Updated for values of a transaction", Fields: tx(append(liftedMeterFields("meterValue"),
			ofRequest("connectorId", Lost, "a negative one is the main meter"),
			ofRequest("transactionId", Emulated, "0 and -1 are the transaction that runs on the connector"),
			ofRequest("transactionId", Lost, "0 and -1 where none runs"),
			ofResponse("idTokenInfo", Emulated, "a token that is refused during the transaction: RemoteStopTransaction"),
			ofResponse("idTokenInfo", Lost, "a refused token of a transaction without a number cannot stop it"))...)},
		{Action: v16.ActionSecurityEventNotification, Kind: Same, Fields: []FieldNote{noVendorExtensions,
			ofRequest("timestamp", Lost, "a time that cannot be written is replaced by the time of receipt")}},
		{Action: v16.ActionSignCertificate, Kind: Same, Fields: []FieldNote{noReasons, noVendorExtensions}},
		{Action: v16.ActionSignedFirmwareStatusNotification, Kind: Emulated, How: "FirmwareStatusNotification", Fields: []FieldNote{id, noVendorExtensions}},
		{Action: v16.ActionStartTransaction, Kind: Emulated, How: "TransactionEvent Started; its number is the transactionId", Fields: tx(
			ofRequest("reservationId", Lost, "2.1 has no negative reservation ids"),
			ofRequest("timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"))},
		{Action: v16.ActionStatusNotification, Kind: Same, How: "with TransactionEvent ChargingStateChanged and NotifyEvent where they belong", Fields: []FieldNote{
			ofRequest("connectorId", Emulated, "0 is the station: NotifyEvent of ChargingStation.AvailabilityState"),
			ofRequest("connectorId", Lost, "a negative one is the station"),
			ofRequest("errorCode", Emulated, "NotifyEvent of Connector.Problem or ChargingStation.Problem; NoError clears it"),
			ofRequest("status", Emulated, "Preparing, Charging, SuspendedEV, SuspendedEVSE and Finishing are Occupied, with the status in customData, and the chargingState of the transaction"),
			ofRequest("timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"),
			ofRequest("vendorId", Lost, "left out where there is no vendor error"), noVendorExtensions}},
		{Action: v16.ActionStopTransaction, Kind: Emulated, How: "TransactionEvent Ended", Fields: tx(append(liftedMeterFields("transactionData"),
			ofRequest("reason", Emulated, "HardReset and SoftReset are ImmediateReset, UnlockCommand is Other with the trigger UnlockCommand"),
			ofRequest("timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"),
			ofRequest("transactionId", Emulated, "0 and -1 are the only transaction that runs, unless it began with another tag"))...)},
	}
	for i := range entries {
		entries[i].Version, entries[i].From, entries[i].Direction = ocpp.V16, ocpp.Station, Up
	}
	return entries
}

// loweredMeterFields are what becomes of meter values in 1.6.
func loweredMeterFields() []FieldNote {
	const sample = "meterValue[].sampledValue[]"
	return []FieldNote{
		ofRequest("meterValue", Lost, "left out when 1.6 has a place for none of the values"),
		ofRequest("meterValue[].customData", Lost, "1.6 has no vendor extensions"),
		ofRequest("meterValue[].timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"),
		ofRequest("meterValue[].sampledValue", Lost, "measurands that are new in 2.x and the location Upstream"),
		ofRequest(sample+".measurand", Emulated, "Current.Import.Offered, Power.Import.Offered and Display.PresentSOC are Current.Offered, Power.Offered and SoC"),
		ofRequest(sample+".customData", Lost, "1.6 has no vendor extensions"),
		ofRequest(sample+".signedMeterValue", Lost, "only the signed text has a place, as a value of its own"),
		ofRequest(sample+".unitOfMeasure", Lost, "units that 1.6 does not know, and vendor extensions"),
		ofRequest(sample+".value", Lost, "beyond 19 digits once the multiplier is carried out"),
	}
}

func lowerTable16() []Entry {
	noPlace := func(paths ...string) []FieldNote {
		var fields []FieldNote
		for _, p := range paths {
			fields = append(fields, ofRequest(p, Lost, "1.6 has no place for it"))
		}
		return fields
	}
	answers := func(fields []FieldNote, more ...FieldNote) []FieldNote { return append(fields, more...) }
	timestamp := ofRequest("timestamp", Lost, "a time that cannot be written is replaced by the time of receipt")
	pnc := "DataTransfer of the Plug & Charge note"
	expiry := ofResponse("idTagInfo.expiryDate", Lost, "left out when it cannot be written as a time")
	now := ofResponse("currentTime", Lost, "a time that cannot be written is replaced by the time of receipt")
	entries := []Entry{
		{Action: v21.ActionAuthorize, Kind: Same, How: "with a certificate: " + pnc, Fields: answers(
			noPlace("idToken.type", "idToken.additionalInfo", "idToken.customData", "iso15118CertificateHashData[].customData", "customData"),
			ofRequest("idToken.idToken", Refused, "more than 20 characters: cut, it could be the token of somebody else"), expiry)},
		{Action: v21.ActionBootNotification, Kind: Same, Fields: answers(
			noPlace("reason", "customData", "chargingStation.customData", "chargingStation.modem.customData"),
			ofRequest("chargingStation.vendorName", Lost, "cut to 20 characters"), now)},
		{Action: v21.ActionDataTransfer, Kind: Same, Fields: answers(noPlace("customData"),
			ofRequest("data", Emulated, "data of 1.6 are text: other JSON goes as its text"))},
		{Action: v21.ActionFirmwareStatusNotification, Kind: Same, How: "SignedFirmwareStatusNotification for a signed update", Fields: answers(
			noPlace("customData", "statusInfo", "requestId"),
			ofRequest("status", Emulated, "statuses that only a signed update has: DownloadScheduled is Idle, DownloadPaused Downloading, InstallRebooting Installing, InstallScheduled and SignatureVerified Downloaded, the failures InstallationFailed"))},
		{Action: v21.ActionGet15118EVCertificate, Kind: Emulated, How: pnc, Fields: answers(noPlace("customData"),
			ofRequest("maximumContractCertificateChains", Refused, "the note knows one contract certificate of ISO 15118-2 only"))},
		{Action: v21.ActionGetCertificateStatus, Kind: Emulated, How: pnc, Fields: noPlace("customData", "ocspRequestData.customData")},
		{Action: v21.ActionHeartbeat, Kind: Same, Fields: answers(noPlace("customData"), now)},
		{Action: v21.ActionLogStatusNotification, Kind: Same, How: "DiagnosticsStatusNotification for an upload that GetDiagnostics asked for", Fields: answers(
			noPlace("customData", "statusInfo", "requestId"),
			ofRequest("status", Emulated, "AcceptedCanceled is Idle; every failure is UploadFailed of GetDiagnostics"))},
		{Action: v21.ActionMeterValues, Kind: Same, Fields: answers(loweredMeterFields(), noPlace("customData")...)},
		{Action: v21.ActionNotifyEvent, Kind: Emulated, How: "problems and availability are StatusNotification, temperature and fan MeterValues; others are told to nobody", Fields: answers(
			noPlace("customData", "eventData[].customData", "eventData[].component", "eventData[].variable", "eventData[].severity", "eventData[].cause",
				"eventData[].variableMonitoringId", "eventData[].transactionId", "eventData[].techCode", "eventData[].techInfo"),
			ofRequest("eventData", Lost, "1.6 has no message for most variables"),
			ofRequest("eventData", Emulated, "StatusNotification or MeterValues"),
			ofRequest("eventData[].actualValue", Lost, "a reading that is no number"),
			ofRequest("eventData[].timestamp", Lost, "a time that cannot be written is replaced by the time of receipt"))},
		{Action: v21.ActionOpenPeriodicEventStream, Kind: Emulated, How: "rejected: 1.6 has no event streams"},
		{Action: v21.ActionSecurityEventNotification, Kind: Same, How: "not passed on to a management system without the security extension", Fields: answers(noPlace("customData"), timestamp)},
		{Action: v21.ActionSignCertificate, Kind: Same, How: "for the V2G side: " + pnc, Fields: answers(
			noPlace("customData", "hashRootCertificate", "requestId"),
			ofRequest("certificateType", Emulated, "a V2G20Certificate is a V2GCertificate"))},
		{Action: v21.ActionStatusNotification, Kind: Same, How: "an EVSE is one connector, and what its busiest connector is", Fields: answers(
			noPlace("connectorId", "customData"), timestamp,
			ofRequest("connectorStatus", Emulated, "Occupied is what the transaction says: Preparing, Charging, SuspendedEV, SuspendedEVSE or Finishing"))},
		{Action: v21.ActionTransactionEvent, Kind: Emulated, How: "StartTransaction when somebody is authorised, MeterValues, StatusNotification, StopTransaction", Fields: answers(
			append(loweredMeterFields(), noPlace("cableMaxCurrent", "costDetails", "customData", "evse.connectorId", "evse.customData", "evseSleep",
				"idToken.additionalInfo", "idToken.customData", "idToken.type", "numberOfPhasesUsed", "offline", "preconditioningStatus", "reservationId",
				"transactionInfo.customData", "transactionInfo.operationMode", "transactionInfo.tariffId", "transactionInfo.timeSpentCharging",
				"transactionInfo.transactionLimit")...), timestamp, expiry,
			ofRequest("evse", Emulated, "where none is given it is connector 1"),
			ofRequest("idToken", Emulated, "nobody was authorised: idTag "+noIDTag),
			ofRequest("idToken", Lost, "1.6 has no token in the middle of a transaction"),
			ofRequest("idToken.idToken", Lost, "cut to 20 characters: a transaction is not lost for a long token"),
			ofRequest("meterValue", Emulated, "the energy register is rounded to the nearest whole Wh, half to even; values before StartTransaction are of the connector"),
			ofRequest("transactionInfo.chargingState", Emulated, "StatusNotification"),
			ofRequest("transactionInfo.stoppedReason", Emulated, "ImmediateReset is HardReset, MasterPass is Local, what 1.6 has no name for is Other"),
			ofRequest("transactionInfo.stoppedReason", Lost, "1.6 has a reason only where a transaction ends"),
			ofRequest("transactionInfo.transactionId", Emulated, "1.6 gives the number; without one it is -1"),
			ofRequest("transactionInfo.transactionId", Lost, "left out where 1.6 has no number for it"))},
	}
	for action, why := range absorbed16 {
		entries = append(entries, Entry{Action: action, Kind: Emulated, How: "answered here and told to nobody: " + why})
	}
	for action, why := range refused16 {
		entries = append(entries, Entry{Action: action, Kind: Refused, How: why})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		if a.Action < b.Action {
			return -1
		}
		return 1
	})
	for i := range entries {
		entries[i].Version, entries[i].From, entries[i].Direction = ocpp.V16, ocpp.Station, Down
	}
	return entries
}
